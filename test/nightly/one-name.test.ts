// Two workers replicate renames of files on both bricks to the same names. On a distributed and replicated secondary,
// concurrent renames could leave copies that disagree (split-brain, EIO).
import { expect, test } from 'vitest';
import { useLab } from '../gluster/lab/use-lab.js';
import type { WorkerHandle } from '../gluster/lab/worker.js';

const lab = useLab({ bricks: 2, secondary: { bricks: 4, layout: 'pairs' }, gsyncd: 'ours', brickDisks: 'xfs' });
const NAMES = 40;

const renamed = (dir: string): string =>
  `mkdir -p ${dir}; cd ${dir}; for n in {1..${NAMES}}; do for i in {1..5}; do echo $i.$n >data$n-$i; mv data$n-$i data$n; done; done`;

let workers: WorkerHandle[] = [];
const start = (): void => {
  workers = [0, 1].map((brick) => lab().startWorker({ brick }));
};

async function equalAndWithoutTrouble(): Promise<void> {
  await lab().waitConverged(180_000);
  for (const worker of workers)
    expect(
      (await worker.log()).split('\n').filter((line) => /EIO|Input\/output error|ENTRY FAILED/.test(line)),
    ).toEqual([]);
  for (const brick of [0, 1]) expect((await lab().status(brick))['failures']).toBe(0);
}

test('files created and renamed to one name in one changelog interval are replicated without EIO', async () => {
  start();
  await lab().waitConverged();
  await lab().sh(renamed('live'));
  await equalAndWithoutTrouble();
});

test('renames over existing names are replicated without EIO', async () => {
  await lab().sh(renamed('live'));
  await equalAndWithoutTrouble();
});

test('renames made while the workers are stopped are replicated without EIO', async () => {
  for (const worker of workers) await worker.stop();
  await lab().sh(renamed('stopped'));
  start();
  await equalAndWithoutTrouble();
});
