// A replicated volume with one worker per brick: one is active, the other passive until the active one is gone.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { everyOperation } from './lab/fixtures.js';
import { REPO } from './lab/machine.js';
import { nightly } from './lab/nightly.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab({ bricks: 2, layout: 'replica', metaVolume: 'shared' });
let workers: [WorkerHandle, WorkerHandle];

const isIn = (brick: number, state: string) => async (): Promise<boolean> => {
  const status = await lab()
    .status(brick)
    .catch(() => undefined);
  return status?.['worker_status'] === state;
};

/** The stime of a brick's root as hexadecimal digits, which compare as numbers do. */
async function stimeOf(brick: number): Promise<string> {
  const found = await lab().sh(`getfattr --absolute-names -d -m '[.]stime$' -e hex ${lab().bricks[brick]}`);
  return /^trusted\.glusterfs\.[0-9a-f-]{36}\.[0-9a-f-]{36}\.stime=0x([0-9a-f]{16})$/m.exec(found)?.[1] ?? '';
}

test('of two workers of one replica set one is active, and it replicates', async () => {
  const first = lab().startWorker({ brick: 0 });
  await lab().until('first worker active', isIn(0, 'Active'));
  workers = [first, lab().startWorker({ brick: 1 })];
  await lab().until('second worker passive', isIn(1, 'Passive'));
  await lab().sh(everyOperation('one').prepare);
  await lab().waitConverged();
});

test("the stime of the passive worker's brick follows the active one's", async () => {
  await lab().until('mark of the passive brick', async () => (await stimeOf(1)) !== '');
  const before = await stimeOf(1);
  await lab().sh('printf x >marked');
  await lab().until('passive mark moved', async () => (await stimeOf(1)) > before);
  expect((await stimeOf(1)) <= (await stimeOf(0))).toBe(true);
  expect((await lab().status(1))['worker_status']).toBe('Passive');
  expect(await workers[1].log()).not.toMatch(/status=Active/);
  await lab().waitConverged();
});

test('the passive worker takes over when the active one is killed', async () => {
  await lab().sh(everyOperation('one').change);
  await workers[0].kill();
  await lab().until('second worker active', isIn(1, 'Active'), 60_000);
  await lab().sh(everyOperation('two').prepare);
  await lab().waitConverged(90_000);
});

test('a worker that comes back is passive, and takes over again after SIGTERM of the other', async () => {
  workers[0] = lab().startWorker({ brick: 0 });
  await lab().until('first worker passive', isIn(0, 'Passive'));
  await lab().sh(everyOperation('two').change);
  await lab().waitConverged();
  await workers[1].stop();
  await lab().until('first worker active', isIn(0, 'Active'), 60_000);
  await lab().sh('printf after >after; rm -r one');
  await lab().waitConverged(90_000);
  await workers[0].stop();
  await lab().assertNoMountsLeft();
});

nightly('replica-failover-interval sets how often a passive worker checks whether it has to take over', async () => {
  const active = lab().startWorker({ brick: 0 });
  await lab().until('first worker active', isIn(0, 'Active'));
  await lab().setConfig({ 'replica-failover-interval': '3600' });
  const passive = lab().startWorker({ brick: 1 });
  await lab().until('second worker passive', isIn(1, 'Passive'));
  await active.stop();
  await sleep(8000);
  expect((await lab().status(1))['worker_status']).toBe('Passive');
  await passive.stop();
  await lab().setConfig({ 'replica-failover-interval': '2' });
  const another = lab().startWorker({ brick: 1 });
  await lab().until('second worker active', isIn(1, 'Active'));
  await another.stop();
});

test('a checkpoint waits for failures of another brick, which its worker retries when it is back and passive', async () => {
  await lab().setConfig({
    'rsync-command': `${REPO}/test/fixtures/bin/partly-rsync`,
    'replica-failover-interval': '1',
  });
  await lab().sh('printf x >gone-xattr; setfattr -n user.a -v 1 gone-xattr');
  const first = lab().startWorker({ brick: 0 });
  await lab().until('first worker active', isIn(0, 'Active'));
  await lab().waitConverged(90_000);
  await lab().sh('touch failing', '/srv');
  await lab().sh('setfattr -x user.a gone-xattr');
  // The worker's mark for failures changes the root's xattrs, which then fail to sync, too.
  await lab().until(
    'the removal counted as a failure',
    async () => Number((await lab().status(0))['failures']) >= 1,
    60_000,
  );
  await first.kill();

  const second = lab().startWorker({ brick: 1 });
  await lab().until('second worker active', isIn(1, 'Active'), 60_000);
  await lab().sh('printf x >before-checkpoint');
  await lab().setConfig({ checkpoint: 'now' });
  const checkpoint = Math.floor(Date.now() / 1000);
  await lab().sh('printf x >after-checkpoint');
  await lab().until(
    'the checkpoint passed',
    async () => {
      await lab().sh('date +%N >after-checkpoint');
      return Number((await lab().status(1))['last_synced']) > checkpoint + 3;
    },
    60_000,
  );
  expect((await lab().status(1))['checkpoint_completed']).toBe('No');
  expect(await second.log()).toMatch(/checkpoint: waiting for failures of another brick/);

  await lab().sh('rm failing', '/srv');
  const third = lab().startWorker({ brick: 0 });
  await lab().until('first worker passive', isIn(0, 'Passive'), 60_000);
  await lab().waitConverged(90_000);
  await lab().until('no failure', async () => (await lab().status(0))['failures'] === 0);
  // The volume is idle from here on.
  await lab().until(
    'the checkpoint complete',
    async () => (await lab().status(1))['checkpoint_completed'] === 'Yes',
    60_000,
  );
  for (const worker of [second, third]) await worker.stop();
  await lab().resetConfig('checkpoint');
  await lab().resetConfig('rsync-command');
});

nightly(
  "beside a stock worker with the replica set's lock, the worker is passive, and takes over when that one ends",
  async () => {
    await lab().setConfig({ 'secondary-access-mount': 'true', 'replica-failover-interval': '1' });
    const stock = lab().startStockWorker({ brick: 0 });
    await stock.waitForLog(/starting history crawl/);
    const ours = lab().startWorker({ brick: 1 });
    await lab().until('ours passive', isIn(1, 'Passive'), 60_000);
    await sleep(5000);
    expect((await lab().status(1))['worker_status']).toBe('Passive');
    await stock.kill();
    await lab().sh('mkdir beside-stock; for i in {1..20}; do printf $i >beside-stock/$i; done');
    await lab().until('ours active', isIn(1, 'Active'), 60_000);
    await lab().waitConverged(90_000);
    // Conversely, a stock worker respects the lock that this one holds.
    const other = lab().startStockWorker({ brick: 0 });
    await other.waitForLog(/Worker Status Change.*Passive/);
    await sleep(5000);
    expect([(await lab().status(0))['worker_status'], (await lab().status(1))['worker_status']]).toEqual([
      'Passive',
      'Active',
    ]);
    await other.kill();
    await ours.stop();
  },
);
