// Runs `gsyncd-ts install` on directories that look like a machine's root. Checks the stock paths, and that the launcher
// works in the environments of glusterd and sshd.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { gsyncdKind, launcherText } from '../../src/install/launcher.js';
import { logrotateText, unitText } from '../../src/install/systemd.js';
import { canBeUser } from '../ordinary-user.js';
import { lacks, lacksProgram, lacksRoot } from '../skip.js';
import { BIN, DEBIAN, get, install, put, REPO, root, STOCK, UPSTREAM } from './root.js';

const OTHER_USER = 'installing as another user';

describe('install', () => {
  it('replaces the gsyncd of Debian and of upstream, and --uninstall restores both', () => {
    put(DEBIAN, STOCK);
    put(UPSTREAM, `#!/usr/bin/python3\nimport syncdaemon # gsyncd.py\n`);
    const done = install();
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out.split('\n').filter((line) => line.includes('launcher is put'))).toHaveLength(2);
    for (const path of [DEBIAN, UPSTREAM]) expect(gsyncdKind(Buffer.from(get(path)))).toBe('launcher');
    expect(statSync(join(root, DEBIAN)).mode & 0o7777).toBe(0o755);
    expect(get(`${DEBIAN}.stock`)).toBe(Buffer.from(STOCK, 'latin1').toString('latin1'));
    expect(install('--uninstall')).toMatchObject({ code: 0, err: '' });
    expect(readdirSync(dirname(join(root, DEBIAN)))).toEqual(['gsyncd']);
    expect(get(DEBIAN)).toBe(Buffer.from(STOCK, 'latin1').toString('latin1'));
    expect(get(UPSTREAM)).toContain('syncdaemon');
    expect(install('--uninstall').out).toContain(`/${DEBIAN}: nothing to do`);
  });

  it('changes nothing the second time, and prints so', () => {
    put(DEBIAN, STOCK);
    install();
    const before = statSync(join(root, DEBIAN)).ino;
    expect(install()).toMatchObject({ code: 0, out: expect.stringContaining(`/${DEBIAN}: nothing to do`) as string });
    expect(statSync(join(root, DEBIAN)).ino).toBe(before);
    expect(gsyncdKind(readFileSync(join(root, `${DEBIAN}.stock`)))).toBe('stock');
  });

  it('changes nothing in a dry run', () => {
    put(DEBIAN, STOCK);
    expect(install('--dry-run', '--systemd').out).toContain('would: the launcher is put in its place');
    expect(readdirSync(dirname(join(root, DEBIAN)))).toEqual(['gsyncd']);
    for (const path of ['etc', 'usr/local', 'usr/share']) expect(existsSync(join(root, path))).toBe(false);
  });

  it('installs the command, its manual page and completions, and --uninstall removes them', () => {
    put(DEBIAN, STOCK);
    const files = [
      'usr/local/bin/gsyncd-ts',
      'usr/share/man/man8/gsyncd-ts.8',
      'usr/share/bash-completion/completions/gsyncd-ts',
      'usr/local/share/zsh/site-functions/_gsyncd-ts',
    ];
    const done = install();
    for (const path of files)
      expect(done.out).toMatch(new RegExp(`^/${path}: (written|linked to .*/gsyncd-ts\\.js)$`, 'm'));
    expect(spawnSync(join(root, files[0]!), ['--version'], { encoding: 'utf8' }).stdout).toMatch(/^gsyncd/);
    expect(get(files[1]!)).toContain('.SS gsyncd\\-ts worker');
    expect(get(files[2]!)).toContain('config-set');
    expect(get(files[3]!)).toMatch(/^#compdef gsyncd-ts/);
    expect(install().out.match(/nothing to do: it is there/g)).toHaveLength(4);
    install('--uninstall');
    for (const path of files) expect(existsSync(join(root, path))).toBe(false);
  });

  it("keeps another program's command and npm's symlink, and replaces a symlink to another copy", () => {
    put(DEBIAN, STOCK);
    const name = join(root, 'usr/local/bin/gsyncd-ts');
    mkdirSync(dirname(name), { recursive: true });
    for (const make of [
      () => writeFileSync(name, 'mine'),
      () => symlinkSync('../lib/node_modules/gsyncd-ts/bin/gsyncd-ts.js', name),
    ]) {
      make();
      expect(install().out).toContain('/usr/local/bin/gsyncd-ts: nothing to do: something else is there');
      install('--uninstall');
      expect(lstatSync(name)).toBeDefined();
      rmSync(name);
    }
    symlinkSync('/old/copy/bin/gsyncd-ts.js', name);
    install();
    expect(readlinkSync(name)).toBe(BIN);
  });

  it('detects a package upgrade over the launcher, and keeps the new original', () => {
    put(DEBIAN, STOCK);
    install();
    rmSync(join(root, DEBIAN));
    put(DEBIAN, `${STOCK} 11.0`);
    expect(install('--dry-run').out).toContain('a package upgrade had put a stock gsyncd over the launcher');
    expect(install().code).toBe(0);
    install('--uninstall');
    expect(get(DEBIAN)).toContain('11.0');
  });

  it('--uninstall after a package upgrade keeps the newer original', () => {
    put(DEBIAN, STOCK);
    install();
    rmSync(join(root, DEBIAN));
    put(DEBIAN, `${STOCK} 11.0`);
    expect(install('--uninstall').out).toContain('package upgrade');
    expect(get(DEBIAN)).toContain('11.0');
    expect(readdirSync(dirname(join(root, DEBIAN)))).toEqual(['gsyncd']);
  });

  it('completes an interrupted install', () => {
    put(DEBIAN, STOCK);
    put(`${DEBIAN}.stock`, STOCK);
    const done = install();
    expect(done.out).not.toContain('upgrade');
    expect(gsyncdKind(readFileSync(join(root, DEBIAN)))).toBe('launcher');
  });

  it('replaces the launcher of another copy of this program without touching the original', () => {
    put(DEBIAN, launcherText('/old/node', '/old/gsyncd-ts.js'));
    put(`${DEBIAN}.stock`, STOCK);
    expect(install().code).toBe(0);
    expect(get(DEBIAN)).toContain(BIN);
    expect(gsyncdKind(readFileSync(join(root, `${DEBIAN}.stock`)))).toBe('stock');
  });

  it('refuses an unknown gsyncd file, and changes no other path', () => {
    put(DEBIAN, STOCK);
    put(UPSTREAM, '#!/bin/sh\nexec /site/own/gsyncd\n');
    const done = install();
    expect(done.code).toBe(1);
    expect(done.err).toBe(
      `gsyncd-ts: install: /${UPSTREAM}: what stands there is neither a stock gsyncd nor a launcher of this program\n`,
    );
    expect(get(DEBIAN)).toContain('ELF');
  });

  it('refuses without GlusterFS, and refuses --uninstall without the original', () => {
    expect(install()).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^gsyncd-ts: install: no gsyncd below [^\n]+\n$/) as string,
    });
    put(DEBIAN, launcherText('/n', '/s'));
    expect(install('--uninstall')).toMatchObject({
      code: 1,
      err: expect.stringContaining('install the GlusterFS package again') as string,
    });
  });

  it('handles a directory with two names once', () => {
    put(DEBIAN, STOCK);
    mkdirSync(join(root, 'usr/libexec'), { recursive: true });
    symlinkSync(dirname(join(root, DEBIAN)), join(root, 'usr/libexec/glusterfs'));
    expect(install().out.match(/launcher is put/g)).toHaveLength(1);
    expect(gsyncdKind(readFileSync(join(root, `${DEBIAN}.stock`)))).toBe('stock');
  });

  it.skipIf(lacksRoot(OTHER_USER) || lacks(canBeUser(), 'no other user can run the program', OTHER_USER))(
    'refuses to run as an ordinary user, with one line',
    () => {
      const done = spawnSync(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `process.seteuid(65534); process.argv = ['node', '${BIN}', 'install']; await (await import('${REPO}/dist/cli/main.js')).main(process.argv, () => import('${REPO}/dist/cli/full-cli.js'))`,
        ],
        { encoding: 'utf8' },
      );
      expect(done).toMatchObject({
        status: 1,
        stderr: 'gsyncd-ts: install: not root: the directories of GlusterFS are not writable\n',
      });
    },
  );

  it('writes and removes unit and logrotate snippet, but no snippet for logs that another one rotates', () => {
    put(DEBIAN, STOCK);
    install('--systemd');
    expect(get('etc/systemd/system/gsyncd-ts-worker@.service')).toContain(BIN);
    expect(get('etc/logrotate.d/gsyncd-ts')).toContain('HUP');
    install('--uninstall');
    expect(existsSync(join(root, 'etc/logrotate.d/gsyncd-ts'))).toBe(false);
    expect(existsSync(join(root, 'etc/systemd/system/gsyncd-ts-worker@.service'))).toBe(false);
    put('etc/logrotate.d/glusterfs-georep', '/var/log/glusterfs/geo-replication/*/*.log { weekly }');
    expect(install('--systemd').out).toContain('/etc/logrotate.d/glusterfs-georep rotates these logs already');
    expect(existsSync(join(root, 'etc/logrotate.d/gsyncd-ts'))).toBe(false);
  });
});

