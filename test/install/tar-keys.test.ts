// Tar keys of sessions in authorized_keys: restricted to the launcher, counted, and restored.

import { chmodSync, chownSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { lacksRoot } from '../skip.js';
import { base, DEBIAN, get, install, put, root, STOCK } from './root.js';

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
    put(
      'etc/passwd',
      'root:x:0:0:root:/root:/bin/bash\ngeo:x:4321:4321::/srv/geo:/bin/sh\nother:x:4322:4322::/srv/other:/bin/sh\n',
    );
    put(
      'etc/glusterfs/glusterd.vol',
      'volume management\n    option mountbroker-root /var/mountbroker-root\n    option mountbroker-geo-replication.geo sv0\nend-volume\n',
    );
  });

  it('restricts tar keys to the launcher, and --uninstall restores every byte', () => {
    keys('root');
    expect(install('--dry-run', '--tar-keys').out).toContain(
      '/root/.ssh/authorized_keys: would: tar keys go through gsyncd',
    );
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS);
    const done = install('--tar-keys');
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toContain('/root/.ssh/authorized_keys: tar keys go through gsyncd');
    // install reports lines that GlusterFS did not write, and does not change them.
    expect(done.out).toContain('/root/.ssh/authorized_keys: note: 1 tar key lets its holder run any program');
    const own = `restrict,command="/${DEBIAN} --tar-key"`;
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS.replace(`\n${TAR}`, `\n${own}`).replace(`,${TAR},`, `,${own},`));
    expect(statSync(join(root, 'root/.ssh/authorized_keys')).mode & 0o7777).toBe(0o600);
    expect(install('--tar-keys').out).not.toContain('keys go through');
    expect(install('--uninstall').out).toContain('/root/.ssh/authorized_keys: tar keys are put back');
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS);
    expect(readdirSync(join(root, 'root/.ssh'))).toEqual(['authorized_keys']);
  });

  it('install without the option prints the number of unrestricted tar keys, and changes nothing', () => {
    keys('root');
    expect(install().out).toContain(
      '/root/.ssh/authorized_keys: note: 3 tar keys let their holders run any program: install --tar-keys restricts',
    );
    expect(get('root/.ssh/authorized_keys')).toBe(KEYS);
  });

  it("install does not count GlusterFS's line below the restricted line of the same key, but counts a new key", () => {
    keys('root', `${TAR} ssh-rsa AAAAone x\n`);
    install('--tar-keys');
    keys('root', `${get('root/.ssh/authorized_keys')}${TAR} ssh-rsa AAAAone x\n`);
    expect(install().out).not.toContain('any program');
    keys('root', `${get('root/.ssh/authorized_keys')}${TAR} ssh-rsa AAAAtwo x\n`);
    expect(install().out).toContain('note: 1 tar key lets');
  });

  it.each([
    [
      'a restricted line that holds from some hosts only',
      `from="10.0.0.1",restrict,command="/usr/libexec/glusterfs/gsyncd --tar-key" ssh-rsa AAAAone x\n${TAR} ssh-rsa AAAAone x\n`,
    ],
    ['an option name in capitals', `${TAR.replace('command', 'Command')} ssh-rsa AAAAone x\n`],
    [
      'a comment that looks like a restricted line',
      `${TAR} ssh-rsa AAAAone restrict,command="/usr/libexec/glusterfs/gsyncd --tar-key" \n`,
    ],
  ])('install counts an unrestricted tar key: %s', (_what, text) => {
    keys('root', text);
    expect(install().out).toContain('note: 1 tar key lets');
  });

  it.skipIf(lacksRoot("keys of the mount broker's users"))(
    "changes keys of mount broker users with their uid, in sshd's AuthorizedKeysFile, without following symlinks",
    () => {
      for (const home of ['root', 'srv/geo', 'srv/other']) keys(home);
      const geo = join(root, 'srv/geo');
      // The user must be able to enter the directories above the home.
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
      expect(install('--tar-keys').out).toContain(
        '/srv/geo/.ssh/authorized_keys: note: its tar keys were left as they are: EACCES',
      );

      put('etc/ssh/sshd_config', 'Port 22\nAuthorizedKeysFile /etc/keys/%u .ssh/authorized_keys\n');
      put('etc/keys/root', KEYS);
      expect(install('--tar-keys').out).toContain('/etc/keys/root: tar keys go through gsyncd');
    },
  );
});
