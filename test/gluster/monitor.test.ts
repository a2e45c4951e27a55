// The monitor on a real volume of two bricks: first started by hand with its own pid file, without glusterd, then in stock's
// place, so that glusterd starts, pauses, resumes and stops it.
import { expect, test } from 'vitest';
import { everyOperation } from './lab/fixtures.js';
import { HOST } from './lab/lab.js';
import type { Lab } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ bricks: 2 });
const MONITOR = [process.execPath, `${REPO}/bin/gsyncd-ts.js`, 'monitor', 'gv0', `root@${HOST}::sv0`];
const OWN_CONF = '/srv/monitor.conf';
const OWN_PID = '/run/gluster/by-hand.pid';
const NEW_BRICK = '/srv/gv0_ü&3';

/** Processes of this project in the box: `what` is monitor or worker. */
async function processes(what: string): Promise<{ pid: number; line: string }[]> {
  const all = await lab().box.processes();
  // glusterd says --monitor.
  const wanted = new RegExp(`gsyncd-ts\\.js (?:.*--)?${what} `);
  return [...all].flatMap(([pid, line]) => (wanted.test(line) ? [{ pid, line }] : []));
}

const workerOf = async (brick: string): Promise<number | undefined> =>
  (await processes('worker')).find(({ line }) => line.includes(`--local-path ${brick} `))?.pid;

async function isActive(brick: string): Promise<boolean> {
  const text = await lab()
    .read(`${lab().sessionDir}/brick_${encodeURIComponent(brick)}.status`)
    .catch(() => '{}');
  // As in the stock daemon, the file is created empty, for its lock.
  return text !== '' && (JSON.parse(text) as { worker_status?: string }).worker_status === 'Active';
}

const allActive = (bricks: readonly string[]) => async (): Promise<boolean> =>
  (await Promise.all(bricks.map(isActive))).every(Boolean);

/** Waits until nothing of the monitor is left. */
async function untilGone(): Promise<void> {
  await lab().until(
    'everything gone',
    async () => (await processes('monitor')).length + (await processes('worker')).length === 0,
    30_000,
  );
  await lab().assertNoMountsLeft();
}

test('the monitor goes into the background, runs a worker per brick, and refuses a second instance', async () => {
  await lab().sh(
    `{ cat ${lab().sessionDir}/gsyncd.conf; grep -q '^.vars' ${lab().sessionDir}/gsyncd.conf || echo '[vars]'; echo 'pid-file = ${OWN_PID}'; } >${OWN_CONF}`,
    '/',
  );
  await lab().sh(everyOperation('ops').prepare);
  await lab().exec([...MONITOR, '-c', OWN_CONF]);
  const again = await lab().exec([...MONITOR, '-c', OWN_CONF], { onFailure: 'return' });
  expect(again.code).toBe(2);
  expect(again.stderr).toMatch(
    /^gsyncd-ts: monitor of gv0 root@10\.77\.0\.1::sv0: pidfile is taken: process \d+ holds \S+\n$/,
  );
  await lab().until('workers active', allActive(lab().bricks), 90_000);
  await lab().sh(everyOperation('ops').change);
  await lab().waitConverged(120_000);
  expect(await lab().read(OWN_CONF)).toMatch(/^primary-distribution-count = 2$/m);
});

test('a second worker for a brick that has one ends with one line', async () => {
  const [brick = ''] = lab().bricks;
  const worker = lab().startWorker({ args: ['-c', OWN_CONF] });
  expect((await worker.exited).code).toBe(1);
  expect(worker.stderr.trim()).toMatch(
    new RegExp(`^gsyncd-ts: worker of brick ${brick}: another one runs: process \\d+ holds \\S+/worker\\.lock$`),
  );
  expect(await isActive(brick)).toBe(true);
});

test('the monitor restarts a killed worker at once', async () => {
  const [, brick = ''] = lab().bricks;
  const killed = (await workerOf(brick))!;
  await lab().exec(['kill', '-9', String(killed)]);
  await lab().until('another worker', async () => ![undefined, killed].includes(await workerOf(brick)));
  await lab().sh('mkdir after-kill; for i in {1..40}; do echo $i >after-kill/f$i; done');
  await lab().until('active again', isActive.bind(null, brick), 60_000);
  await lab().waitConverged(90_000);
});

test('a brick that is added gets a worker without a restart of the monitor', async () => {
  const [monitor] = await processes('monitor');
  await lab().gluster(['volume', 'add-brick', 'gv0', `${HOST}:${NEW_BRICK}`, 'force']);
  await lab().until('worker of the new brick', () => isActive(NEW_BRICK), 90_000);
  await lab().sh('mkdir spread; for i in {1..90}; do echo $i >spread/f$i; done');
  await lab().waitConverged(120_000);
  expect(await lab().sh('ls', `/var/log/glusterfs/geo-replication-secondaries/gv0_${HOST}_sv0`)).toContain(
    `mnt-${HOST}-srv-gv0_ü&3.log\n`,
  );
  expect((await lab().exec(['find', `${NEW_BRICK}/spread`, '-type', 'f'])).stdout).not.toBe('');
  expect(await processes('monitor')).toEqual([monitor]);
  expect(await lab().read(OWN_CONF)).toMatch(/^primary-distribution-count = 3$/m);
});

