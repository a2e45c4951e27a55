// Attacks by a holder of a session's keys, over a real sshd on a secondary's node with real volumes. None may have any effect,
// and afterwards the sessions of stock's and of this project's primary still replicate.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';
import { RepceClient } from '../../src/rpc/client.js';
import { HOST } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ gsyncd: 'ours', config: { 'secondary-access-mount': 'true', 'change-interval': '1' } });

const KEYS = '/var/lib/glusterd/geo-replication';
const VICTIM = '/srv/victim';
/** Made by a program or an option that the attacker brought. */
const ESCAPED = '/srv/escaped';
/** A directory on the secondary's brick, as a primary can make one. */
const UPLOADED = '/srv/sv0_1/up';
const ID = '5eb7c2a4-1f0d-4d2b-9a53-0e5a7c1d9b42';
/** The command line that a primary of GlusterFS 10 or 11 sends. */
const STOCK_LINE = [
  `/nonexistent/gsyncd secondary gv0 root@${HOST}::sv0 --primary-node ${HOST} --primary-node-id ${ID} --primary-brick /srv/gv0_1 --local-node ${HOST}`,
  `--local-node-id ${ID} --secondary-timeout 120 --secondary-log-level INFO --secondary-gluster-log-level INFO --secondary-gluster-command-dir /usr/sbin`,
  '--primary-dist-count 1 --secondary-access-mount',
].join(' ');

const sshArgv = (key: 'secret' | 'tar_ssh', ...more: string[]): string[] => {
  return [
    'ssh',
    '-oPasswordAuthentication=no',
    '-oIdentitiesOnly=yes',
    '-oStrictHostKeyChecking=no',
    '-i',
    `${KEYS}/${key}.pem`,
    ...more,
    `root@${HOST}`,
  ];
};

/** Asks for `line` with a key. The timeout ends an attack that is accepted. */
async function ask(
  key: 'secret' | 'tar_ssh',
  line: string,
  options: readonly string[] = [],
): Promise<{ code: number | undefined; stderr: string }> {
  const { code, stderr } = await lab().exec(['timeout', '20', ...sshArgv(key, ...options), line], {
    onFailure: 'return',
  });
  return { code, stderr };
}

/** Expects that each line is refused with one line and that none has an effect. */
async function expectNothing(
  key: 'secret' | 'tar_ssh',
  lines: readonly string[],
  options: readonly string[] = [],
): Promise<void> {
  const answers = await Promise.all(lines.map((line) => ask(key, line, options)));
  expect.soft(await traces(), lines.join('\n')).toEqual('f\nold\n');
  for (const [i, line] of lines.entries())
    expect
      .soft(answers[i], line)
      .toMatchObject({ code: 1, stderr: expect.stringMatching(/^gsyncd-ts: [^\n]+\n$/) as string });
}

const traces = (): Promise<string> =>
  lab().sh(`ls ${VICTIM}; cat ${VICTIM}/f; ls -d ${ESCAPED} /srv/made 2>/dev/null || true`, '/');

interface Session {
  readonly pid: number;
  readonly client: RepceClient;
  readonly socket: string;
  close(): Promise<void>;
}

/** The secondary as a primary starts it, on a connection that others share. */
async function openSession(line = STOCK_LINE): Promise<Session> {
  const socket = '/run/session-key.sock';
  const [file, args] = lab().box.command([...sshArgv('secret', '-oControlMaster=auto', '-S', socket), line]);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const client = new RepceClient({ input: child.stdout, output: child.stdin });
  const pid = (await client.call('pid', [])) as number;
  return {
    pid,
    client,
    socket,
    close: async () => {
      const gone = once(child, 'exit');
      child.stdin.end();
      await gone;
    },
  };
}

test('the secondary command line does nothing but serve the session', { timeout: 120_000 }, async () => {
  await lab().sh(
    `mkdir ${VICTIM} ${UPLOADED}; echo old >${VICTIM}/f
for program in gluster glusterfs ssh rsync; do printf '#!/bin/sh\\ntouch ${ESCAPED}\\nexit 1\\n' >${UPLOADED}/$program; done; chmod -R 755 ${UPLOADED}`,
    '/',
  );
  const words = [
    `secondary h::v/../../../../..${VICTIM} --delete --path-list=`,
    `secondary x h_x::x --delete --path-list=--path=${VICTIM}`,
    `secondary gv0 ${HOST}::sv0 ssh-command --value=${UPLOADED}/ssh --config-set --monitor --glusterd-uuid ${ID}`,
    `secondary h::v --monitor --glusterd-uuid ${ID}`,
    'secondary ../../../../../../srv/made/x h::sv0 --secondary-timeout 1',
    'secondary gv0 h::sv0 --primary-node ../../../../../../srv/made/x --secondary-timeout 1',
    `delete gv0 h::sv0 -c ${UPLOADED}/evil.conf`,
  ];
  await expectNothing(
    'secret',
    words.map((each) => `gsyncd ${each}`),
  );
  expect(await lab().sh(`find /var/log/glusterfs ${KEYS} /var/lib/misc -name 'secondary_*' -o -name 'x_*'`, '/')).toBe(
    '',
  );
});

test(
  'the secondary runs no program from a directory that the primary names, and the session works',
  { timeout: 60_000 },
  async () => {
    const session = await openSession(STOCK_LINE.replace('/usr/sbin', UPLOADED));
    expect(session.pid).toBeGreaterThan(0);
    await session.close();
    expect(await traces()).toBe('f\nold\n');
    const log = await lab().read(`/var/log/glusterfs/geo-replication-secondaries/gv0_${HOST}_sv0/gsyncd.log`);
    expect(log).toMatch(/W .*ignoring --secondary-gluster-command-dir.*\/srv\/sv0_1\/up/);
    expect(log).toMatch(/W .*tar keys let their holders run any program/);
  },
);

