// A distributed secondary loses a brick, and its mount answers ENOENT for that brick's files. The workers must not take changes
// made meanwhile for done. Changes that a secondary could skip silently are tested separately, since the first error ends a
// worker.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { NIGHTLY } from './lab/nightly.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const CHANGES: readonly [what: string, change: string][] = [
  ['files that are removed', 'for i in {1..20}; do rm f$i; done; rm -r t'],
  ['attributes', 'for i in {1..20}; do chmod 0640 f$i; chown 12:34 f$i; done'],
  [
    'everything else',
    `for i in {1..5}; do mv f$i g$i; done; for i in {6..10}; do mv f$i f$((i+20)); done; for i in {11..15}; do ln f$i h$i; echo more >>f$((i+20)); done
     for i in {16..20}; do rm f$i; echo again >f$i; done; mkdir n; for i in {1..10}; do echo $i >n/n$i; ln -s x$i n/s$i; mkfifo n/p$i; done
     for i in {1..10}; do mkdir -p d$i/e; echo $i >d$i/e/f; done; for i in {1..10}; do mv d$i m$i; done; for i in {1..5}; do rm -r m$i; done`,
  ],
];

describe.each(NIGHTLY ? (['ours', 'stock'] as const) : (['ours'] as const))('behind the %s secondary', (gsyncd) => {
  const lab = useLab({ bricks: 2, gsyncd });

  test.each(CHANGES)(
    '%s while a secondary brick is down: a worker ends, and all changes arrive after its restart',
    async (what, change) => {
      const at = what.replaceAll(' ', '-');
      const workers: WorkerHandle[] = [0, 1].map((brick) => lab().startWorker({ brick }));
      await lab().sh(`mkdir ${at}; cd ${at}; mkdir t; for i in {1..40}; do echo $i >f$i; echo $i >t/f$i; done`);
      await lab().waitConverged(90_000);
      await lab().exec(['pkill', '-KILL', '-f', '^/usr/sbin/glusterfsd .*--brick-name /srv/sv0_1']);
      await sleep(1000);
      await lab().sh(`cd ${at}; ${change}`);
      await lab().until('a worker that ends', () => Promise.resolve(workers.some((worker) => !worker.running)));
      const logs = (await Promise.all(workers.map((worker) => worker.log()))).join('');
      expect(logs).toMatch(/a brick of the secondary volume is down|1 of 2 subvolumes are up|not connected|ENOTCONN/);
      await lab().gluster(['volume', 'start', 'sv0', 'force']);
      await sleep(4000);
      for (const [brick, worker] of workers.entries())
        if (!worker.running) workers[brick] = lab().startWorker({ brick });
      await lab().waitConverged(90_000);
      expect(await lab().sh(`ls -R ${at}`, lab().secondary)).toBe(await lab().sh(`ls -R ${at}`));
      for (const worker of workers) if (worker.running) await worker.stop();
    },
  );
});
