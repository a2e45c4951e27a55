// Scenarios for each engine on one pair of volumes: a first sync, live changes, changes made while no worker ran. Each ends with
// equal trees of its directory, and the last with equal volumes. One test file per engine registers them.
import { expect, test } from 'vitest';
import { bigFile, EVERY_TYPE, everyOperation, smallFiles, SPECIAL_FILES } from './fixtures.js';
import type { TreeAspect } from './tree.js';
import { useLab } from './use-lab.js';
import type { Lab } from './lab.js';
import type { WorkerHandle } from './worker.js';

export interface Replication {
  readonly lab: () => Lab;
  /** Starts the worker when it does not run, and returns it. */
  readonly worker: () => WorkerHandle;
  /** Aspects that comparisons leave out. */
  readonly ignore: readonly TreeAspect[];
}

/** Registers the tests in the current file. `ignore` names the aspects that the engine does not carry. */
export function replicationScenarios(engine: 'rsync' | 'tarssh', ignore: readonly TreeAspect[]): Replication {
  const lab = useLab({ config: { 'sync-method': engine } });
  // A stock secondary makes every device node with the numbers 0:0.
  ignore = [...ignore, 'rdev'];
  let current: WorkerHandle | undefined;
  const worker = (): WorkerHandle => (current?.running ? current : (current = lab().startWorker()));

  test('a first sync replicates every file type and attribute, a 200 MB file and 1,000 small files', async () => {
    await lab().sh(EVERY_TYPE);
    await lab().sh(SPECIAL_FILES);
    await lab().sh(`mkdir bulk; ${bigFile('bulk/big', 200)}`);
    await lab().sh(smallFiles('bulk/small', 1000));
    await worker().waitForLog(/starting hybrid crawl/);
    await lab().waitConverged(180_000, { ignore });
    await worker().waitForLog(/finished hybrid crawl/);
    expect(await worker().log()).not.toContain('mode=history');
  });

  test('100 files and every operation, made while the worker is stopped, arrive after its start', async () => {
    await worker().stop();
    await lab().sh(smallFiles('bulk/later', 100));
    const { prepare, change } = everyOperation('stopped');
    await lab().sh(prepare);
    await worker().waitForLog(/starting history crawl/);
    await lab().waitConverged(180_000, { ignore, under: 'bulk' });
    await lab().waitConverged(60_000, { ignore, under: 'stopped' });
    await worker().stop();
    await lab().sh(change);
    await worker().waitForLog(/starting history crawl/);
    await lab().waitConverged(90_000, { ignore, under: 'stopped' });
  });

  test('live changes by every operation arrive', async () => {
    const { prepare, change } = everyOperation('live');
    worker();
    await lab().sh(prepare);
    await lab().waitConverged(60_000, { ignore, under: 'live' });
    await lab().sh(change);
    await lab().waitConverged(60_000, { ignore, under: 'live' });
  });

  // A mount that keeps the kernel's page cache returns old content with the new mtime for some of these files.
  test('300 files that are repeatedly overwritten at the same size arrive each time', async () => {
    worker();
    await lab().sh('mkdir again; for i in {1..300}; do printf 0-content >again/f$i; done');
    await lab().waitConverged(60_000, { ignore, under: 'again' });
    for (const round of [1, 2, 3]) {
      await lab().sh(`for i in {1..300}; do printf ${round} 1<>again/f$i; done`);
      await lab().waitConverged(60_000, { ignore, under: 'again' });
    }
  });

  test('special files made live arrive', async () => {
    worker();
    await lab().sh(SPECIAL_FILES.replaceAll('special', 'special-live'));
    await lab().waitConverged(60_000, { ignore, under: 'special-live' });
  });

  test('snapshots by cp -al with files replaced between them arrive as hard links', async () => {
    worker();
    await lab().sh('mkdir -p snaps/0/dir; for i in {1..30}; do printf "$i" >snaps/0/dir/f$i; done');
    await lab().sh(`cd snaps; for n in 1 2 3; do
      cp -al 0 new; rm -rf 3; [ -e 2 ] && mv 2 3; [ -e 1 ] && mv 1 2; mv new 1
      printf "round $n" >0/dir/.t; mv 0/dir/.t 0/dir/f$n; sleep 1.5; done`);
    const found = await lab().waitConverged(60_000, { ignore, under: 'snaps' });
    expect(found.entries).toBeGreaterThan(80);
  });

  test('rotated logs arrive under their new names', async () => {
    worker();
    await lab().sh(`mkdir -p logs; cd logs; for n in {1..6}; do
      for i in {1..50}; do echo "line $n $i" >>app.log; done
      for k in 4 3 2 1; do [ -e app.log.$k ] && mv app.log.$k app.log.$((k + 1)); done; mv app.log app.log.1; sleep 1; done; echo now >app.log`);
    await lab().waitConverged(60_000, { ignore, under: 'logs' });
  });

  test('both volumes are equal in the end', async () => {
    worker();
    await lab().waitConverged(60_000, { ignore });
  });

  test('the status file shows an active worker with all counters at zero', async () => {
    await lab().until('counters at zero', async () => {
      const status = await lab().status();
      return status['entry'] === 0 && status['data'] === 0 && status['meta'] === 0;
    });
    const status = await lab().status();
    expect(status).toMatchObject({ worker_status: 'Active', crawl_status: 'Changelog Crawl', failures: 0 });
    expect(status['last_synced']).toBeGreaterThan(Date.now() / 1000 - 600);
  });

  test('SIGTERM ends the worker with exit code 0 and nothing mounted', async () => {
    await worker().stop();
    await lab().assertNoMountsLeft();
  });

  return { lab, worker, ignore };
}
