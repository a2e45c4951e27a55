// A volume distributed over two bricks, with one worker each.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import { HOST } from './lab/lab.js';
import { nightly } from './lab/nightly.js';
import { useLab } from './lab/use-lab.js';
import { Workload } from './lab/workload.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab({ bricks: 2 });
const workload = new Workload({ seed: 7, names: 'utf8', attributes: 'all', top: 'w' });
const start = (): WorkerHandle[] => [0, 1].map((brick) => lab().startWorker({ brick }));

test('two workers replicate a whole distributed volume', async () => {
  await lab().sh(EVERY_TYPE);
  await lab().sh(everyOperation('live').prepare);
  await lab().sh(everyOperation('stopped').prepare);
  await lab().apply(workload.next(150));
  const workers = start();
  await lab().waitConverged(90_000);
  await lab().sh(everyOperation('live').change);
  await lab().waitConverged(90_000);
  for (const worker of workers) await worker.stop();
});

test('changes of every kind, made on both bricks while the workers are stopped, are replicated', async () => {
  await lab().sh('mkdir h; for i in {1..200}; do printf $i >h/f$i; done; for i in {1..200..3}; do rm h/f$i; done');
  await lab().sh(everyOperation('stopped').change);
  await lab().apply(workload.next(200));
  const workers = start();
  await lab().waitConverged(90_000);
  for (const worker of workers) await worker.stop();
  await lab().assertNoMountsLeft();
});

nightly.each(['sv0', 'gv0'])(
  'a brick of %s that dies during a sync and comes back later loses no change',
  async (volume) => {
    const workers = start();
    await lab().waitConverged(90_000);
    const under = `dead-${volume}`;
    await lab().sh(`mkdir ${under}; cd ${under}; for i in {1..220}; do head -c 20000 /dev/urandom >before-$i; done`);
    await lab().until(
      'some of it',
      async () => (await lab().sh(`find . -path './${under}/*'`, lab().secondary)) !== '',
    );
    await lab().exec(['pkill', '-KILL', '-f', `^/usr/sbin/glusterfsd .*--brick-name /srv/${volume}_1`]);
    // With one of two bricks down, operations on the other brick's files still work.
    await lab().sh(
      `cd ${under}; for i in {1..60}; do printf $i >during-$i || true; rm -f before-$i || true; mv before-10$i after-10$i || true; done 2>/dev/null; true`,
    );
    if (volume === 'sv0') await sleep(7000);
    else
      expect([await workers[0]!.exited, workers[0]!.stderr]).toEqual([
        { code: 1, signal: null },
        'gsyncd-ts: brick /srv/gv0_1: process not running: gluster volume start gv0 force\n',
      ]);
    await lab().gluster(['volume', 'start', volume, 'force']);
    await lab().until('the brick', async () =>
      (await lab().sh('ls >/dev/null && touch alive && echo yes || true')).includes('yes'),
    );
    await sleep(4000);
    await lab().sh(`cd ${under}; for i in {200..220}; do printf more >>before-$i; done`);
    // A worker also ends when a subvolume of the secondary is down. Restart it, as systemd or a monitor would.
    if (volume === 'gv0') expect(workers.map((worker) => worker.running)).toEqual([false, true]);
    for (const [brick, worker] of workers.entries()) if (!worker.running) workers[brick] = lab().startWorker({ brick });
    await lab().waitConverged(120_000);
    for (const worker of workers) if (worker.running) await worker.stop();
    await lab().assertNoMountsLeft();
  },
);

test('two bricks whose paths map to the same working directory name have a worker each', async () => {
  const twins = ['/srv/twin-1', '/srv/twin/1'];
  // glusterd names a file of each brick in the same way, after the node's name: the second brick gets another node name.
  await lab().sh('mkdir twin; ip address add 10.77.0.9/32 dev lo', '/srv');
  await lab().gluster(['volume', 'add-brick', 'gv0', `${HOST}:${twins[0]}`, `10.77.0.9:${twins[1]}`, 'force']);
  const workers = [...start(), ...twins.map((localPath) => lab().startWorker({ localPath }))];
  await lab().sh('mkdir twins; for i in {1..80}; do echo $i >twins/$i; done');
  await lab().waitConverged(90_000);
  for (const twin of twins) expect(await lab().sh('find twins -type f', twin)).not.toBe('');
  expect((await lab().sh('echo srv-twin-1*', '/var/lib/misc/gluster/gsyncd/gv0_10.77.0.1_sv0')).trim()).toMatch(
    /^srv-twin-1 srv-twin-1\.[0-9a-f]{12}$/,
  );
  for (const worker of workers) await worker.stop();
});
