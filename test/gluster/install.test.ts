// The launcher installed in the stock path of a separate machine, as the forced command of keys that GlusterFS's scripts made:
// sshd runs it for root and for an ordinary user, rsync and tar write only to the session's directory, and uninstalling
// restores the stock gsyncd.

import { spawn, spawnSync } from 'node:child_process';
import { copyFile, readFile, readdir } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { unpackArgv } from '../../src/primary/transfer/tarssh-transfer.js';
import { Box } from './lab/box.js';
import { HOST } from './lab/lab.js';
import { REPO } from './lab/machine.js';

const KEYS = '/var/lib/glusterd/geo-replication';
const STAND_IN = '/mnt/stand-in/gsyncd-ts.js';
const stockDir = spawnSync(
  'sh',
  [
    '-c',
    'dirname /usr/lib/*-linux-*/glusterfs/gsyncd /usr/libexec/glusterfs/gsyncd | while read -r dir; do [ -e "$dir/gsyncd" ] && echo "$dir"; done',
  ],
  {
    encoding: 'utf8',
  },
).stdout.split('\n')[0]!;

let box: Box;
let outcome: 'passed' | 'failed' = 'failed';
const sh = async (script: string): Promise<string> =>
  (await box.exec(['bash', '--norc', '-euo', 'pipefail', '-c', script])).stdout;

beforeAll(async () => {
  box = await Box.open();
  // Copies of what the test changes cover the machine's own.
  await sh(`
    mkdir -p /mnt/gsyncd-ts /mnt/stand-in /mnt/stock /mnt/etc ${KEYS}
    mount --bind ${REPO} /mnt/gsyncd-ts
    cp -a ${stockDir}/. /mnt/stock/ && mount --bind /mnt/stock ${stockDir}
    for file in passwd shadow group; do cp -a /etc/$file /mnt/etc/ && mount --bind /mnt/etc/$file /etc/$file; done
    echo 'geo:x:4321:4321::/srv/geo:/bin/bash' >>/etc/passwd
    echo 'geo:*:19000:0:99999:7:::' >>/etc/shadow
    echo 'geo:x:4321:' >>/etc/group
    mkdir -p /srv/geo /srv/session && chown 4321:4321 /srv/geo
    glusterd && until gluster --mode=script pool list; do sleep 0.1; done >/dev/null 2>&1
    gluster --mode=script volume create sv0 ${HOST}:/srv/brick force && gluster --mode=script volume start sv0
    glusterfs -s ${HOST} --volfile-id sv0 /srv/session && until stat -f -c %T /srv/session | grep -q fuse; do sleep 0.1; done
    chmod 777 /srv/session
    GLUSTERD_WORKDIR=/var/lib/glusterd ${stockDir}/peer_gsec_create >${KEYS}/common_secret.pem.pub
    for user in root geo; do GLUSTERD_WORKDIR=/var/lib/glusterd ${stockDir}/peer_add_secret_pub $user geo-replication/common_secret.pem.pub; done
    chmod 600 /root/.ssh/authorized_keys`);
  await copyFile(path.join(import.meta.dirname, 'lab/stand-in-secondary.js'), box.outside(STAND_IN));
  await sh(`echo '{"type":"module"}' >/mnt/stand-in/package.json`);
}, 120_000);

afterAll(async () => {
  await box.close(outcome);
}, 60_000);

/** ssh with the key of a session, in the form of the worker's. */
function ssh(key: 'secret' | 'tar_ssh', ...more: string[]): string[] {
  return [
    'ssh',
    '-oPasswordAuthentication=no',
    '-oIdentitiesOnly=yes',
    '-oStrictHostKeyChecking=no',
    '-i',
    `${KEYS}/${key}.pem`,
    ...more,
  ];
}

