// A session under glusterd whose primary loses one brick, then all. A worker without its brick is Faulty with a reason, and
// recovers when the brick is back. Also, a clean-up of old files in /tmp finds no mount there.
import { expect, test } from 'vitest';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ bricks: 2, layout: 'replica', metaVolume: 'shared', gsyncd: 'ours' });

const stateOf = async (brick: number): Promise<unknown> =>
  (
    await lab()
      .status(brick)
      .catch(() => undefined)
  )?.['worker_status'];
const states =
  (...wanted: readonly string[]) =>
  async (): Promise<boolean> =>
    (await Promise.all([stateOf(0), stateOf(1)])).sort().join() === wanted.join();
const says = (brick: number, reason: RegExp) => async (): Promise<boolean> => {
  const status = await lab().status(brick);
  return status['worker_status'] === 'Faulty' && reason.test(String(status['last_error']));
};

test("a clean-up of old files in /tmp, in the machine's and in a worker's mounts, removes nothing from either volume", async () => {
  await lab().sh("mkdir old; for i in {1..20}; do echo $i >old/$i; done; touch -d '20 days ago' old/*");
  await lab().session(['start']);
  await lab().until('workers', states('Active', 'Passive'), 90_000);
  await lab().waitConverged();
  const pids = [...(await lab().box.processes())]
    .filter(([, line]) => / worker gv0 /.test(line))
    .map(([pid]) => String(pid));
  expect(pids).toHaveLength(2);
  for (const pid of ['1', ...pids]) {
    const mounts = (await lab().read(`/proc/${pid}/mounts`))
      .split('\n')
      .filter((line) => line.includes('aux-mount-'))
      .map((line) => line.split(' ')[1] ?? '');
    expect(mounts.length).toBeGreaterThan(0);
    for (const mount of mounts) expect(mount).toMatch(/^\/run\/gluster\/gsyncd-mounts\/gsyncd-aux-mount-\w{6}$/);
    await lab().exec(['nsenter', '-t', pid, '-m', 'find', '/tmp', '-type', 'f', '-mtime', '+10', '-delete'], {
      onFailure: 'return',
    });
  }
  expect(await lab().sh('stat -c "%a %U %F" gsyncd-mounts', '/run/gluster')).toBe('700 root directory\n');
  for (const volume of [lab().primary, lab().secondary])
    expect((await lab().sh('ls old | wc -l', volume)).trim()).toBe('20');
  await lab().waitConverged();
});

test('a worker whose brick process ended is Faulty with a reason, the other takes over, and it recovers with its brick', async () => {
  const active = (await stateOf(0)) === 'Active' ? 0 : 1;
  await lab().exec(['pkill', '-KILL', '-f', `^/usr/sbin/glusterfsd .*--brick-name ${lab().bricks[active]} `]);
  await lab().until(
    'Faulty with its reason',
    says(active, /^brick \/srv\/gv0_\d: process not running: gluster volume start gv0 force$/),
    90_000,
  );
  await lab().until('the other active', async () => (await stateOf(1 - active)) === 'Active', 60_000);
  await lab().sh('mkdir without; for i in {1..20}; do echo $i >without/$i; done; rm old/1; mv old/2 old/two');
  await lab().waitConverged();
  await lab().gluster(['volume', 'start', 'gv0', 'force']);
  await lab().until('both', states('Active', 'Passive'), 90_000);
  await lab().sh('echo more >>old/3; rm -r without');
  await lab().waitConverged();
});

test('with the volume stopped its workers are Faulty with a reason, and they recover when it starts', async () => {
  await lab().gluster(['volume', 'stop', 'gv0', 'force']);
  for (const brick of [0, 1]) await lab().until('Faulty with its reason', says(brick, /gv0.*ENOTCONN/), 120_000);
  await lab().gluster(['volume', 'start', 'gv0']);
  await lab().until('both', states('Active', 'Passive'), 90_000);
  await lab().until('a mount that answers', async () =>
    (await lab().sh('echo back >old/4 && echo yes || true')).includes('yes'),
  );
  await lab().waitConverged();
  await lab().session(['stop']);
  await lab().assertNoMountsLeft();
});
