// Volumes whose bricks do not each hold whole files: dispersed over three bricks, and replicated with an arbiter brick
// that holds names only. Most sessions are glusterd's own, on an installed gsyncd: one worker per brick, one of them active.
import { describe, expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import { useLab } from './lab/use-lab.js';

const layouts = ['disperse', 'arbiter'] as const;

describe.each(layouts)('%s', (layout) => {
  const lab = useLab({ bricks: 3, layout, metaVolume: 'shared', gsyncd: 'ours' });
  const untilElected = (): Promise<void> =>
    lab().until(
      'one active, two passive workers',
      async () => {
        const { stdout } = await lab().session(['status']);
        return (stdout.match(/ Active /g) ?? []).length === 1 && (stdout.match(/ Passive /g) ?? []).length === 2;
      },
      90_000,
    );

  test('with rsync, one of three workers is active, and a first sync and live changes arrive', async () => {
    await lab().sh(EVERY_TYPE);
    await lab().sh(everyOperation('live').prepare);
    await lab().session(['start']);
    await untilElected();
    await lab().waitConverged(120_000);
    await lab().sh(everyOperation('live').change);
    const { entries } = await lab().waitConverged(120_000);
    expect(entries).toBeGreaterThan(100);
    await lab().session(['stop']);
  });

  test('with tarssh, changes made while stopped and live changes arrive', async () => {
    await lab().setConfig({ 'sync-method': 'tarssh' });
    await lab().sh(`mkdir tarred; cd tarred; ${EVERY_TYPE}`);
    await lab().sh(everyOperation('tarred/live').prepare);
    await lab().session(['start']);
    await untilElected();
    await lab().sh(everyOperation('tarred/live').change);
    const { entries } = await lab().waitConverged(120_000);
    expect(entries).toBeGreaterThan(200);
    await lab().session(['stop']);
    await lab().assertNoMountsLeft();
  });
});

describe('an arbiter brick whose worker is active', () => {
  const ARBITER = 2;
  const lab = useLab({ bricks: 3, layout: 'arbiter', metaVolume: 'shared', config: { 'sync-method': 'tarssh' } });

  test('replicates the data of the volume, which the brick does not hold', async () => {
    await lab().sh(EVERY_TYPE);
    await lab().sh(everyOperation('live').prepare);
    const isIn = (brick: number, state: string) => async (): Promise<boolean> =>
      (
        await lab()
          .status(brick)
          .catch(() => undefined)
      )?.['worker_status'] === state;
    const workers = [lab().startWorker({ brick: ARBITER })];
    await lab().until("the arbiter's worker is active", isIn(ARBITER, 'Active'));
    workers.push(lab().startWorker({ brick: 0 }));
    await lab().until("another brick's worker is passive", isIn(0, 'Passive'));
    await lab().waitConverged(120_000);
    await lab().sh(everyOperation('live').change);
    await lab().waitConverged(120_000);
    expect(await isIn(ARBITER, 'Active')()).toBe(true);
    // The arbiter brick shows a size of 0 for each file. The worker must still find the holes.
    const { stdout: blocks } = await lab().exec(['stat', '-c', '%b', `${lab().secondary}/all/sparse`]);
    expect(Number(blocks)).toBeLessThan(1024);
    for (const worker of workers) await worker.stop();
  });

  test('replicates with rsync, too', async () => {
    await lab().setConfig({ 'sync-method': 'rsync' });
    await lab().sh(`mkdir again; cd again; ${EVERY_TYPE}`);
    await lab().sh('cd live; printf more >>append-2; printf other >chain');
    const worker = lab().startWorker({ brick: ARBITER });
    await lab().waitConverged(120_000);
    const { stdout: blocks } = await lab().exec(['stat', '-c', '%b', `${lab().secondary}/again/all/sparse`]);
    expect(Number(blocks)).toBeLessThan(1024);
    await worker.stop();
    await lab().assertNoMountsLeft();
  });
});
