// Volumes of two sets of replicas (two bricks and an arbiter) of which one set loses its quorum: its mounts count it as up,
// and answer ENOENT for what lives there as often as not.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab({ bricks: 6, layout: 'arbiter', metaVolume: 'shared', gsyncd: 'ours' });
const start = (bricks: readonly number[]): WorkerHandle[] => bricks.map((brick) => lab().startWorker({ brick }));
const kill = (volume: string): Promise<unknown> => lab().exec(['pkill', '-KILL', '-f', `^/usr/sbin/glusterfsd .*--brick-name /srv/${volume}_[12] `]);
const FILES = 'for i in {1..60}; do echo $i >f$i; done';

test('the secondary: what is removed or changed meanwhile is done when the quorum is back', async () => {
  const workers = start([0, 3]);
  await lab().sh(`mkdir s; cd s; ${FILES}`);
  await lab().waitConverged(90_000);
  await kill('sv0');
  await sleep(1000);
  await lab().sh('cd s; rm f1?; chmod 600 f2?; mkdir t; mv f3? t');
  await lab().until('a worker that ends', () => Promise.resolve(workers.some((worker) => !worker.running)));
  await lab().gluster(['volume', 'start', 'sv0', 'force']);
  await sleep(4000);
  for (const worker of workers) if (worker.running) await worker.stop();
  const again = start([0, 3]);
  await lab().waitConverged(90_000);
  for (const worker of again) await worker.stop();
});

test('the primary: what was written before does not count as gone', async () => {
  await lab().sh(`mkdir p; cd p; ${FILES}; for i in {1..60}; do ln -s $i l$i; done`);
  // The arbiter's journal of it, too.
  await sleep(4000);
  await kill('gv0');
  await sleep(1000);
  const workers = start([2, 3]);
  await lab().until('the arbiter to be active', async () => (await workers[0]!.log()).includes('starting history crawl'));
  await sleep(5000);
  await lab().gluster(['volume', 'start', 'gv0', 'force']);
  await lab().waitConverged(120_000);
  expect(workers.every((worker) => worker.running)).toBe(true);
  for (const worker of workers) await worker.stop();
});
