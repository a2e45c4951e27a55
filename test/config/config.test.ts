import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, expectTypeOf, it } from 'vitest';
import { isGsyncdError } from '../../src/errors.js';
import type { Config } from '../../src/config/config.js';
import { loadConfig } from '../../src/config/config.js';
import { DEFAULTS_FILE } from '../../src/config/places.js';
import { checkSetting } from '../../src/config/check-setting.js';
import { IniFile } from '../../src/config/ini.js';
import { OPTION_NAMES, findOption, optionSpec } from '../../src/config/options.js';
import type { OptionName } from '../../src/config/options.js';
import { Settings } from '../../src/config/settings.js';
import { brickTemplateArgs, escapePath, sessionConfigPath, sessionTemplateArgs } from '../../src/config/template.js';
import { splitWords } from '../../src/config/words.js';
import { pythonGconf, syncdaemon } from './python.js';
import { lacks, NO_GLUSTER } from '../skip.js';

const dir = mkdtempSync(join(tmpdir(), 'gsyncd-config-'));
const noDefaults = join(dir, 'defaults.conf');
writeFileSync(noDefaults, '[__meta__]\nversion = 4.0\n');
afterAll(() => rmSync(dir, { recursive: true }));

const session = { primary: 'gv0', secondaryUser: 'root', secondaryHost: 'dr.example', secondaryVolume: 'sv0' };
const templateArgs = sessionTemplateArgs({ ...session, localPath: '/d/b1' });
let files = 0;

function fileWith(text: string | Buffer): string {
  const path = join(dir, `${files++}.conf`);
  writeFileSync(path, text);
  return path;
}

function load(text: string, defaultsFile = noDefaults): Config {
  return loadConfig({ defaultsFile, sessionFile: fileWith(text), templateArgs });
}