/** Opens the session as a worker does, and shares the connection through `socket`. */
async function openSession(user: string, socket: string): Promise<{ pid: number; close: () => Promise<void> }> {
  const [file, args] = box.command([
    ...ssh('secret', '-oControlMaster=auto', '-S', socket),
    `${user}@${HOST}`,
    '/nonexistent/gsyncd',
    'secondary',
    'gv0',
    'h::sv0',
    '--primary-brick',
    '/srv/session',
  ]);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const pid = await new Promise<number>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line)));
    child.once('exit', () => reject(new Error('the secondary did not start')));
  });
  const close = async (): Promise<void> => {
    child.stdin.end();
    await gone;
  };
  return { pid, close };
}

test('install puts the launcher in the stock path and keeps the stock gsyncd as gsyncd.stock', async () => {
  const stock = await readFile(box.outside(`${stockDir}/gsyncd`));
  const dry = await box.exec([process.execPath, '/mnt/gsyncd-ts/bin/gsyncd-ts.js', 'install', '--dry-run']);
  expect(dry.stdout).toContain(`${stockDir}/gsyncd: would: the launcher is put in its place`);
  const done = await box.exec([process.execPath, STAND_IN, 'install']);
  expect(done.stdout).toContain(`${stockDir}/gsyncd: the launcher is put in its place`);
  expect((await readFile(box.outside(`${stockDir}/gsyncd.stock`))).equals(stock)).toBe(true);
  expect(await sh(`env -i ${stockDir}/gsyncd --version`)).toMatch(/^gsyncd/);
  const keys = await readFile(box.outside('/srv/geo/.ssh/authorized_keys'), 'utf8');
  expect(keys).toContain(`command="${stockDir}/gsyncd"`);
});

describe.each(['root', 'geo'])('for %s', (user) => {
  const socket = `/run/${user}.sock`;
  const rsh = ssh('secret', '-oControlMaster=auto', '-S', socket).join(' ');
  const host = `${user}@${HOST}`;

  test(
    'rsync and tar write to the session, and no other process stays between rsync and sshd',
    { timeout: 120_000 },
    async () => {
      const session = await openSession(user, socket);
      try {
        await sh(
          'rm -rf /srv/session/* /srv/from; mkdir -p /srv/from; echo data >"/srv/from/$(printf "a b\\377")"; head -c 3000000 /dev/urandom >/srv/from/big',
        );
        const rsync = [
          'rsync',
          '-aR0',
          '--inplace',
          '--numeric-ids',
          '--no-implied-dirs',
          '--stats',
          '--info=skip1',
          '--files-from=-',
          '-e',
          rsh,
          '.',
        ];
        await box.exec([
          'sh',
          '-c',
          'cd /srv/from; ls -A | tr "\\n" "\\0" | "$@"',
          'sh',
          ...rsync,
          `${host}:/proc/${session.pid}/cwd`,
        ]);
        expect(await sh('cd /srv/session; ls -A; diff -r -x .trashcan /srv/from /srv/session')).toContain('big');

        // A transfer that takes its time shows the server as sshd's own child.
        const slow = box.start([
          'rsync',
          '-aIW',
          '--inplace',
          '--bwlimit=500',
          '-e',
          rsh,
          '/srv/from/big',
          `${host}:/srv/session`,
        ]);
        const ended = new Promise((resolve) => slow.once('exit', resolve));
        let server = '';
        for (let i = 0; i < 200 && server === ''; i++) {
          server = (await sh(`ps -eo pid=,comm=,ppid=,args= | awk '$2 == "rsync" && / --server /' | sed q`)).trim();
          if (server === '') await new Promise((resolve) => setTimeout(resolve, 100));
        }
        const parent = /^\d+\s+rsync\s+(\d+)/.exec(server)?.[1];
        expect(server).toMatch(/^\d+\s+rsync\s/);
        expect((await sh(`cat /proc/${parent}/comm`)).trim()).toMatch(/^sshd/);
        await ended;

        await sh('rm -rf /srv/session/*');
        const tar = unpackArgv({
          command: 'tar',
          sshArgv: ssh('tar_ssh'),
          acls: true,
          target: { address: host, directory: `/proc/${session.pid}/cwd` },
        });
        await box.exec(['bash', '-c', 'set -o pipefail; cd /srv/from; tar -cf - * | "$@"', 'sh', ...tar]);
        expect(await sh('diff -r -x .trashcan /srv/from /srv/session && echo same')).toBe('same\n');
      } finally {
        await session.close();
      }
    },
  );

  test('every other command of a client is refused with one line', { timeout: 120_000 }, async () => {
    const session = await openSession(user, socket);
    try {
      const hostile = [
        'id',
        'sh',
        `rsync --server -re.L . /srv/geo`,
        `rsync --server -re.L . /proc/1/cwd`,
        `rsync --server -se.L . /proc/${session.pid}/cwd`,
        `rsync --server -re.L . /proc/${session.pid}/cwd; touch /srv/session/escaped`,
        'rsync --daemon',
        'gluster volume stop sv0 force',
        'gsyncd config-set gv0 h::sv0 --name=ssh-command --value=/x',
        '/usr/libexec/glusterfs/gsyncd worker gv0 h::sv0',
        'scp -t /tmp',
        '$(touch /srv/session/escaped)',
      ];
      for (const line of hostile) {
        const done = await box.exec([...ssh('secret', '-S', socket), host, line], { onFailure: 'return' });
        expect({ line, code: done.code, stdout: done.stdout }).toEqual({ line, code: 1, stdout: '' });
        expect(done.stderr.trim().split('\n')).toEqual([expect.stringMatching(/^gsyncd-ts: .*allowed/)]);
      }
      expect(await readdir(box.outside('/srv/brick'))).not.toContain('escaped');
    } finally {
      await session.close();
    }
  });

  test('rsync is refused without a session', async () => {
    const done = await box.exec([...ssh('secret'), host, 'rsync --server -re.L . /srv/session'], {
      onFailure: 'return',
    });
    expect(done).toMatchObject({
      code: 1,
      stderr: 'gsyncd-ts: disallowed rsync invocation: gsyncd sibling not found\n',
    });
  });
});

