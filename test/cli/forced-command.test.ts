// Runs hostile command lines through the forced command and, where GlusterFS is installed, through the stock wrapper. Their
// parent process is called sshd, and a sibling process looks like the session's gsyncd.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { forcedCommandLine } from '../../src/cli/forced/forced-command-line.js';
import { decideForcedCommand, type ProcessView } from '../../src/cli/forced/forced-command.js';
import { quoteRemoteWord } from '../../src/worker/gluster/remote.js';
import { lacks, NO_GLUSTER } from '../skip.js';
import { fc } from '../seeds.js';

const REPO = resolve(import.meta.dirname, '../..');
const PYTHON = '/usr/bin/python3';
const dir = mkdtempSync(join(tmpdir(), 'forced-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

type Verdict = 'rsync' | 'gsyncd' | 'gluster' | 'refused';

/** [line, our verdict, stock's verdict if different]. PID is the sibling's process id, MOUNT its working directory. */
const LINES: readonly (readonly [string, Verdict, Verdict?])[] = [
  [
    'rsync --server -vlHogDtpAXrze.iLsfxCIvu --existing --inplace --numeric-ids --log-format=%i . /proc/PID/cwd',
    'rsync',
  ],
  ['rsync --server -e.LsfxCIvu --stats . MOUNT', 'rsync'],
  ['  /usr/bin/rsync   --server  .  MOUNT  ', 'rsync'],
  [
    'rsync --server -logDtpAXRSe.LsfxCIvu --log-format=%i%I --super --stats -@-1 --numeric-ids --existing --info=SKIP --inplace --no-W --no-implied-dirs . /proc/PID/cwd',
    'rsync',
  ],
  ['rsync --server -logDtpre.iLsfxCIvu --bwlimit=100 --timeout=5 . /proc/PID/cwd', 'rsync'],
  ['rsync --server --sender -logDtpre.Lsf . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server -KlogDtpre.Lsf . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --log-file=DIR/escaped . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --daemon . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --config=DIR/rsyncd.conf . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server -se.LsfxCIvu . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --secluded-args . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server -esh . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --rsh=sh . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --rsync-path=/bin/sh . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --temp-dir=/etc . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --partial-dir=a/../../b . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --files-from=/etc/shadow . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server -T/etc . /proc/PID/cwd', 'refused', 'rsync'],
  ['rsync --server --temp-dir /etc . /proc/PID/cwd', 'refused'],
  ['rsync --server -e . sh . /proc/PID/cwd', 'refused'],
  ['rsync --server -r . /', 'refused'],
  ['rsync --server -r . /etc', 'refused'],
  ['rsync --server -r . DIR/link', 'refused'],
  ['rsync --server -r . MOUNT/', 'refused'],
  ['rsync --server -r . MOUNT/..', 'refused'],
  ['rsync --server -r . MOUNT/sub', 'refused'],
  ['rsync --server -r . /proc/PID/cwd/', 'refused'],
  ['rsync --server -r . /proc/PID/cwd/..', 'refused'],
  ['rsync --server -r . /proc/PID/../PID/cwd', 'refused'],
  ['rsync --server -r . /proc/PID/root', 'refused'],
  ['rsync --server -r . /proc/1/cwd', 'refused'],
  ['rsync --server -r . /proc/self/cwd', 'refused'],
  ['rsync --server -r . /proc/0PID/cwd', 'refused'],
  ['rsync --server -r . relative', 'refused'],
  ['rsync --server -r . MOUNT MOUNT', 'refused'],
  ['rsync --server -r MOUNT', 'refused'],
  ['rsync --server -r ./ MOUNT', 'refused'],
  ['rsync --server', 'refused'],
  ['rsync -r . MOUNT', 'refused'],
  ['rsync --daemon', 'refused'],
  ['rsync -a /etc/ MOUNT', 'refused'],
  ['rsync', 'refused'],
  ['rsync --server -r . MOUNT; touch DIR/escaped', 'refused'],
  ['rsync --server -r . MOUNT\ntouch DIR/escaped', 'refused'],
  ['rsync --server -r .\tMOUNT', 'refused'],
  ['rsync --server -r . "MOUNT"', 'refused'],
  ["rsync --server -r . '/proc/PID/cwd'", 'refused'],
  ['rsync --server -r . $(touch DIR/escaped)', 'refused'],
  ['rsync --server -r . `touch DIR/escaped`', 'refused'],
  ['rsync\t--server -r . MOUNT', 'refused'],
  ['rsync; --server . MOUNT', 'refused'],
  ['touch DIR/escaped', 'refused'],
  ['sh -c touch${IFS}DIR/escaped', 'refused'],
  ['tar --overwrite -xf - -C MOUNT', 'refused'],
  ['-c touch DIR/escaped', 'refused'],
  ['../../bin/sh', 'refused'],
  ['"gsyncd" secondary', 'refused'],
  ['/nonexistent/gsyncd secondary gv0 h::sv0 --delete --path-list=--path=DIR/mount', 'refused', 'gsyncd'],
  ['/nonexistent/gsyncd secondary ../../../DIR/up h::sv0', 'refused', 'gsyncd'],
  ['/nonexistent/gsyncd secondary gv0 h::sv0 --primary-brick /b;touch${IFS}DIR/escaped', 'gsyncd'],
  ['/nonexistent/gsyncd slave gv0 h::sv0 --primary-brick /$(id)', 'gsyncd'],
  [
    `/nonexistent/gsyncd secondary gv0 h::sv0 --primary-brick ${quoteRemoteWord("/srv/it's&brück", 'forced command')}`,
    'gsyncd',
  ],
  ['gsyncd config-set gv0 h::sv0 --name=ssh-command --value=DIR/evil', 'refused', 'gsyncd'],
  ['gsyncd secondary gv0 file:///etc', 'refused', 'gsyncd'],
  ['gsyncd secondary gv0 h::sv0 --print-id', 'refused', 'gsyncd'],
  ['gsyncd secondary gv0 h::sv0 --log-file=DIR/escaped', 'refused', 'gsyncd'],
  ['gsyncd slave -cDIR/evil.conf gv0 h::sv0', 'refused', 'gsyncd'],
  ['gsyncd secondary gv0 h::sv0 --config-file DIR/evil.conf', 'refused', 'gsyncd'],
  ['gsyncd', 'refused', 'gsyncd'],
  ['gluster --xml volume info', 'gluster'],
  ['gluster --xml --remote-host=localhost volume info gv0', 'gluster'],
  ['gluster --xml --remote-host=attacker volume info gv0', 'refused', 'gluster'],
  ['gluster -x volume info', 'refused'],
  ['gluster volume info ../x', 'refused', 'gluster'],
  ['gluster volume info gv0 gv1', 'refused'],
  ['gluster volume stop gv0', 'refused'],
  ['gluster volume', 'refused', 'gluster'],
  ['gluster --log-file=DIR/cli.log volume info', 'refused', 'gluster'],
  ['gluster -- volume stop', 'refused'],
  ['gluster peer probe evil', 'refused'],
];

const STOCK = (
  existsSync('/usr/lib/x86_64-linux-gnu/glusterfs')
    ? ['/usr/lib/x86_64-linux-gnu/glusterfs/gsyncd']
    : ['/usr/libexec/glusterfs/gsyncd']
).filter((path) => existsSync(path) && readFileSync(path).subarray(0, 4).equals(Buffer.from('\x7fELF')));

/** Runs every line through `program`, beside `sibling`: Python's gsyncd or this project's secondary. */
function runAll(
  program: readonly string[],
  sibling: readonly string[],
  lines: readonly string[],
): { text: string; code: number }[] {
  const out = mkdtempSync(join(dir, 'out-'));
  const script = `
    cd ${dir}/mount; "\${SIBLING[@]}" >/dev/null 2>&1 & sibling=$!; cd /
    trap 'kill $sibling' EXIT
    for i in $(seq 400); do [ -e "${dir}/ready-$sibling" ] && break; sleep 0.05; done
    n=0
    for line in "$@"; do
      line=\${line//PID/$sibling}
      env -i PATH=${dir}/bin:/usr/bin:/bin PYTHON=${dir}/bin/fake-python SSH_ORIGINAL_COMMAND="$line" "\${PROGRAM[@]}" </dev/null >${out}/$n 2>&1
      echo $? >${out}/$n.code
      n=$((n + 1))
    done
    true`;
  const quoted = (words: readonly string[]): string => words.map((word) => `'${word}'`).join(' ');
  const done = spawnSync(
    join(dir, 'sshd'),
    ['-c', `SIBLING=(${quoted(sibling)}); PROGRAM=(${quoted(program)});${script}`, 'sshd', ...lines],
    {
      encoding: 'utf8',
      timeout: 120_000,
    },
  );
  expect(done.stderr).toBe('');
  return lines.map((_, n) => ({
    text: readFileSync(join(out, String(n)), 'latin1'),
    code: Number(readFileSync(join(out, `${n}.code`), 'utf8')),
  }));
}

/** Printed after the decision, since the sibling's directory is not a volume. On a volume: test/gluster/session-mount.test.ts. */
const NO_VOLUME = "gsyncd-ts: disallowed transfer: the session's mount: not the root of a volume\n";

function verdict({ text, code }: { text: string; code: number }): Verdict {
  if (text === NO_VOLUME && code === 1) return 'rsync';
  const ran = /^RAN (rsync|gsyncd)/.exec(text)?.[1];
  if (ran === 'rsync' || ran === 'gsyncd') return ran;
  if (/disallowed|not allowed|sibling|target/.test(text)) return code === 0 ? 'gluster' : 'refused';
  return 'gluster';
}

const lines = LINES.map(([line]) => line.replaceAll('MOUNT', join(dir, 'mount')).replaceAll('DIR', dir));
const FAKE = '#!/bin/sh\necho RAN NAME; for word in "$@"; do echo "[$word]"; done\n';
const ours = (): string[] => [process.execPath, join(dir, 'own/gsyncd-ts.js')];

beforeAll(() => {
  for (const name of ['bin', 'mount', 'own']) mkdirSync(join(dir, name));
  symlinkSync(join(dir, 'mount'), join(dir, 'link'));
  copyFileSync('/bin/bash', join(dir, 'sshd'));
  chmodSync(join(dir, 'sshd'), 0o755);
  writeFileSync(join(dir, 'bin/rsync'), FAKE.replace('NAME', 'rsync'), { mode: 0o755 });
  writeFileSync(join(dir, 'bin/fake-python'), FAKE.replace('NAME', 'gsyncd'), { mode: 0o755 });
  for (const name of ['gsyncd.py', 'other.py'])
    writeFileSync(
      join(dir, name),
      `import os, time\nopen("${dir}/ready-%d" % os.getpid(), "w").close()\ntime.sleep(300)\n`,
    );
  // A wrapper of the program: prints the arguments of the secondary instead of running it, and acts as the sibling.
  writeFileSync(
    join(dir, 'own/gsyncd-ts.js'),
    `import { writeFileSync } from 'node:fs';
     const args = process.argv.slice(2);
     if (args[1] === 'sibling') { writeFileSync('${dir}/ready-' + process.pid, ''); setTimeout(() => {}, 300_000); }
     else if (process.env._GSYNCD_DISPATCHED_ === '1') console.log(['RAN gsyncd', ...args.map((arg) => '[' + arg + ']')].join('\\n'));
     else await import('${REPO}/bin/gsyncd-ts.js');`,
  );
  writeFileSync(join(dir, 'own/package.json'), '{"type":"module"}');
});

describe('the forced command', () => {
  const node = (): string[] => [process.execPath, join(dir, 'own/gsyncd-ts.js'), 'secondary', 'sibling'];

  it(
    "decides each line as LINES says beside this project's secondary, and starts no shell",
    { timeout: 150_000 },
    () => {
      const results = runAll(ours(), node(), lines);
      expect(results.map((result, n) => [LINES[n]![0], verdict(result)])).toEqual(
        LINES.map(([line, own]) => [line, own]),
      );
      for (const result of results.filter((each) => verdict(each) === 'refused')) {
        expect(result).toEqual({ code: 1, text: expect.stringMatching(/^gsyncd-ts: [^\n]+\n$/) as string });
      }
      expect(existsSync(join(dir, 'escaped'))).toBe(false);
      // The program gets the words unchanged, split only at spaces.
      expect(results[lines.findIndex((line) => line.includes('/$(id)'))]!.text).toBe(
        'RAN gsyncd\n[slave]\n[gv0]\n[h::sv0]\n[--primary-brick]\n[/$(id)]\n',
      );
      const brick = results[lines.findIndex((line) => line.includes('brück'))]!;
      expect(Buffer.from(brick.text, 'latin1').toString()).toContain("\n[--primary-brick]\n[/srv/it's&brück]\n");
      expect(results[2]!.text).toBe(NO_VOLUME);
    },
  );

  it.skipIf(lacks(existsSync(PYTHON), 'python3 is not installed', "Python's gsyncd as a session's"))(
    "accepts Python's gsyncd as the session's process",
    { timeout: 60_000 },
    () => {
      const results = runAll(ours(), [PYTHON, join(dir, 'gsyncd.py')], lines.slice(0, 3));
      expect(results.map(verdict)).toEqual(['rsync', 'rsync', 'rsync']);
    },
  );

  it.skipIf(lacks(existsSync(PYTHON), 'python3 is not installed', "Python's gsyncd as a session's"))(
    'refuses rsync without a session',
    { timeout: 60_000 },
    () => {
      const results = runAll(ours(), [PYTHON, join(dir, 'other.py')], lines.slice(0, 3));
      expect(results.map(verdict)).toEqual(['refused', 'refused', 'refused']);
    },
  );

  it.skipIf(lacks(STOCK.length > 0 && existsSync(PYTHON), NO_GLUSTER, "forced commands beside stock's"))(
    'allows only lines that the stock wrapper allows, and refuses more only where LINES says so',
    { timeout: 150_000 },
    () => {
      const results = runAll(STOCK, [PYTHON, join(dir, 'gsyncd.py')], lines);
      expect(results.map((result, n) => [LINES[n]![0], verdict(result)])).toEqual(
        LINES.map(([line, own, stock]) => [line, stock ?? own]),
      );
    },
  );
});

describe('decideForcedCommand()', () => {
  const view: ProcessView = {
    self: 30,
    entry: (pid) => ({
      pid,
      parent: { 30: 20, 31: 10, 20: 10, 10: 1 }[pid] ?? 0,
      name: pid === 10 ? 'sshd-session' : 'sh',
      uid: pid === 32 ? 1000 : 0,
    }),
    childrenOf: (pid) => (pid === 10 ? [20, 31] : []),
    commandLine: (pid) =>
      pid >= 31
        ? ['node', '--enable-source-maps', '/opt/bin/gsyncd-ts', 'secondary', 'gv0', 'root@h::sv0', '']
        : ['sh'],
    cwd: () => '/mnt/x',
  };

  it('recognizes sshd-session, the process name of newer sshds', () => {
    expect(decideForcedCommand('rsync --server . /mnt/x', view)).toEqual({
      run: 'rsync',
      args: ['--server', '.', '.'],
      session: 31,
    });
  });

  it('refuses when two sessions share the connection', () => {
    const two = { ...view, childrenOf: () => [31, 32], commandLine: () => view.commandLine(31) };
    expect(decideForcedCommand('rsync --server . /mnt/x', two)).toMatchObject({ run: 'nothing' });
  });

  it('runs only rsync, gsyncd and gluster for any line, and rsync only on the mount', () => {
    const words = fc.oneof(
      fc.constantFrom(
        'rsync',
        '--server',
        '.',
        '/mnt/x',
        '/proc/31/cwd',
        '/',
        '-e.Ls',
        '-s',
        'gluster',
        'volume',
        'info',
        '--',
        '--xml',
        'gsyncd',
        'secondary',
        '..',
      ),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 8 }), (list) => {
        const decision = decideForcedCommand(list.join(' '), view);
        if (decision.run === 'nothing') return !decision.why.includes('\n');
        if (decision.run === 'rsync')
          return decision.args[0] === '--server' && decision.args.at(-1) === '.' && decision.session === 31;
        if (decision.run === 'tar') return false;
        if (decision.run === 'gsyncd') return decision.args[0] === 'secondary' || decision.args[0] === 'slave';
        return (
          decision.args
            .filter((arg) => !arg.startsWith('--'))
            .slice(0, 2)
            .join(' ') === 'volume info'
        );
      }),
    );
  });
});