function messageOf(action: () => unknown): string {
  try {
    action();
  } catch (error) {
    if (isGsyncdError(error, 'config')) return error.message;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('loadConfig()', () => {
  it('has a default for every option without any file', () => {
    const config = loadConfig({ defaultsFile: noDefaults, templateArgs });
    expect(config.get('sync-jobs')).toBe(3);
    expect(config.get('sync-method')).toBe('rsync');
    expect(config.get('gfid-conflict-resolution')).toBe(true);
    expect(config.get('ssh-options')).toContain('-i /var/lib/glusterd/geo-replication/secret.pem');
    expect(config.get('working-dir')).toBe('/var/lib/misc/gluster/gsyncd/gv0_dr.example_sv0/');
    expect(config.get('gluster-log-file')).toMatch(/\/gv0_dr\.example_sv0\/mnt-d-b1\.log$/);
    expect(config.warnings).toEqual([]);
  });

  it('prefers the session file to the installed defaults, and the command line to both', () => {
    const defaultsFile = fileWith('[sync-jobs]\nvalue=7\n[ssh-port]\nvalue = 2222\n[change-interval]\nvalue=9\n');
    const sessionFile = fileWith('[vars]\nssh-port = 23\nchange-interval = 8\n');
    const config = loadConfig({ defaultsFile, sessionFile, templateArgs, overrides: { 'change-interval': '2' } });
    expect([config.get('sync-jobs'), config.get('ssh-port'), config.get('change-interval')]).toEqual([7, 23, 2]);
    expect(config.origin('sync-jobs').where).toBe(`${defaultsFile}:2`);
    expect(config.origin('ssh-port')).toEqual({ text: '23', where: `${sessionFile}:2` });
    expect(config.origin('change-interval').where).toBe('command line');
    expect(config.origin('rsync-options').where).toBe('default');
  });

  it('accepts option names of older releases in the session file and in the defaults', () => {
    const defaultsFile = fileWith('[slave-gluster-command-dir]\nvalue=/opt/sbin\n[master-replica-count]\nvalue=3\n');
    const config = load('[vars]\nslave-timeout = 7\nslave_gluster_log_level = DEBUG\nsync_jobs = 4\n', defaultsFile);
    expect(config.get('secondary-timeout')).toBe(7);
    expect(config.get('secondary-gluster-log-level')).toBe('DEBUG');
    expect(config.get('sync-jobs')).toBe(4);
    expect(config.get('secondary-gluster-command-dir')).toBe('/opt/sbin');
    expect(config.get('primary-replica-count')).toBe(3);
    expect(config.warnings).toEqual([]);
  });

  it('resolves the template variables of older releases', () => {
    const config = load('[vars]\nlog-file = /l/${master}_${primary_slave_host}_${slavevol}_${slaveuser}.log\n');
    expect(config.get('log-file')).toBe('/l/gv0_dr.example_sv0_root.log');
  });

  it('reads only the options of this session from a file in the old format', () => {
    const config = load('[peers gv0 sv0]\nuse_tarssh = true\ntimeout = 30\n[peers gv0 other]\nsync_jobs = 9\n');
    expect(config.get('sync-method')).toBe('tarssh');
    expect(config.get('secondary-timeout')).toBe(30);
    expect(config.get('sync-jobs')).toBe(3);
    expect(config.warnings).toEqual([expect.stringContaining('unknown section [peers gv0 other]')]);
  });

  it('warns about unknown options and sections and loads the rest', () => {
    const sessionFile = fileWith('[vars]\nsync-jobs = 4\nnew-thing = 1\n\n[future]\nvalue = 1\n');
    const config = loadConfig({ defaultsFile: noDefaults, sessionFile, templateArgs });
    expect(config.get('sync-jobs')).toBe(4);
    expect(config.warnings).toEqual([
      `config: ${sessionFile}: unknown section [future]`,
      `config: ${sessionFile}:3: unknown option new-thing`,
    ]);
  });

  it.each([
    ['sync-jobs = 4\nsync_jobs = 5\n', 4],
    ['sync_jobs = 5\nsync-jobs = 4\n', 4],
  ])('prefers the current name of an option that appears under two names, with a warning: %j', (text, jobs) => {
    const config = load(`[vars]\n${text}`);
    expect(config.get('sync-jobs')).toBe(jobs);
    expect(config.warnings).toEqual([expect.stringContaining('are the same option, sync-jobs counts')]);
  });

  it('warns, as the stock daemon does, when the session has no file', () => {
    const config = loadConfig({ defaultsFile: noDefaults, sessionFile: `${dir}/none.conf`, templateArgs });
    expect(config.warnings).toEqual([
      `Session config file not exists, using the default config [{path=${dir}/none.conf}]`,
    ]);
  });

  it('keeps the bytes of a path that is not UTF-8', () => {
    const sessionFile = fileWith(Buffer.from('[vars]\nmeta-volume-mnt = /mnt/\xff\xe9\n', 'latin1'));
    const config = loadConfig({ defaultsFile: noDefaults, sessionFile, templateArgs });
    expect(config.get('meta-volume-mnt')).toBe('/mnt/\udcff\udce9');
  });

  it('returns values with the types of the option table', () => {
    const config = load('[vars]\n');
    expectTypeOf(config.get('sync-jobs')).toEqualTypeOf<number>();
    expectTypeOf(config.get('sync-method')).toEqualTypeOf<'rsync' | 'tarssh'>();
    expectTypeOf(config.getLive('log-rsync-performance')).toEqualTypeOf<boolean>();
    // @ts-expect-error unknown option
    expect(config.get('sync-job')).toBeUndefined();
    // @ts-expect-error not a live option
    expect(config.getLive('sync-jobs')).toBe(3);
  });
});

describe('loadConfig() refuses', () => {
  const program = fileWith('not executable');
  it.each([
    ['sync-jobs = 0', 'sync-jobs = "0" (F:2): must be a whole number from 1 to 100'],
    ['sync-jobs = 101', 'sync-jobs = "101" (F:2): must be a whole number from 1 to 100'],
    ['sync-jobs = three', 'sync-jobs = "three" (F:2): must be a whole number from 1 to 100'],
    ['sync-jobs = 3.5', 'sync-jobs = "3.5" (F:2): must be a whole number from 1 to 100'],
    ['sync-jobs =', 'sync-jobs = "" (F:2): must be a whole number from 1 to 100'],
    ['ssh-port = 65536', 'ssh-port = "65536" (F:2): must be a whole number from 1 to 65535'],
    ['slave-timeout = -1', 'secondary-timeout = "-1" (F:2): must be a whole number from 0'],
    [
      'change-interval = 99999999999999999999',
      'change-interval = "99999999999999999999" (F:2): must be a whole number from 1',
    ],
    ['sync-xattrs = yes', 'sync-xattrs = "yes" (F:2): must be true or false'],
    ['sync-method = scp', 'sync-method = "scp" (F:2): must be one of tarssh, rsync'],
    ['sync-method = rsync\n tarssh', 'sync-method = "rsync\\ntarssh" (F:2): must be one of tarssh, rsync'],
    ['special-sync-mode = blind', 'special-sync-mode = "blind" (F:2): must be one of empty, normal, partial, recover'],
    ['log-level = TRACE', 'log-level = "TRACE" (F:2): must be one of ERROR, INFO, WARNING, DEBUG'],
    ['checkpoint = 12345', 'checkpoint = "12345" (F:2): must be 0 or a time in seconds since 1970, 1971 or later'],
    ['checkpoint = now', 'checkpoint = "now" (F:2): must be 0 or a time in seconds since 1970, 1971 or later'],
    ['working-dir = relative', 'working-dir = "relative" (F:2): must be an absolute path'],
    [
      'rsync-command = /no/such/rsync',
      'rsync-command = "/no/such/rsync" (F:2): must be an executable file, or the name of one without a directory',
    ],
    [
      `ssh-command = ${program}`,
      `ssh-command = "${program}" (F:2): must be an executable file, or the name of one without a directory`,
    ],
    [
      'tar-command = /usr',
      'tar-command = "/usr" (F:2): must be an executable file, or the name of one without a directory',
    ],
    ['rsync-options = a\0b', 'rsync-options = "a\\u0000b" (F:2): must be without NUL characters'],
    ['just words', 'F:2: "just words" is not "name = value"'],
    ['sync-jobs = 3\nSync-Jobs = 4', 'F:3: option sync-jobs appears twice'],
  ])('%j', (line, message) => {
    const sessionFile = fileWith(`[vars]\n${line}\n`);
    const found = messageOf(() => loadConfig({ defaultsFile: noDefaults, sessionFile, templateArgs }));
    expect(found).toBe(`config: ${message.replace('F:', `${sessionFile}:`)}`);
    expect(found).not.toContain('\n');
  });

  it('invalid values in the installed defaults and on the command line', () => {
    const defaultsFile = fileWith('[sync-jobs]\nhelp=x\nvalue=none\n');
    expect(messageOf(() => load('[vars]\n', defaultsFile))).toBe(
      `config: sync-jobs = "none" (${defaultsFile}:3): must be a whole number from 1 to 100`,
    );
    expect(
      messageOf(() => loadConfig({ defaultsFile: noDefaults, templateArgs, overrides: { 'log-level': 'X' } })),
    ).toContain('log-level = "X" (command line): must be one of');
  });

  it('an unreadable file', () => {
    expect(messageOf(() => loadConfig({ defaultsFile: `${dir}/none`, templateArgs }))).toBe(
      `config: ${dir}/none: no such file`,
    );
    expect(messageOf(() => loadConfig({ defaultsFile: noDefaults, sessionFile: dir, templateArgs }))).toBe(
      `config: ${dir}: cannot be read: EISDIR`,
    );
  });
});

describe('getLive()', () => {
  function live(): { config: Config; file: string; write: (text: string) => void; reported: string[] } {
    const file = fileWith('[vars]\ncheckpoint = 1700000000\nsync-jobs = 4\n');
    const config = loadConfig({ defaultsFile: noDefaults, sessionFile: file, templateArgs });
    const reported: string[] = [];
    config.onWarning = (line) => reported.push(line);
    const write = (text: string): void => {
      writeFileSync(`${file}.tmp`, text);
      renameSync(`${file}.tmp`, file);
    };
    return { config, file, write, reported };
  }

  it('returns new values of live options and keeps the others', () => {
    const { config, write, reported } = live();
    expect(config.getLive('checkpoint')).toBe(1700000000);
    write('[vars]\ncheckpoint = 1800000000\nsync-jobs = 9\nlog-rsync-performance = true\n');
    expect(config.getLive('checkpoint')).toBe(1800000000);
    expect(config.getLive('log-rsync-performance')).toBe(true);
    expect(config.get('sync-jobs')).toBe(4);
    write('[vars]\n');
    expect(config.getLive('checkpoint')).toBe(0);
    expect(reported).toEqual([]);
  });

  it('keeps the last values, with one warning per problem, while the file is missing or invalid', () => {
    const { config, file, write, reported } = live();
    unlinkSync(file);
    expect(config.getLive('checkpoint')).toBe(1700000000);
    expect(config.getLive('checkpoint')).toBe(1700000000);
    expect(reported).toEqual([`config: ${file}: missing; the options keep their last values`]);
    write('[vars]\ncheckpoint\n');
    expect(config.getLive('checkpoint')).toBe(1700000000);
    write('[vars]\ncheckpoint = 5\nlog-rsync-performance = true\n');
    expect(config.getLive('checkpoint')).toBe(1700000000);
    expect(config.getLive('log-rsync-performance')).toBe(true);
    expect(reported).toHaveLength(3);
    expect(reported[1]).toBe(
      `config: ${file}:2: "checkpoint" is not "name = value"; the options keep their last values`,
    );
    expect(reported[2]).toContain('checkpoint = "5"');
    write('[vars]\ncheckpoint = 1900000000\nsync-jobs = broken\n');
    expect(config.getLive('checkpoint')).toBe(1900000000);
    expect(reported).toHaveLength(3);
  });

  it('reads a file that appears after loading', () => {
    const file = join(dir, 'later.conf');
    const config = loadConfig({ defaultsFile: noDefaults, sessionFile: file, templateArgs });
    expect(config.getLive('checkpoint')).toBe(0);
    writeFileSync(file, '[vars]\ncheckpoint = 1700000000\n');
    expect(config.getLive('checkpoint')).toBe(1700000000);
  });
});

describe('names and words', () => {
  it('escapePath() turns a path into a part of a file name', () => {
    expect(['/d/b1', '/', '//a//b//', 'x'].map(escapePath)).toEqual(['d-b1', '', 'a--b', 'x']);
  });

  it("sessionConfigPath() returns glusterd's path of the session file", () => {
    expect(sessionConfigPath('/var/lib/glusterd', 'gv0', 'h', 'sv0')).toBe(
      '/var/lib/glusterd/geo-replication/gv0_h_sv0/gsyncd.conf',
    );
  });

  it('splitWords() splits at white space and ignores quotes', () => {
    expect(splitWords('  -oA=no\t-i  "/a b"\n-p 22 ')).toEqual(['-oA=no', '-i', '"/a', 'b"', '-p', '22']);
    expect(splitWords(' ')).toEqual([]);
  });
});

it('complete() fills in the templates that depend on the brick', () => {
  const config = loadConfig({
    sessionFile: fileWith('[vars]\n'),
    templateArgs: { primary: 'gv0', primary_secondary_host: 'h', secondaryvol: 'sv0' },
  });
  config.complete(brickTemplateArgs('/d/b1'));
  expect(config.get('gluster-log-file')).toMatch(/\/gv0_h_sv0\/mnt-d-b1\.log$/);
});

const installed = syncdaemon !== undefined && existsSync(DEFAULTS_FILE);

const STOCKS = OPTION_NAMES.filter((name) => optionSpec(name).own !== true);

describe.skipIf(lacks(installed, NO_GLUSTER, "configuration beside stock's"))('beside the installed GlusterFS', () => {
  const args = {
    primary: 'gv0',
    secondary: 'root@dr.example::sv0',
    local_path: '/d/b1',
    debug: false,
    feedback_fd: null,
    subvol_num: 1,
  };
  const extra = { primary_secondary_host: 'dr.example', secondaryuser: 'root', secondaryvol: 'sv0', local_id: 'd-b1' };
  const sessions = [
    '[vars]\n',
    '[vars]\nsync-jobs = 5\ncheckpoint = 1795413473\nlog-level = DEBUG\nchange-interval: 3\n',
    '[vars]\nuse-meta-volume = True\nsync-xattrs = false\nrsync-options = --bwlimit=10\n  --whole-file\n\nssh-port: 0022\n',
    '# c\n[vars]\nssh-options = -i ${glusterd_workdir}/k $$HOME $unknown ${primary} $primary-x ${debug} ${subvol_num} ${feedback_fd}\n',
    '[vars]\ngsyncd-miscdir = /srv/${primary}\nworking-dir = ${gsyncd_miscdir}/${sync_jobs}/$local_path\nglusterd_workdir-x = 1\n',
    '[vars]\nGluster-Params =   acl   # not a comment\nremote-gsyncd =\nsecondary-timeout = +1_0\nconnection-timeout = 060\n',
    '[sync-jobs]\nvalue = 8\n[vars]\nssh-port = 24\n[rsync-options]\nvalue = ${primary}\ntemplate = TRUE\n',
    '[DEFAULT]\nsync-method = tarssh\n[vars]\nlog-level = ERROR\n',
  ];

  it('loadConfig() returns the values of the stock daemon for the same files', () => {
    const cases = sessions.map((text) => ({ defaults: DEFAULTS_FILE, session: fileWith(text), args, extra }));
    for (const [i, stock] of pythonGconf(cases).entries()) {
      const sessionFile = cases[i]!.session;
      const config = loadConfig({ defaultsFile: DEFAULTS_FILE, sessionFile, templateArgs: { ...args, ...extra } });
      for (const name of STOCKS) {
        const key = name === 'state-socket-unencoded' ? 'state_socket_unencoded' : name;
        expect(config.get(name), `${name} with ${sessions[i]}`).toEqual(stock[key] ?? '');
      }
    }
  });

  it("Settings lists this project's own options only when the session sets them", () => {
    const settings = (text: string): Settings => new Settings(DEFAULTS_FILE, fileWith(text), {});
    const unset = settings('[vars]\n');
    expect(unset.get('small-file-size')).toBe(65_536);
    expect(unset.list('all').has('small-file-size')).toBe(false);
    expect(
      ['0', '1048576', '1048577', '-1', 'x'].map((value) => checkSetting(unset, 'small-file-size', value)),
    ).toEqual(['good', 'good', 'invalid', 'invalid', 'invalid']);
    expect(settings('[vars]\nsmall-file-size = 0\n').list('session').get('small-file-size')).toMatchObject({
      value: 0,
      configurable: true,
    });
  });

  it('the option table has every option of the installed file, with its type, range, choices and default', () => {
    const ini = IniFile.parse(readFileSync(DEFAULTS_FILE, 'utf8'), DEFAULTS_FILE);
    const seen = new Set<OptionName>();
    for (const section of ini.sections()) {
      if (section === '__meta__') continue;
      const name = findOption(section);
      if (name === undefined) throw new Error(`${section} is not in the table`);
      seen.add(name);
      const spec = optionSpec(name);
      const found = (key: string): string | undefined => ini.get(section, key);
      expect(spec.value, `default of ${name}`).toBe(found('value') ?? '');
      expect(spec.template ?? false, `template of ${name}`).toBe(found('template') === 'true');
      expect(spec.configurable ?? true, `configurable of ${name}`).toBe(found('configurable') !== 'false');
      if (found('type') !== undefined) expect(spec.type).toBe(found('type'));
      if (spec.type === 'choice' && found('allowed_values') !== undefined)
        expect(spec.allowed.join(',')).toBe(found('allowed_values'));
      if (found('min') !== undefined)
        expect([String('min' in spec && spec.min), String('max' in spec && spec.max)]).toEqual([
          found('min'),
          found('max'),
        ]);
    }
    expect([...seen].sort()).toEqual([...STOCKS].sort());
  });

  it('escapePath() matches escape() of syncdutils', () => {
    const paths = ['/d/b1', '-/x-/-', '/', 'a b/c', '/é/', '---'];
    const code =
      'import json, sys; sys.path.insert(0, sys.argv[1]); from syncdutils import escape; ' +
      'print(json.dumps([escape(path) for path in json.load(sys.stdin)]))';
    const answer = execFileSync('python3', ['-B', '-c', code, syncdaemon ?? ''], {
      input: JSON.stringify(paths),
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    const wanted: unknown = JSON.parse(answer.toString());
    expect(paths.map(escapePath)).toEqual(wanted);
  });
});
