// Two primary and two secondary nodes, replicated over both: without a meta volume, workers elect the active one by the
// id of the node whose brick is the first that runs.
import { test } from 'vitest';
import { everyOperation } from './lab/fixtures.js';
import { useCluster } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const cluster = useCluster({ layout: 'replica' });
let workers: [WorkerHandle, WorkerHandle];

/** The heal of a brick parks some files in a directory that no client sees, and may leave a link there. */
const HEALED = { ignore: ['nlink'] } as const;

test('of the workers of two nodes the one is active whose node comes first, and it replicates', async () => {
  workers = [cluster().startWorker({ brick: 0 }), cluster().startWorker({ brick: 1 })];
  await cluster().untilState(0, 'Active');
  await cluster().untilState(1, 'Passive');
  await cluster().sh(everyOperation('one').prepare);
  await cluster().waitConverged(90_000);
});

test("the other node's worker takes over when the active one's brick dies, until it runs again", async () => {
  const [node] = cluster().primaries;
  await node!.exec(['pkill', '-KILL', '-f', '^/usr/sbin/glusterfsd .*--brick-name /srv/gv0']);
  await cluster().untilState(1, 'Active');
  await cluster().untilState(0, 'Passive');
  await cluster().sh(everyOperation('one').change);
  await cluster().sh(everyOperation('two').prepare);
  await cluster().waitConverged(90_000);
  await cluster().gluster(['volume', 'start', 'gv0', 'force']);
  await cluster().untilState(0, 'Active');
  await cluster().untilState(1, 'Passive');
  await cluster().sh('printf back >two/back');
  await cluster().waitConverged(90_000, HEALED);
});

test("the other node's worker takes over when the active one's node dies", async () => {
  const changes = cluster().sh(everyOperation('two').change);
  await cluster().primaries[0]!.crash();
  await changes;
  await cluster().untilState(1, 'Active');
  await cluster().sh(everyOperation('three').prepare);
  await cluster().waitConverged(90_000);
});

test('a node that comes back takes over again', async () => {
  await cluster().primaries[0]!.boot();
  workers[0] = cluster().startWorker({ brick: 0 });
  await cluster().untilState(0, 'Active');
  await cluster().untilState(1, 'Passive');
  await cluster().sh(everyOperation('three').change);
  await cluster().waitConverged(90_000, HEALED);
  for (const worker of workers) await worker.stop();
  await cluster().assertNoMountsLeft();
});
