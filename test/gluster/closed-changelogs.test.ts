// The worker finds the changes of damaged or missing changelogs in another way. The last test is a failback: changelogs that
// are older than the session hold deletes and renames, which the session must undo.
import { expect, test } from 'vitest';
import { HOST } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab({ gsyncd: 'ours' });
const CHANGELOGS = '/srv/gv0_1/.glusterfs/changelogs';

/** Closed changelogs, oldest first. */
const closed = async (): Promise<string[]> =>
  (await lab().sh(`find ${CHANGELOGS} -name 'CHANGELOG.*' | sort -t. -k4 -n`, '/')).trim().split('\n').filter(Boolean);

/** Makes changes, including unlinks and renames, which a walk cannot see. @returns the changelogs that recorded them */
async function change(name: string): Promise<string[]> {
  const before = new Set(await closed());
  await lab().sh(
    `mkdir -p ${name}/new; printf 1 >${name}/new/file; printf more >>${name}/kept; rm ${name}/gone; mv ${name}/moved ${name}/moved-to; mv ${name}/dir ${name}/elsewhere; rm -r ${name}/tree; chmod 0640 ${name}/mode`,
  );
  await lab().until(
    'the open changelog to be closed',
    async () =>
      !(await lab()
        .exec(['grep', '-qa', 'elsewhere', `${CHANGELOGS}/CHANGELOG`], { onFailure: 'return' })
        .then(({ code }) => code === 0)),
  );
  return (await closed()).filter((path) => !before.has(path));
}

const prepare = (name: string): Promise<string> =>
  lab().sh(
    `mkdir -p ${name}/dir/in ${name}/tree/of/names; cd ${name}; for f in kept gone moved mode dir/in/file tree/of/names/file; do printf $f >$f; done`,
  );

const DAMAGE: Record<string, (path: string) => string> = {
  truncated: (path) => `truncate -s -7 ${path}`,
  garbage: (path) => `head -c 300 /dev/urandom >${path}`,
  missing: (path) => `rm ${path}`,
};

async function damage(how: string, changelogs: readonly string[]): Promise<void> {
  expect(changelogs.length).toBeGreaterThan(0);
  await lab().sh(changelogs.map((path) => DAMAGE[how]?.(path)).join('\n'), '/');
}

let worker: WorkerHandle;

test('changes in truncated, garbled or missing changelogs are replicated by the history crawl, with a log line for each', async () => {
  const kinds = Object.keys(DAMAGE);
  for (const how of kinds) await prepare(how);
  worker = lab().startWorker();
  await lab().waitConverged();
  await worker.stop();
  const damaged: string[] = [];
  for (const how of kinds) {
    const changelogs = await change(how);
    await damage(how, changelogs);
    damaged.push(...changelogs);
    await lab().sh(`printf after >${how}/after`);
  }
  worker = lab().startWorker();
  await lab().waitConverged();
  const log = (await worker.log()).split('\n');
  for (const path of damaged)
    expect(log.filter((line) => line.includes('cannot read changelog') && line.includes(path)).length).toBe(1);
  await worker.stop();
  // The next start does not read them again.
  worker = lab().startWorker();
  await worker.waitForLog(/finished history crawl/);
  expect(await worker.log()).not.toContain('cannot read changelog');
  expect((await lab().status())['failures']).toBe(0);
});

test('changes in a truncated changelog are replicated by the changelog crawl, with a log line', async () => {
  await prepare('live');
  await lab().waitConverged();
  await worker.signal('SIGSTOP');
  const changelogs = await change('live');
  await damage('truncated', changelogs);
  await worker.signal('SIGCONT');
  await lab().sh('printf after >live/after');
  await lab().waitConverged();
  expect(await worker.log()).toContain('cannot read changelog');
  await prepare('failback');
  await prepare('failback2');
});

test('a failback replicates deletes and renames made on the secondary before the reverse session was created', async () => {
  await lab().waitConverged();
  await worker.stop();
  // The documented failover to the secondary.
  for (const [name, value] of [
    ['features.read-only', 'off'],
    ['geo-replication.indexing', 'on'],
    ['changelog.changelog', 'on'],
    ['changelog.rollover-time', '3'],
  ] as const) {
    await lab().gluster(['volume', 'set', 'sv0', name, value]);
  }
  await lab().mount('sv0', '/mnt/sv0-writable', ['--acl']);
  // Otherwise the worker would wait two minutes until the first worker's announcement there expires.
  await lab().sh(
    `for name in $(getfattr -m volume-mark --absolute-names . | grep volume-mark); do setfattr -x "$name" .; done`,
    '/srv/sv0_1',
  );
  const changeThere = (dir: string): Promise<string> =>
    lab().sh(
      `cd ${dir}; printf more >>kept; rm gone; mv moved moved-to; mv dir elsewhere; rm -r tree; printf new >new; mkdir fresh; mv new fresh/newer`,
      '/mnt/sv0-writable',
    );
  await changeThere('failback');
  await lab().session(['stop', 'force'], 'return');
  await lab().session(['delete']);
  const back = ['volume', 'geo-replication', 'sv0', `${HOST}::gv0`];
  await lab().gluster([...back, 'create', 'push-pem', 'force']);
  await lab().gluster([...back, 'config', 'special-sync-mode', 'recover']);
  await changeThere('failback2');
  worker = lab().startWorker({ pair: ['sv0', `root@${HOST}::gv0`], localPath: '/srv/sv0_1' });
  await lab().waitConverged(90_000);
  await worker.stop();
  await lab().assertNoMountsLeft();
});
