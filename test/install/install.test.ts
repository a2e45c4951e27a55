// `gsyncd-ts install` on directories that look like a machine's root: what it does to the stock paths, and that the
// launcher works in the environments of glusterd and sshd. The real command runs.

import { spawnSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, lchownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { changeableBelow, changeableByOthers } from '../../src/install/access.js';
import { gsyncdKind, launcherText } from '../../src/install/launcher.js';
import { logrotateText, unitText } from '../../src/install/systemd.js';
import { canBeUser } from '../ordinary-user.js';
import { lacks, lacksProgram, lacksRoot } from '../skip.js';

const REPO = resolve(import.meta.dirname, '../..');
const BIN = join(REPO, 'bin/gsyncd-ts.js');
const OTHER_USER = 'installing as another user';
const STOCK = '\x7fELF … /python/syncdaemon/gsyncd.py …';
const base = mkdtempSync(join(tmpdir(), 'install-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));

let root = '';
beforeEach(() => {
  root = mkdtempSync(join(base, 'root-'));
});

const DEBIAN = 'usr/lib/x86_64-linux-gnu/glusterfs/gsyncd';
const UPSTREAM = 'usr/libexec/glusterfs/gsyncd';

function put(path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text, { encoding: 'latin1', mode: 0o755 });
}

function get(path: string): string {
  return readFileSync(join(root, path), 'latin1');
}

function install(...args: string[]): { code: number | null; out: string; err: string } {
  const done = spawnSync(process.execPath, [BIN, 'install', '--root', root, ...args], { encoding: 'utf8' });
  return { code: done.status, out: done.stdout.replaceAll(root, ''), err: done.stderr.replaceAll(root, '') };
}

describe('install', () => {
  it('replaces the gsyncd of Debian and of upstream, keeps both, and puts both back', () => {
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

  it('does nothing the second time, and says so', () => {
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

  it('gives admins a command, its manual page and completions, and takes them away again', () => {
    put(DEBIAN, STOCK);
    const files = ['usr/local/bin/gsyncd-ts', 'usr/share/man/man8/gsyncd-ts.8', 'usr/share/bash-completion/completions/gsyncd-ts', 'usr/local/share/zsh/site-functions/_gsyncd-ts'];
    const done = install();
    for (const path of files) expect(done.out).toMatch(new RegExp(`^/${path}: (written|linked to .*/gsyncd-ts\\.js)$`, 'm'));
    expect(spawnSync(join(root, files[0]!), ['--version'], { encoding: 'utf8' }).stdout).toMatch(/^gsyncd/);
    expect(get(files[1]!)).toContain('.SS gsyncd\\-ts worker');
    expect(get(files[2]!)).toContain('config-set');
    expect(get(files[3]!)).toMatch(/^#compdef gsyncd-ts/);
    expect(install().out.match(/nothing to do: it is there/g)).toHaveLength(4);
    install('--uninstall');
    for (const path of files) expect(existsSync(join(root, path))).toBe(false);
  });

  it("leaves another program's command and npm's link alone, and follows a copy of its own", () => {
    put(DEBIAN, STOCK);
    const name = join(root, 'usr/local/bin/gsyncd-ts');
    mkdirSync(dirname(name), { recursive: true });
    for (const make of [() => writeFileSync(name, 'mine'), () => symlinkSync('../lib/node_modules/gsyncd-ts/bin/gsyncd-ts.js', name)]) {
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

  it('notices a package upgrade over the launcher, and keeps the new original', () => {
    put(DEBIAN, STOCK);
    install();
    rmSync(join(root, DEBIAN));
    put(DEBIAN, `${STOCK} 11.0`);
    expect(install('--dry-run').out).toContain('a package upgrade had put a stock gsyncd over the launcher');
    expect(install().code).toBe(0);
    install('--uninstall');
    expect(get(DEBIAN)).toContain('11.0');
  });

  it('leaves the newer original in place when uninstalled after an upgrade', () => {
    put(DEBIAN, STOCK);
    install();
    rmSync(join(root, DEBIAN));
    put(DEBIAN, `${STOCK} 11.0`);
    expect(install('--uninstall').out).toContain('package upgrade');
    expect(get(DEBIAN)).toContain('11.0');
    expect(readdirSync(dirname(join(root, DEBIAN)))).toEqual(['gsyncd']);
  });

  it('goes on where an install was cut short', () => {
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

  it('refuses a file that it does not know, and then touches nothing anywhere', () => {
    put(DEBIAN, STOCK);
    put(UPSTREAM, '#!/bin/sh\nexec /site/own/gsyncd\n');
    const done = install();
    expect(done.code).toBe(1);
    expect(done.err).toBe(`gsyncd-ts: install: /${UPSTREAM}: what stands there is neither a stock gsyncd nor a launcher of this program\n`);
    expect(get(DEBIAN)).toContain('ELF');
  });

  it('refuses where there is no GlusterFS, and to uninstall without the original', () => {
    expect(install()).toMatchObject({ code: 1, err: expect.stringMatching(/^gsyncd-ts: install: no gsyncd below [^\n]+\n$/) as string });
    put(DEBIAN, launcherText('/n', '/s'));
    expect(install('--uninstall')).toMatchObject({ code: 1, err: expect.stringContaining('install the GlusterFS package again') as string });
  });

  it('takes a place that is reached under two names once', () => {
    put(DEBIAN, STOCK);
    mkdirSync(join(root, 'usr/libexec'), { recursive: true });
    symlinkSync(dirname(join(root, DEBIAN)), join(root, 'usr/libexec/glusterfs'));
    expect(install().out.match(/launcher is put/g)).toHaveLength(1);
    expect(gsyncdKind(readFileSync(join(root, `${DEBIAN}.stock`)))).toBe('stock');
  });

  it.skipIf(lacksRoot(OTHER_USER) || lacks(canBeUser(), 'no other user can run the program', OTHER_USER))('refuses an ordinary user with one line', () => {
    const done = spawnSync(process.execPath, ['--input-type=module', '-e', `process.seteuid(65534); process.argv = ['node', '${BIN}', 'install']; await (await import('${REPO}/dist/cli/main.js')).main(process.argv, () => import('${REPO}/dist/cli/long-way.js'))`], { encoding: 'utf8' });
    expect(done).toMatchObject({ status: 1, stderr: 'gsyncd-ts: install: not root: the directories of GlusterFS are not writable\n' });
  });

  it('writes and removes the unit and the snippet, and leaves logs to a snippet that has them', () => {
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

describe('install, with what others can change', () => {
  it('refuses a copy of the program in one line, and does nothing', () => {
    const copy = join(root, 'copy');
    for (const name of ['bin', 'dist', 'package.json']) cpSync(join(REPO, name), join(copy, name), { recursive: true });
    symlinkSync(join(REPO, 'node_modules'), join(copy, 'node_modules'));
    chmodSync(join(copy, 'dist/cli/main.cjs'), 0o666);
    put(DEBIAN, STOCK);
    for (const mode of [[], ['--dry-run']]) {
      const done = spawnSync(process.execPath, [join(copy, 'bin/gsyncd-ts.js'), 'install', '--root', root, ...mode], { encoding: 'utf8' });
      expect(done).toMatchObject({ status: 1, stdout: '', stderr: expect.stringMatching(/^gsyncd-ts: install: \/[^\n]*: other users can change it[^\n]*\n$/) as string });
    }
    expect(readdirSync(dirname(join(root, DEBIAN)))).toEqual(['gsyncd']);
  });

  it.skipIf(lacksRoot('who can change a file'))('knows owner, group, others, links and every directory on the way', async () => {
    const home = mkdtempSync(join(homedir(), '.changeable-'));
    try {
      const file = join(home, 'a/b/file');
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, '');
      symlinkSync('b/file', join(home, 'a/link'));
      const found = async (path = file): Promise<string | undefined> => (await changeableByOthers(path, [0]))?.slice(home.length);
      expect(await found()).toBeUndefined();
      expect(await found(join(home, 'a/link'))).toBeUndefined();
      expect(changeableBelow(home, [0])).toBeUndefined();
      for (const [path, change, back] of [
        ['/a/b/file', () => chmodSync(file, 0o666), () => chmodSync(file, 0o644)],
        ['/a/b', () => chmodSync(dirname(file), 0o777), () => chmodSync(dirname(file), 0o755)],
        ['/a', () => chownSync(join(home, 'a'), 4321, 0), () => chownSync(join(home, 'a'), 0, 0)],
        ['/a/b', () => (chownSync(dirname(file), 0, 4321), chmodSync(dirname(file), 0o775)), () => chmodSync(dirname(file), 0o755)],
      ] as const) {
        change();
        expect(await found()).toBe(path);
        expect(await found(join(home, 'a/link'))).toBe(path);
        expect(changeableBelow(home, [0])?.slice(home.length)).toBe(path);
        back();
      }
      chmodSync(dirname(file), 0o1777);
      expect(await found()).toBeUndefined();
      expect(changeableBelow(home, [0])).toBe(dirname(file));
      chownSync(file, 4321, 0);
      expect(await found()).toBe('/a/b/file');
      lchownSync(join(home, 'a/link'), 4321, 0);
      expect(await found(join(home, 'a/link'))).toBe('/a/link');
      symlinkSync('loop', join(home, 'loop'));
      await expect(changeableByOthers(join(home, 'loop'), [0])).rejects.toMatchObject({ code: 'ELOOP' });
    } finally {
      rmSync(home, { recursive: true });
    }
  });
});

describe('install --tar-keys', () => {
  const TAR = 'command="tar ${SSH_ORIGINAL_COMMAND#* }"';
  const KEYS = [
    'ssh-ed25519 AAAAadmin admin@x',
    `command="/${DEBIAN}" ssh-rsa AAAAsecret root@p1`,
    `${TAR} ssh-rsa AAAAtar root@p1`,
    '',
    `#${TAR} ssh-rsa AAAAcomment root@p1`,
    `from="10.0.0.1",${TAR},no-pty ssh-rsa AAAAfrom r\xfcdiger@p2\t `,
    'command="tar -x $SSH_ORIGINAL_COMMAND" ssh-rsa AAAAown x',
  ].join('\n');
  const keys = (home: string, text = KEYS): void => {
    put(`${home}/.ssh/authorized_keys`, text);
    chmodSync(join(root, home, '.ssh/authorized_keys'), 0o600);
  };
  beforeEach(() => {
    put(DEBIAN, STOCK);
    put('etc/passwd', 'root:x:0:0:root:/root:/bin/bash\ngeo:x:4321:4321::/srv/geo:/bin/sh\nother:x:4322:4322::/srv/other:/bin/sh\n');
    put('etc/glusterfs/glusterd.vol', 'volume management\n    option mountbroker-root /var/mountbroker-root\n    option mountbroker-geo-replication.geo sv0\nend-volume\n');
  });

  it('makes them go through the launcher, and uninstalling puts every byte back', () => {
    keys('root');
    expect(install('--dry-run', '--tar-keys').out).toContain('/root/.ssh/authorized_keys: would: tar keys go through gsyncd');
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS);
    const done = install('--tar-keys');
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toContain('/root/.ssh/authorized_keys: tar keys go through gsyncd');
    // What somebody else wrote is told, not changed.
    expect(done.out).toContain('/root/.ssh/authorized_keys: note: 1 tar key lets its holder run any program');
    const own = `restrict,command="/${DEBIAN} --tar-key"`;
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS.replace(`\n${TAR}`, `\n${own}`).replace(`,${TAR},`, `,${own},`));
    expect(statSync(join(root, 'root/.ssh/authorized_keys')).mode & 0o7777).toBe(0o600);
    expect(install('--tar-keys').out).not.toContain('keys go through');
    expect(install('--uninstall').out).toContain('/root/.ssh/authorized_keys: tar keys are put back');
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS);
    expect(readdirSync(join(root, 'root/.ssh'))).toEqual(['authorized_keys']);
  });

  it('says without the option how many let their holders run anything, and changes nothing', () => {
    keys('root');
    expect(install().out).toContain('/root/.ssh/authorized_keys: note: 3 tar keys let their holders run any program: install --tar-keys restricts');
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS);
  });

  it("does not count GlusterFS's line below the restricted one of the same key, and counts a new session's", () => {
    keys('root', `${TAR} ssh-rsa AAAAone x\n`);
    install('--tar-keys');
    keys('root', `${get('root/.ssh/authorized_keys')}${TAR} ssh-rsa AAAAone x\n`);
    expect(install().out).not.toContain('any program');
    keys('root', `${get('root/.ssh/authorized_keys')}${TAR} ssh-rsa AAAAtwo x\n`);
    expect(install().out).toContain('note: 1 tar key lets');
  });

  it.each([
    ['a restricted line that holds from some hosts only', `from="10.0.0.1",restrict,command="/usr/libexec/glusterfs/gsyncd --tar-key" ssh-rsa AAAAone x\n${TAR} ssh-rsa AAAAone x\n`],
    ['an option name in capitals', `${TAR.replace('command', 'Command')} ssh-rsa AAAAone x\n`],
    ['a comment that looks like a restricted line', `${TAR} ssh-rsa AAAAone restrict,command="/usr/libexec/glusterfs/gsyncd --tar-key" \n`],
  ])('counts a key that lets its holder run anything: %s', (_what, text) => {
    keys('root', text);
    expect(install().out).toContain('note: 1 tar key lets');
  });

  it.skipIf(lacksRoot('keys of the mount broker\'s users'))("takes the mount broker's users as themselves, where sshd looks for their keys, and follows no link of theirs", () => {
    for (const home of ['root', 'srv/geo', 'srv/other']) keys(home);
    const geo = join(root, 'srv/geo');
    // The way there is open, as a home's is.
    for (const dir of [base, root]) chmodSync(dir, 0o755);
    for (const path of [geo, join(geo, '.ssh'), join(geo, '.ssh/authorized_keys')]) chownSync(path, 4321, 4321);
    expect(install('--tar-keys').out).toContain('/srv/geo/.ssh/authorized_keys: tar keys go through gsyncd');
    expect(statSync(join(geo, '.ssh/authorized_keys'))).toMatchObject({ uid: 4321, gid: 4321 });
    expect(get('srv/other/.ssh/authorized_keys')).toBe(KEYS);
    install('--uninstall');
    expect(get('srv/geo/.ssh/authorized_keys')).toBe(KEYS);

    rmSync(join(geo, '.ssh/authorized_keys'));
    symlinkSync(join(root, 'root/.ssh/authorized_keys'), join(geo, '.ssh/authorized_keys'));
    const linked = install('--tar-keys');
    expect(linked.out).toContain('/srv/geo/.ssh/authorized_keys: note: its tar keys were left as they are: ELOOP');
    rmSync(join(geo, '.ssh'), { recursive: true });
    symlinkSync(join(root, 'root/.ssh'), join(geo, '.ssh'));
    keys('root');
    chmodSync(join(root, 'root/.ssh'), 0o700);
    expect(install('--tar-keys').out).toContain('/srv/geo/.ssh/authorized_keys: note: its tar keys were left as they are: EACCES');

    put('etc/ssh/sshd_config', 'Port 22\nAuthorizedKeysFile /etc/keys/%u .ssh/authorized_keys\n');
    put('etc/keys/root', KEYS);
    expect(install('--tar-keys').out).toContain('/etc/keys/root: tar keys go through gsyncd');
  });
});

describe('the launcher', () => {
  const launcher = (): string => join(root, 'usr/libexec/glusterfs/gsyncd');
  const run = (args: string[], env: Record<string, string>): ReturnType<typeof spawnSync> => spawnSync(launcher(), args, { encoding: 'utf8', env });

  it('works without any environment, with arguments as they are, and as a forced command', () => {
    put(UPSTREAM, launcherText(process.execPath, BIN));
    expect(run(['--version'], {}).stdout).toMatch(/^gsyncd/);
    expect(run(['worker', 'a b', "it's"], {}).stderr).toContain("it's");
    const refused = run([], { SSH_ORIGINAL_COMMAND: 'id' });
    expect(refused).toMatchObject({ status: 1, stderr: 'gsyncd-ts: invoking id in restricted SSH session is not allowed\n' });
  });

  it('adds to PATH, ahead of nothing, and finds another node when its own has gone', () => {
    const script = join(root, "it's.js");
    writeFileSync(script, 'console.log(process.env.PATH)');
    put(UPSTREAM, launcherText('/gone/node', script));
    const own = dirname(process.execPath);
    expect(run([], { PATH: own }).stdout).toBe(`${own}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n`);
    put(UPSTREAM, launcherText(process.execPath, script));
    expect(run([], {}).stdout).toMatch(/:\/bin\n$/);
  });
});


describe('for systemd and logrotate', () => {
  it.skipIf(lacksProgram('systemd-analyze', 'checks of the unit'))('the unit passes systemd-analyze verify', { timeout: 60_000 }, () => {
    const unit = join(root, 'gsyncd-ts-worker@.service');
    writeFileSync(unit, unitText(process.execPath, BIN));
    const done = spawnSync('systemd-analyze', ['verify', '--man=no', unit.replace('@', '@b1')], { encoding: 'utf8', env: { ...process.env, SYSTEMD_UNIT_PATH: `${root}:` } });
    const complaints = `${done.stdout}${done.stderr}`.split('\n').filter((line) => line.includes('gsyncd-ts') && !/Restart(Steps|MaxDelaySec)/.test(line));
    expect(complaints).toEqual([]);
    expect(done.status).toBe(0);
  });

  it.skipIf(lacksProgram('systemd-analyze', 'checks of the unit'))('the unit is exposed no more than SECURITY.md says', { timeout: 60_000 }, () => {
    const unit = join(root, 'gsyncd-ts-worker.service');
    writeFileSync(unit, unitText(process.execPath, BIN));
    const done = spawnSync('systemd-analyze', ['security', '--offline=true', '--threshold=40', '--no-pager', unit], { encoding: 'utf8' });
    expect(`${done.stdout}${done.stderr}`).toMatch(/Overall exposure level .*: [0-4]\.\d OK/);
    expect(done.status).toBe(0);
  });

  it('a path with signs that systemd reads is quoted', () => {
    expect(unitText('/usr/bin/node', '/opt/my app/100%/$x.js')).toContain('ExecStart=/usr/bin/node "/opt/my app/100%%/$$x.js" worker');
  });

  it.skipIf(lacksProgram('logrotate', 'rotation of logs'))('the snippet is understood by logrotate', () => {
    const snippet = join(root, 'snippet');
    writeFileSync(snippet, logrotateText());
    chmodSync(snippet, 0o644);
    const done = spawnSync('logrotate', ['-d', '-s', join(root, 'state'), snippet], { encoding: 'utf8' });
    expect(done.status).toBe(0);
    expect(done.stderr).not.toMatch(/error/i);
    expect(done.stderr).toContain('geo-replication');
  });

  it.skipIf(lacksProgram('logrotate', 'rotation of logs') || lacks(process.geteuid?.() === 0, 'not root', 'rotation of logs'))("rotates root's logs, and nothing where others can write or that a symlink leads to", () => {
    const logs = mkdtempSync(join('/var/tmp', 'gsyncd-logs-'));
    const [own, secondaries, elsewhere] = ['geo-replication/session', 'geo-replication-secondaries/node', 'elsewhere'].map((name) => join(logs, name)) as [string, string, string];
    const rotated = (): string[] => {
      for (const dir of [own, secondaries, elsewhere]) {
        rmSync(dir, { recursive: true, force: true });
        mkdirSync(dir, { recursive: true, mode: 0o755 });
        writeFileSync(join(dir, 'gsyncd.log'), 'line\n');
      }
      const snippet = join(logs, 'snippet');
      writeFileSync(snippet, logrotateText().replaceAll('/var/log/glusterfs', logs).replaceAll('pkill', 'true'), { mode: 0o644 });
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
