// Volumes of two replica sets (two bricks and an arbiter each), of which one loses its quorum. Mounts still see the
// subvolume as up, and often answer ENOENT for its files.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import type { Lab } from '../gluster/lab/lab.js';
import { useLab } from '../gluster/lab/use-lab.js';
import type { WorkerHandle } from '../gluster/lab/worker.js';

const FILES = 'for i in {1..60}; do echo $i >f$i; done';
const start = (lab: () => Lab, bricks: readonly number[]): WorkerHandle[] =>
  bricks.map((brick) => lab().startWorker({ brick }));
const kill = (lab: () => Lab, volume: string): Promise<unknown> =>
  lab().exec(['pkill', '-KILL', '-f', `^/usr/sbin/glusterfsd .*--brick-name /srv/${volume}_[12] `]);

describe.each([
  ['ours', 'cd s; rm f1?; chmod 600 f2?; mkdir t; mv f3? t'],
  // A stock secondary reports unlinks and chmods as done. Creates that it refuses go to the failure list.
  ['stock', 'cd s; for i in {1..60}; do echo $i >g$i; done'],
] as const)('behind the %s secondary', (gsyncd, change) => {
  const lab = useLab({ bricks: 6, layout: 'arbiter', metaVolume: 'shared', gsyncd });

  test('changes made without quorum are replicated when the quorum is back', async () => {
    const workers = start(lab, [0, 3]);
    await lab().sh(`mkdir s; cd s; ${FILES}`);
    await lab().waitConverged(90_000);
    await kill(lab, 'sv0');
    await sleep(1000);
    await lab().sh(change);
    const failures = async (): Promise<number> =>
      (await Promise.all([0, 3].map((brick) => lab().status(brick)))).reduce(
        (sum, status) => sum + Number(status['failures']),
        0,
      );
    await lab().until(
      'a worker that ends, or failures',
      async () => workers.some((worker) => !worker.running) || (await failures()) > 0,
    );
    await lab().gluster(['volume', 'start', 'sv0', 'force']);
    await sleep(4000);
    for (const worker of workers) if (worker.running) await worker.stop();
    const again = start(lab, [0, 3]);
    await lab().waitConverged(90_000);
    await lab().until('no failure', async () => (await failures()) === 0, 60_000);
    for (const worker of again) await worker.stop();
  });
});

describe('the primary', () => {
  const lab = useLab({ bricks: 6, layout: 'arbiter', metaVolume: 'shared', gsyncd: 'ours' });

  test('files written before the quorum was lost are replicated, not taken for deleted', async () => {
    await lab().sh(`mkdir p; cd p; ${FILES}; for i in {1..60}; do ln -s $i l$i; done`);
    // The arbiter also has to close its changelog of these files.
    await sleep(4000);
    await kill(lab, 'gv0');
    await sleep(1000);
    const workers = start(lab, [2, 3]);
    await lab().until('the arbiter to be active', async () =>
      (await workers[0]!.log()).includes('starting history crawl'),
    );
    await sleep(5000);
    await lab().gluster(['volume', 'start', 'gv0', 'force']);
    await lab().waitConverged(120_000);
    expect(workers.every((worker) => worker.running)).toBe(true);
    for (const worker of workers) await worker.stop();
  });
});
