// A session to a user who is not root on the secondary's node, and mounts through glusterd's mount broker.
import { expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation, smallFiles, SPECIAL_FILES } from './lab/fixtures.js';
import { restarted, untilLive, waitForStock } from './lab/stock-worker.js';
import { useCluster } from './lab/use-lab.js';

const cluster = useCluster({ primaries: 1, secondaries: 1, gsyncd: ['ours', 'ours'], secondaryUser: 'geo' });
const processesOf = async (user: string): Promise<string> =>
  (await cluster().secondaries[0]!.exec(['ps', '-U', user, '-o', 'args='], { onFailure: 'return' })).stdout;

/** Tar then runs for the user through this program, as it does for root. */
async function restrictTarKeys(): Promise<void> {
  const node = cluster().secondaries[0]!;
  const { stdout } = await node.exec([process.execPath, '/mnt/gsyncd-ts/bin/gsyncd-ts.js', 'install', '--tar-keys']);
  expect(stdout).toContain('/srv/geo/.ssh/authorized_keys: tar keys go through gsyncd');
  expect((await node.exec(['stat', '-c', '%U %a', '/srv/geo/.ssh/authorized_keys'])).stdout).toBe('geo 600\n');
}

test.each(['rsync', 'tarssh'])('with %s, a first sync and live changes arrive', async (engine) => {
  await cluster().session(['config', 'sync-method', engine]);
  if (engine === 'tarssh') await restrictTarKeys();
  await cluster().sh(`mkdir ${engine}; cd ${engine}\n(${EVERY_TYPE})\n(${SPECIAL_FILES})`);
  await cluster().sh(everyOperation(`${engine}/ops`).prepare);
  await cluster().session(['start']);
  await cluster().waitConverged(90_000, { under: engine });
  expect(await processesOf('geo')).toContain('gsyncd-ts.js secondary');
  await cluster().sh(everyOperation(`${engine}/ops`).change);
  await cluster().waitConverged(90_000);
  await cluster().session(['stop']);
  await cluster().until('no process of the user', async () => (await processesOf('geo')).trim() === '');
  expect(await cluster().secondaries[0]!.read('/proc/1/mounts')).not.toContain('mountbroker-root/');
});

test.each(['rsync', 'tarssh'])(
  'with a stock primary and %s, a first sync and live changes arrive, too',
  async (engine) => {
    const under = `stock-${engine}`;
    await cluster().install('stock', 'ours');
    await cluster().session(['config', 'sync-method', engine]);
    await cluster().sh(smallFiles(under, 200));
    await cluster().session(['start']);
    // The stock daemon does not replicate these.
    const ignore = ['rdev', 'acls', 'xattrs'] as const;
    await cluster().waitConverged(120_000, { ignore, under });
    expect(await processesOf('geo')).toMatch(/gsyncd-ts\.js secondary gv0 geo@\S+ .*--primary-dist-count 1$/m);
    await untilLive(cluster());
    await cluster().sh(
      `cd ${under}; mv 01 moved; rm -r 02; mkdir new; printf more >>03/f00003; printf new >new/file; ln new/file new/link; ln -s file new/s; chmod 600 04/*`,
    );
    await waitForStock(cluster(), restarted(cluster()), { ignore, under });
    await cluster().session(['stop', 'force']);
  },
);

test("the user's logs are in the directory that his group may write to", async () => {
  const logs = (
    await cluster().secondaries[0]!.exec([
      'find',
      '/var/log/glusterfs/geo-replication-secondaries',
      '-name',
      '*.log',
      '-user',
      'geo',
      '-size',
      '+0',
    ])
  ).stdout;
  expect(logs).toMatch(/\/gsyncd\.log$/m);
  const dir = await cluster().secondaries[0]!.exec([
    'stat',
    '-c',
    '%G %A',
    '/var/log/glusterfs/geo-replication-secondaries',
  ]);
  expect(dir.stdout).toMatch(/^geogroup d\S{4}w/);
});