test('rsync takes no option that leads out of the session', { timeout: 60_000 }, async () => {
  const session = await openSession();
  try {
    const share = ['-S', session.socket];
    const options = [
      '--copy-as=nobody',
      '-KlogDtpre.Lsf',
      '--write-devices',
      '--sender -logDtpre.Lsf',
      `--temp-dir=${VICTIM}`,
      `--log-file=${ESCAPED}`,
    ];
    await expectNothing(
      'secret',
      options.map((each) => `rsync --server ${each} . /proc/${session.pid}/cwd`),
      share,
    );
    await expectNothing(
      'secret',
      ['gluster --remote-host=10.77.0.2 volume info', `tar --overwrite -xf - -C /proc/${session.pid}/cwd`],
      share,
    );
  } finally {
    await session.close();
  }
});

test('a tar key runs only tar, and only in the session', { timeout: 120_000 }, async () => {
  const before = await lab().read('/root/.ssh/authorized_keys');
  const install = async (...args: string[]): Promise<string> =>
    (await lab().exec([process.execPath, '/mnt/gsyncd-ts/bin/gsyncd-ts.js', 'install', ...args])).stdout;
  expect(await install('--tar-keys')).toContain('/root/.ssh/authorized_keys: tar keys go through gsyncd');
  // As glusterd does when the session is created again: the first line of a key counts.
  await lab().exec([
    'bash',
    '-c',
    `grep -hm1 SSH_ORIGINAL_COMMAND ${KEYS}/common_secret.pem.pub >>/root/.ssh/authorized_keys`,
  ]);
  const session = await openSession();
  const target = `/proc/${session.pid}/cwd`;
  try {
    await expectNothing('tar_ssh', [
      `tar --overwrite --checkpoint=1 --checkpoint-action=exec=touch\${IFS}${ESCAPED} -xf - -C ${target}`,
      `tar --overwrite --to-command=${UPLOADED}/rsync -xf - -C ${target}`,
      `tar --overwrite -cf ${ESCAPED} -C /etc passwd`,
      'tar --overwrite -xf - -C /srv',
      `tar --overwrite -xf - -C ${target}; touch ${ESCAPED}`,
      `x $(touch ${ESCAPED})`,
      STOCK_LINE,
    ]);
    await lab().exec([
      'bash',
      '-c',
      `cd /srv/victim; tar -cf - f | "$@"`,
      'sh',
      ...sshArgv('tar_ssh'),
      `tar --overwrite -xf - -C ${target}`,
    ]);
    expect(await lab().sh('cat f', lab().secondary)).toBe('old\n');
    // It looks like a session's, but its directory is no volume.
    await lab().sh(`mkdir /srv/fake; echo 'sleep 30' >/srv/fake/gsyncd-ts.js`, '/');
    const fake = await lab().exec(
      [
        'bash',
        '-c',
        'cd /srv; (exec -a node bash fake/gsyncd-ts.js secondary gv0 h::sv0 >/dev/null 2>&1) & p=$!; sleep 1; "$@" "tar --overwrite -xf - -C /proc/$p/cwd" </dev/null; code=$?; kill $p; exit $code',
        'sh',
        ...sshArgv('tar_ssh'),
      ],
      { onFailure: 'return' },
    );
    expect(fake).toMatchObject({ code: 1, stderr: expect.stringContaining('not the root of a volume') as string });
  } finally {
    await session.close();
  }
  await lab().sh('sed -i "\\$d" /root/.ssh/authorized_keys', '/');
  await install('--uninstall');
  expect(await lab().read('/root/.ssh/authorized_keys')).toBe(before);
  await install('--tar-keys');
});

test('a key with --only-volume serves no other volume', { timeout: 60_000 }, async () => {
  const keys = await lab().read('/root/.ssh/authorized_keys');
  const bind = (volume: string): Promise<string> =>
    lab().sh(
      `sed -i -E 's,/gsyncd( --tar-key)?( --only-volume [a-z0-9]+)?",/gsyncd\\1 --only-volume ${volume}",' /root/.ssh/authorized_keys`,
      '/',
    );
  await bind('sv1');
  await expectNothing('secret', [STOCK_LINE, 'gluster volume info', 'gluster volume info sv0']);
  await bind('sv0');
  const session = await openSession();
  expect(
    (await lab().exec([...sshArgv('secret'), 'gluster --xml --remote-host=localhost volume info sv0'])).stdout,
  ).toContain('<name>sv0</name>');
  await expectNothing('secret', [STOCK_LINE.replace('sv0', 'gv0')]);
  await bind('gv0');
  await expectNothing('tar_ssh', [`tar --overwrite -xf - -C /proc/${session.pid}/cwd`]);
  await session.close();
  await bind('sv0');
  expect(await lab().read('/root/.ssh/authorized_keys')).not.toBe(keys);
});

test.each(['stock', 'ours'])(
  'the primary of %s replicates with these restricted keys, with rsync and with tarssh',
  { timeout: 180_000 },
  async (which) => {
    for (const engine of ['rsync', 'tarssh']) {
      await lab().setConfig({ 'sync-method': engine });
      await lab().sh(
        `mkdir ${which}-${engine}; cd ${which}-${engine}; for i in {1..20}; do echo $i >$i; done; ln 1 link; ln -s 1 symlink; chmod 600 2`,
      );
      const worker = which === 'stock' ? lab().startStockWorker() : lab().startWorker();
      await lab().waitConverged(60_000, { under: `${which}-${engine}`, ignore: ['rdev', 'acls', 'xattrs'] });
      await worker.stop();
    }
  },
);