describe('the launcher', () => {
  const launcher = (): string => join(root, 'usr/libexec/glusterfs/gsyncd');
  const run = (args: string[], env: Record<string, string>): ReturnType<typeof spawnSync> =>
    spawnSync(launcher(), args, { encoding: 'utf8', env });

  it('works with an empty environment, passes arguments unchanged, and works as a forced command', () => {
    put(UPSTREAM, launcherText(process.execPath, BIN));
    expect(run(['--version'], {}).stdout).toMatch(/^gsyncd/);
    expect(run(['worker', 'a b', "it's"], {}).stderr).toContain("it's");
    const refused = run([], { SSH_ORIGINAL_COMMAND: 'id' });
    expect(refused).toMatchObject({
      status: 1,
      stderr: 'gsyncd-ts: invoking id in restricted SSH session is not allowed\n',
    });
  });

  it('appends to PATH, and uses another node when its own is missing', () => {
    const script = join(root, "it's.js");
    writeFileSync(script, 'console.log(process.env.PATH)');
    put(UPSTREAM, launcherText('/gone/node', script));
    const own = dirname(process.execPath);
    expect(run([], { PATH: own }).stdout).toBe(`${own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n`);
    put(UPSTREAM, launcherText(process.execPath, script));
    expect(run([], {}).stdout).toMatch(/:\/bin\n$/);
  });
});

