// Over a slow network: 40 ms each way and 20 Mbit/s, behind a secondary of this project.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { parseProgress } from '../../src/progress/progress-data.js';
import { everyOperation, smallFiles } from './lab/fixtures.js';
import { SLOW_PORT, slowLink, type SlowLink } from './lab/slow-link.js';
import { nightly } from './lab/nightly.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const FILES = 600;
/** Shorter than every timeout, and long enough for TCP and ssh to notice. */
const STANDSTILL_MS = 25_000;

const lab = useLab({ gsyncd: 'ours', config: { 'ssh-port': String(SLOW_PORT) } });
let link: SlowLink;
let worker: WorkerHandle;

test('a first sync and changes of every kind arrive, with far fewer calls than files', async () => {
  link = await slowLink(lab(), { delayMs: 40, bytesPerSecond: 2_500_000 });
  await lab().sh(smallFiles('many', FILES));
  worker = lab().startWorker();
  await lab().waitConverged(120_000);
  const progress = parseProgress(await lab().sh('cat brick_*.progress', lab().sessionDir));
  const calls = Object.values(progress?.calls ?? {}).reduce(
    (sum, { counts }) => sum + counts.reduce((a, b) => a + b, 0),
    0,
  );
  expect(calls).toBeGreaterThan(0);
  expect(calls).toBeLessThan(FILES / 20);
  const { prepare, change } = everyOperation('every');
  await lab().sh(prepare);
  await lab().waitConverged(120_000);
  await lab().sh(change);
  await lab().waitConverged(120_000);
  expect((await lab().status())['failures']).toBe(0);
  expect(worker.running).toBe(true);
});

nightly('a network outage of 25 s does not end the worker, and all files arrive afterwards', async () => {
  await lab().sh(smallFiles('standstill', FILES));
  await lab().until(
    'first files',
    async () => (await lab().sh('find . -path "./standstill/*" | wc -l', lab().secondary)).trim() !== '0',
  );
  link.set('down');
  await lab().sh('printf meanwhile >meanwhile');
  await sleep(STANDSTILL_MS);
  expect((await lab().compare()).equal).toBe(false);
  link.set('up');
  await lab().waitConverged(120_000);
  expect(worker.running).toBe(true);
});

test('a cut connection ends the worker with a log line, and the next worker replicates the rest', async () => {
  await lab().sh(smallFiles('cut', FILES));
  await lab().until(
    'first files',
    async () => (await lab().sh('find . -path "./cut/*" | wc -l', lab().secondary)).trim() !== '0',
  );
  link.set('cut');
  await lab().until('the end of the worker', () => Promise.resolve(!worker.running));
  expect(await worker.log()).toMatch(/connection to (the )?secondary/);
  const next = lab().startWorker();
  await lab().waitConverged(120_000);
  expect((await lab().status())['failures']).toBe(0);
  await next.stop();
  await lab().assertNoMountsLeft();
});