test('gluster volume info is allowed', async () => {
  const done = await box.exec([...ssh('secret'), `root@${HOST}`, 'gluster --xml volume info nosuchvol'], {
    onFailure: 'return',
  });
  expect(done.stderr + done.stdout).not.toContain('allowed');
  expect(done.stderr + done.stdout).toMatch(/glusterd|Connection failed|does not exist/i);
});

test('gluster volume info runs the gluster of /usr/local where only that exists, never one that the client names', async () => {
  await sh(`
    touch /mnt/no-program && mount --bind /mnt/no-program /usr/sbin/gluster
    mkdir -p /mnt/evil && printf '#!/bin/sh\necho evil "$@"\n' >/mnt/evil/gluster && chmod 755 /mnt/evil/gluster
    printf '#!/bin/sh\necho own build "$@"\n' >/usr/local/sbin/gluster && chmod 755 /usr/local/sbin/gluster`);
  try {
    const done = await box.exec([...ssh('secret'), `root@${HOST}`, '/mnt/evil/gluster volume info gv0']);
    expect(done.stdout).toBe('own build volume info gv0\n');
  } finally {
    await sh('rm /usr/local/sbin/gluster; umount /usr/sbin/gluster');
  }
});

test('install --uninstall restores the stock gsyncd', async () => {
  await box.exec([process.execPath, STAND_IN, 'install', '--uninstall']);
  expect(await sh(`ls ${stockDir} | grep gsyncd`)).toBe('gsyncd\n');
  expect((await readFile(box.outside(`${stockDir}/gsyncd`))).subarray(1, 4).toString()).toBe('ELF');
  outcome = 'passed';
});