describe('systemd unit and logrotate snippet', () => {
  it.skipIf(lacksProgram('systemd-analyze', 'checks of the unit'))(
    'the unit passes systemd-analyze verify',
    { timeout: 60_000 },
    () => {
      const unit = join(root, 'gsyncd-ts-worker@.service');
      writeFileSync(unit, unitText(process.execPath, BIN));
      const done = spawnSync('systemd-analyze', ['verify', '--man=no', unit.replace('@', '@b1')], {
        encoding: 'utf8',
        env: { ...process.env, SYSTEMD_UNIT_PATH: `${root}:` },
      });
      const complaints = `${done.stdout}${done.stderr}`
        .split('\n')
        .filter((line) => line.includes('gsyncd-ts') && !/Restart(Steps|MaxDelaySec)/.test(line));
      expect(complaints).toEqual([]);
      expect(done.status).toBe(0);
    },
  );

  it.skipIf(lacksProgram('systemd-analyze', 'checks of the unit'))(
    'the unit stays within the systemd exposure level of SECURITY.md',
    { timeout: 60_000 },
    () => {
      const unit = join(root, 'gsyncd-ts-worker.service');
      writeFileSync(unit, unitText(process.execPath, BIN));
      const done = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=40', '--no-pager', unit], {
        encoding: 'utf8',
      });
      expect(`${done.stdout}${done.stderr}`).toMatch(/Overall exposure level .*: [0-4]\.\d OK/);
      expect(done.status).toBe(0);
    },
  );

  it('unitText() quotes characters that systemd interprets in a path', () => {
    expect(unitText('/usr/bin/node', '/opt/my app/100%/$x.js')).toContain(
      'ExecStart=/usr/bin/node "/opt/my app/100%%/$$x.js" worker',
    );
  });

  it.skipIf(lacksProgram('logrotate', 'rotation of logs'))('logrotate accepts the snippet', () => {
    const snippet = join(root, 'snippet');
    writeFileSync(snippet, logrotateText());
    chmodSync(snippet, 0o644);
    const done = spawnSync('logrotate', ['-d', '-s', join(root, 'state'), snippet], { encoding: 'utf8' });
    expect(done.status).toBe(0);
    expect(done.stderr).not.toMatch(/error/i);
    expect(done.stderr).toContain('geo-replication');
  });

  it.skipIf(
    lacksProgram('logrotate', 'rotation of logs') || lacks(process.geteuid?.() === 0, 'not root', 'rotation of logs'),
  )("logrotate rotates root's logs, and no logs behind symlinks or in directories that others can write", () => {
    const logs = mkdtempSync(join('/var/tmp', 'gsyncd-logs-'));
    const [own, secondaries, elsewhere] = [
      'geo-replication/session',
      'geo-replication-secondaries/node',
      'elsewhere',
    ].map((name) => join(logs, name)) as [string, string, string];
    const rotated = (): string[] => {
      for (const dir of [own, secondaries, elsewhere]) {
        rmSync(dir, { recursive: true, force: true });
        mkdirSync(dir, { recursive: true, mode: 0o755 });
        writeFileSync(join(dir, 'gsyncd.log'), 'line\n');
      }
      const snippet = join(logs, 'snippet');
      writeFileSync(snippet, logrotateText().replaceAll('/var/log/glusterfs', logs).replaceAll('pkill', 'true'), {
        mode: 0o644,
      });
      spawnSync('logrotate', ['-f', '-s', join(logs, 'state'), snippet]);
      return [own, secondaries, elsewhere].filter((dir) => existsSync(join(dir, 'gsyncd.log.1')));
    };
    const parent = join(logs, 'geo-replication-secondaries');
    try {
      expect(rotated()).toEqual([own, secondaries]);
      symlinkSync(elsewhere, join(parent, 'planted'));
      expect(rotated()).toEqual([own]);
      rmSync(join(parent, 'planted'));
      chmodSync(parent, 0o775);
      expect(rotated()).toEqual([own]);
      symlinkSync(elsewhere, join(parent, 'planted'));
      expect(rotated()).toEqual([own]);
    } finally {
      rmSync(logs, { recursive: true });
    }
  });
});