test('workers end when the monitor is killed; with --pause-on-start the monitor starts paused', async () => {
  const [killed] = await processes('monitor');
  await lab().exec(['kill', '-9', String(killed!.pid)]);
  await lab().until('workers gone', async () => (await processes('worker')).length === 0);
  await lab().exec([...MONITOR, '-c', OWN_CONF, '--pause-on-start']);
  const [monitor] = await processes('monitor');
  const isStopped = async (): Promise<boolean> => /^\d+ \(.*\) T/.test(await lab().read(`/proc/${monitor!.pid}/stat`));
  await lab().until('paused', isStopped);
  expect(await processes('worker')).toEqual([]);
  await lab().exec(['kill', '-CONT', '--', `-${monitor!.pid}`]);
  await lab().until('three workers', async () => (await processes('worker')).length === 3);
  await lab().sh('mkdir came-back; for i in {1..40}; do echo $i >came-back/f$i; done');
  await lab().waitConverged(90_000);
});

test('SIGTERM ends the monitor and all its processes', async () => {
  const [monitor] = await processes('monitor');
  await lab().exec(['kill', '-TERM', String(monitor!.pid)]);
  await untilGone();
});

const statusLines = async (): Promise<string[]> =>
  (await lab().session(['status'])).stdout.split('\n').filter((line) => line.includes('/srv/gv0_'));
const statusIs =
  (word: string, bricks = 3) =>
  async (): Promise<boolean> => {
    const lines = await statusLines();
    return lines.length === bricks && lines.every((line) => line.includes(` ${word} `));
  };

test('glusterd starts, shows, pauses and resumes the monitor', async () => {
  const call = MONITOR.slice(0, 2)
    .map((word) => `'${word}'`)
    .join(' ');
  await lab().sh(
    `stock=$(find /usr/lib* -path '*/glusterfs/gsyncd' -type f | head -1)
cp "$stock" gsyncd.stock
cat >gsyncd.ours <<END
#!/bin/bash
case " \\$* " in *' --monitor '*) exec ${call} "\\$@" ;; esac
exec -a "$stock" /srv/gsyncd.stock "\\$@"
END
chmod +x gsyncd.ours; mount --bind gsyncd.ours "$stock"`,
    '/srv',
  );
  await lab().session(['start']);
  await lab().until('shown as active', statusIs('Active'), 90_000);
  await lab().sh('mkdir started; for i in {1..60}; do echo $i >started/f$i; done');
  await lab().waitConverged(90_000);

  await lab().session(['pause']);
  expect(await statusIs('Paused')()).toBe(true);
  const stopped = await Promise.all(
    [...(await processes('monitor')), ...(await processes('worker'))].map(
      async ({ pid }) => (await lab().read(`/proc/${pid}/stat`)).replace(/^.*\) /, '')[0],
    ),
  );
  expect(stopped).toEqual(['T', 'T', 'T', 'T']);
  await lab().sh('for i in {1..60}; do echo again $i >started/f$i; done');
  await lab().session(['resume']);
  await lab().waitConverged(90_000);
  expect(await statusIs('Active')()).toBe(true);
});

test('the worker of a removed brick ends, and the others continue without a restart of the monitor', async () => {
  const remove = (how: string): ReturnType<Lab['gluster']> =>
    lab().gluster(['volume', 'remove-brick', 'gv0', `${HOST}:${NEW_BRICK}`, how], 'return');
  const [monitor] = await processes('monitor');
  expect((await remove('start')).code).toBe(0);
  await lab().until('its files moved', async () => (await remove('status')).stdout.includes('completed'), 60_000);
  // While a session runs, GlusterFS removes a brick only with force, which is safe once the brick is empty.
  const refused = await remove('commit');
  expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('geo-replication sessions are active')]);
  expect(await workerOf(NEW_BRICK)).toBeDefined();
  const removed = await remove('force');
  expect([removed.code, removed.stderr]).toEqual([0, '']);
  await lab().until('its worker gone', async () => (await workerOf(NEW_BRICK)) === undefined);
  await lab().until('the others active', statusIs('Active', 2), 60_000);
  await lab().sh(
    'cd started; for i in {1..60}; do echo once more $i >f$i; done; for i in {1..20}; do echo $i >g$i; done; rm f2*',
  );
  await lab().waitConverged(90_000);
  expect((await processes('worker')).map(({ line }) => / --local-path (\S+)/.exec(line)?.[1]).sort()).toEqual(
    lab().bricks,
  );
  expect(await processes('monitor')).toEqual([monitor]);
  expect(await lab().read(`${lab().sessionDir}/gsyncd.conf`)).toMatch(/^primary-distribution-count = 2$/m);
});

test('glusterd stops the monitor', async () => {
  await lab().session(['stop']);
  expect(await statusIs('Stopped', 2)()).toBe(true);
  await lab().until(
    'processes gone',
    async () => (await processes('monitor')).length + (await processes('worker')).length === 0,
    10_000,
  );
});
