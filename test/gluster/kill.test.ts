// A worker that is killed in the middle of each kind of crawl, and its successor, which has to end with equal trees
// and to clear away what the killed one left mounted.
import { expect, test } from 'vitest';
import { everyOperation, smallFiles } from './lab/fixtures.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab();

/** Expects that the killed worker did not log the end of its crawl, and that the trees differ. */
async function expectUnfinished(killed: WorkerHandle, end?: RegExp): Promise<void> {
  if (end !== undefined) expect(await killed.log()).not.toMatch(end);
  expect((await lab().compare()).equal).toBe(false);
}

test('after a kill in the hybrid crawl, the next worker completes the first sync', async () => {
  await lab().sh(smallFiles('first', 1500));
  const killed = lab().startWorker();
  await killed.waitForLog(/starting hybrid crawl/);
  await lab().until(
    'first files',
    async () => (await lab().sh('find . -type f | wc -l', lab().secondary)).trim() !== '0',
  );
  await killed.kill();
  await expectUnfinished(killed, /finished hybrid crawl/);
  const next = lab().startWorker();
  await lab().waitConverged(120_000);
  await next.waitForLog(/finished hybrid crawl|starting history crawl/);
  await next.stop();
  await lab().assertNoMountsLeft();
});

test('after a kill in the history crawl, the next worker replicates all changes', async () => {
  const { prepare, change } = everyOperation('history');
  await lab().sh(prepare);
  await lab().sh(smallFiles('second', 900));
  await lab().sh('rm -rf first/0?; mv first/10 first/renamed; for i in first/11/*; do printf more >>"$i"; done');
  await lab().sh(change);
  const killed = lab().startWorker();
  await killed.waitForLog(/starting history crawl/);
  await lab().until('first changes', async () => (await lab().sh('ls', lab().secondary)).includes('second'));
  await killed.kill();
  await expectUnfinished(killed, /finished history crawl/);
  const next = lab().startWorker();
  await lab().waitConverged(120_000);
  await next.stop();
  await lab().assertNoMountsLeft();
});

test('after a kill during live changes, the next worker replicates all of them', async () => {
  const { prepare, change } = everyOperation('live');
  await lab().sh(prepare);
  const killed = lab().startWorker();
  await lab().waitConverged();
  const changes = lab().sh(change + '\ncd ..; ' + smallFiles('third', 900));
  await lab().until('first changes', async () => (await lab().sh('ls', lab().secondary)).includes('third'));
  await killed.kill();
  await changes;
  await expectUnfinished(killed);
  const next = lab().startWorker();
  await lab().waitConverged(120_000);
  await next.stop();
  await lab().assertNoMountsLeft();
});

test('a stop that ends ssh before the worker logs no error', async () => {
  const worker = lab().startWorker();
  await worker.waitForLog(/starting (history|hybrid) crawl/);
  // As systemd and the monitor do, which signal all processes of the worker.
  await lab().exec(['pkill', '-TERM', '-f', '[s]sh .* secondary gv0 ']);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await worker.stop();
  expect(await worker.log()).not.toMatch(/faulty|broken/i);
  await lab().assertNoMountsLeft();
});

test('after four kills in a row, the next worker makes the trees equal', async () => {
  for (let round = 0; round < 4; round++) {
    const changes = lab().sh(
      `for i in {1..40}; do mkdir -p r${round}; printf $i >r${round}/f$i; mv r${round}/f$i r${round}/g$i; printf more >>r${round}/g$i; done`,
    );
    const worker = lab().startWorker();
    await worker.waitForLog(/starting (history|hybrid) crawl/);
    await changes;
    await new Promise((resolve) => setTimeout(resolve, round * 700));
    await worker.kill();
  }
  const last = lab().startWorker();
  await lab().waitConverged();
  await last.stop();
  await lab().assertNoMountsLeft();
  expect(await lab().sh('ls /tmp | grep gsyncd-aux-ssh || true')).toBe('');
});