describe('forcedCommandLine()', () => {
  it('returns SSH_ORIGINAL_COMMAND for a start without arguments', () => {
    expect(forcedCommandLine([], { SSH_ORIGINAL_COMMAND: 'x y' })).toEqual({ line: 'x y', limits: {} });
    expect(forcedCommandLine([], {})).toBeUndefined();
  });
  it("returns undefined for glusterd's calls, calls with arguments, and children of a forced command", () => {
    expect(forcedCommandLine([], { SSH_ORIGINAL_COMMAND: 'x', _GLUSTERD_CALLED_: '1' })).toBeUndefined();
    expect(forcedCommandLine(['status'], { SSH_ORIGINAL_COMMAND: 'x' })).toBeUndefined();
    expect(forcedCommandLine([], { SSH_ORIGINAL_COMMAND: 'x', _GSYNCD_DISPATCHED_: '1' })).toBeUndefined();
  });
  it('reads the key limits from authorized_keys, also when a login shell passes them', () => {
    const env = { SSH_ORIGINAL_COMMAND: 'x' };
    // sshd passes the command= text of authorized_keys to the user's shell unchanged.
    const shell = { ...env, SHELL: '/usr/libexec/glusterfs/gsyncd' };
    for (const own of ['/u/gsyncd  --tar-key', '/u/gsyncd\t--tar-key'])
      expect(forcedCommandLine(['-c', own], shell)).toEqual({ line: 'x', limits: { isTarKey: true } });
    for (const own of ['/u/my gsyncd --only-volume a', '/u/gsyncd --debug'])
      expect(forcedCommandLine(['-c', own], shell)?.limits.problem).toMatch(/^authorized_keys: /);
    expect(forcedCommandLine(['-c', '/u/gsyncd'], shell)).toEqual({ line: 'x', limits: {} });
    expect(forcedCommandLine(['--tar-key'], env)).toEqual({ line: 'x', limits: { isTarKey: true } });
    expect(forcedCommandLine(['--only-volume', 'sv0'], {})).toEqual({ line: '', limits: { onlyVolume: 'sv0' } });
    for (const args of [
      ['--only-volume', 'sv0', '--tar-key'],
      ['--tar-key', '--only-volume', 'sv0'],
    ])
      expect(forcedCommandLine(args, env)).toEqual({ line: 'x', limits: { onlyVolume: 'sv0', isTarKey: true } });
  });
  it.each([
    [['--only-volume']],
    [['--only-volume', '--tar-key']],
    [['--tar-key', 'x']],
    [['--tar-key', '--only-volume', 'sv0', 'more']],
  ])('refuses every command with the malformed key limits %j', (args) => {
    const forced = forcedCommandLine(args, { SSH_ORIGINAL_COMMAND: 'gluster volume info' })!;
    expect(
      decideForcedCommand(
        forced.line,
        { self: 1, entry: () => undefined, childrenOf: () => [], commandLine: () => [], cwd: () => undefined },
        forced.limits,
      ),
    ).toMatchObject({ run: 'nothing', why: expect.stringContaining('authorized_keys') as string });
  });
  it('reads the key limits when gsyncd is the login shell', () => {
    const args = ['-c', '/usr/libexec/glusterfs/gsyncd --only-volume sv0'];
    const env = { SHELL: '/usr/libexec/glusterfs/gsyncd' };
    expect(forcedCommandLine(args, { ...env, SSH_ORIGINAL_COMMAND: 'x' })).toEqual({
      line: 'x',
      limits: { onlyVolume: 'sv0' },
    });
    expect(forcedCommandLine(args, env)).toEqual({ line: '', limits: { onlyVolume: 'sv0' } });
  });
  it('returns the -c command when gsyncd is the login shell', () => {
    expect(forcedCommandLine(['-c', 'gsyncd secondary'], { SHELL: '/usr/libexec/glusterfs/gsyncd' })).toEqual({
      line: 'gsyncd secondary',
      limits: {},
    });
    expect(forcedCommandLine(['-c', 'gsyncd secondary'], { SHELL: '/bin/sh' })).toBeUndefined();
  });
});
