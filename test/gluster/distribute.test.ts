// A volume distributed over two bricks, each with a worker of its own.
import { test } from 'vitest';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import { useLab } from './lab/use-lab.js';
import { Workload } from './lab/workload.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab({ bricks: 2 });
const workload = new Workload({ seed: 7, names: 'utf8', attributes: 'all', top: 'w' });
const start = (): WorkerHandle[] => [0, 1].map((brick) => lab().startWorker({ brick }));

test('two workers bring the whole of a distributed volume', async () => {
  await lab().sh(EVERY_TYPE);
  await lab().sh(everyOperation('live').prepare);
  await lab().sh(everyOperation('stopped').prepare);
  await lab().apply(workload.next(150));
  const workers = start();
  await lab().waitConverged(90_000);
  await lab().sh(everyOperation('live').change);
  await lab().waitConverged(90_000);
  for (const worker of workers) await worker.stop();
});

test('changes of every kind that were made on both bricks while stopped arrive', async () => {
  await lab().sh('mkdir h; for i in {1..200}; do printf $i >h/f$i; done; for i in {1..200..3}; do rm h/f$i; done');
  await lab().sh(everyOperation('stopped').change);
  await lab().apply(workload.next(200));
  const workers = start();
  await lab().waitConverged(90_000);
  for (const worker of workers) await worker.stop();
  await lab().assertNoMountsLeft();
});
