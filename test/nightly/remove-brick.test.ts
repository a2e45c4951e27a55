// A brick is removed from the volume while the session is stopped, with changelogs that no worker has read. They must still
// be applied.
import { expect, test } from 'vitest';
import { HOST } from '../gluster/lab/lab.js';
import { useLab } from '../gluster/lab/use-lab.js';

const lab = useLab({ bricks: 3, gsyncd: 'ours' });
const REMOVED = '/srv/gv0_2';

async function removeBrick(brick: string): Promise<void> {
  const of = ['volume', 'remove-brick', 'gv0', `${HOST}:${brick}`];
  await lab().gluster([...of, 'start']);
  await lab().until(
    'rebalance',
    async () => (await lab().gluster([...of, 'status'])).stdout.includes('completed'),
    60_000,
  );
  await lab().gluster([...of, 'commit']);
}

test("creates, deletes and renames in the removed brick's backlog are replicated", async () => {
  await lab().sh(
    'mkdir -p d/e; for i in {1..150}; do echo $i >d/old$i; done; for i in {1..20}; do echo $i >d/e/$i; done',
  );
  await lab().session(['start']);
  await lab().waitConverged(120_000);
  await lab().session(['stop']);
  await lab().sh(
    'cd d; for i in {1..200}; do echo new $i >new$i; done; rm old{1..50}; for i in {51..100}; do mv old$i e/renamed$i; done; echo more >>e/7; mkdir late; mv e/9 late/',
  );
  await removeBrick(REMOVED);
  await lab().session(['start']);
  await lab().waitConverged(60_000);
  const status = `${lab().sessionDir}/brick_${encodeURIComponent(REMOVED)}.status`;
  await lab().until(
    'end of its worker',
    async () => (await lab().exec(['ls', status], { onFailure: 'return' })).code !== 0,
    30_000,
  );
  expect(await lab().read(lab().sessionLog)).toContain('removed brick: its changelogs are synced');
  expect((await lab().session(['status'])).stdout).not.toContain(REMOVED);
});

test('a removed brick that was fully synced is not mentioned in the log', async () => {
  await lab().session(['stop']);
  await removeBrick('/srv/gv0_3');
  const before = (await lab().read(lab().sessionLog)).length;
  await lab().sh('cd d; for i in {1..20}; do echo $i >after$i; done');
  await lab().session(['start']);
  await lab().waitConverged(60_000);
  expect((await lab().read(lab().sessionLog)).slice(before)).not.toMatch(/gv0_[23]|removed/);
});
