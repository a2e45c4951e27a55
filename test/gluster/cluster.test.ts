// Two primary and two secondary nodes, replicated over both: without a meta volume, workers elect the active one by the
// id of the node whose brick is the first that runs.
import { expect, test } from 'vitest';
import { everyOperation } from './lab/fixtures.js';
import { REPO } from './lab/machine.js';
import { useCluster } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const cluster = useCluster({ layout: 'replica' });
let workers: [WorkerHandle, WorkerHandle];

/** The heal of a brick moves some files to a directory that no client sees, and may leave a hard link there. */
const HEALED = { ignore: ['nlink'] } as const;

test('of the workers of two nodes, the one on the first node is active and replicates', async () => {
  await cluster().setConfig({ 'rsync-command': `${REPO}/test/fixtures/bin/partly-rsync` });
  workers = [cluster().startWorker({ brick: 0 }), cluster().startWorker({ brick: 1 })];
  await cluster().untilState(0, 'Active');
  await cluster().untilState(1, 'Passive');
  await cluster().sh(everyOperation('one').prepare);
  await cluster().waitConverged(90_000);
});

test("the other node's worker takes over while the active one's brick is down", async () => {
  const [node] = cluster().primaries;
  await node!.exec(['pkill', '-KILL', '-f', '^/usr/sbin/glusterfsd .*--brick-name /srv/gv0']);
  expect((await workers[0].exited).code).toBe(1);
  expect(workers[0].stderr).toMatch(/^gsyncd-ts: brick \/srv\/gv0\S*: process not running/);
  await cluster().untilState(1, 'Active');
  await cluster().sh(everyOperation('one').change);
  await cluster().sh(everyOperation('two').prepare);
  await cluster().waitConverged(90_000);
  await cluster().gluster(['volume', 'start', 'gv0', 'force']);
  workers[0] = cluster().startWorker({ brick: 0 });
  await cluster().untilState(0, 'Active');
  await cluster().untilState(1, 'Passive');
  await cluster().sh('printf back >two/back');
  await cluster().waitConverged(90_000, HEALED);
});

test("the other node's worker takes over when the active node dies, and completes no checkpoint over its failures", async () => {
  await cluster().sh('printf x >gone-xattr; setfattr -n user.a -v 1 gone-xattr');
  await cluster().waitConverged(90_000, HEALED);
  await cluster().primaries[0]!.exec(['touch', '/srv/failing']);
  await cluster().sh('setfattr -x user.a gone-xattr');
  await cluster().until(
    'the removal counted as a failure',
    async () => Number((await cluster().status(0))['failures']) >= 1,
    60_000,
  );
  await cluster().setConfig({ checkpoint: 'now' });
  const checkpoint = Math.floor(Date.now() / 1000);
  const changes = cluster().sh(everyOperation('two').change);
  await cluster().primaries[0]!.crash();
  await changes;
  await cluster().untilState(1, 'Active');
  await cluster().sh(everyOperation('three').prepare);
  await cluster().until(
    'everything else',
    async () => {
      return (await cluster().compare(HEALED)).differences.every(({ path }) => path === 'gone-xattr');
    },
    90_000,
  );
  await cluster().until(
    'the checkpoint passed',
    async () => {
      await cluster().sh('date +%N >after-checkpoint');
      return Number((await cluster().status(1))['last_synced']) > checkpoint + 3;
    },
    60_000,
  );
  expect((await cluster().status(1))['checkpoint_completed']).toBe('No');
});

test('a node that comes back takes over again, retries its failures and completes the checkpoint', async () => {
  await cluster().primaries[0]!.boot();
  await cluster().primaries[0]!.exec(['rm', '/srv/failing']);
  workers[0] = cluster().startWorker({ brick: 0 });
  await cluster().untilState(0, 'Active');
  await cluster().untilState(1, 'Passive');
  await cluster().sh(everyOperation('three').change);
  await cluster().waitConverged(90_000, HEALED);
  await cluster().until(
    'the checkpoint complete',
    async () => (await cluster().status(0))['checkpoint_completed'] === 'Yes',
    60_000,
  );
  for (const worker of workers) await worker.stop();
  await cluster().assertNoMountsLeft();
});
