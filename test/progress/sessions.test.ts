// SessionReader on session directories that WorkerStatus and ProgressRecorder wrote.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { sessionSamples } from '../../src/metrics/node-samples.js';
import { findSessions, SessionReader, sessionsOfBrick } from '../../src/progress/sessions.js';
import { ProgressRecorder } from '../../src/progress/recorder.js';
import { WorkerStatus } from '../../src/status/status-file.js';
import { FakeBrick } from '../changelog/brick.js';
import { lacksRoot } from '../skip.js';

const START = 1_700_000_000;
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'gsyncd-sessions-'));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

async function worker(
  session: string,
  brickPath: string,
): Promise<{ status: WorkerStatus; recorder: ProgressRecorder }> {
  mkdirSync(join(root, session), { recursive: true });
  const status = new WorkerStatus({
    stateFile: join(root, session, 'monitor.status'),
    brickPath,
    log: { info: () => undefined },
  });
  await status.resetOnWorkerStart();
  const identity = {
    primary: 'gv0',
    secondary: 'backup::sv0',
    brick: brickPath,
    workingDir: join(root, 'work'),
    changelogDir: join(brickPath, '.glusterfs', 'changelogs'),
  };
  const recorder = new ProgressRecorder({
    statusFile: status.path,
    identity,
    jobs: 3,
    estimate: () => Promise.resolve(null),
    intervalMs: 1,
  });
  await recorder.start();
  return { status, recorder };
}

test('findSessions() accepts a name, a prefix, a pair or a directory, and returns all sessions without one', async () => {
  for (const session of ['gv0_backup_sv0', 'gv0_other_sv0', 'gv1_backup_sv0']) await worker(session, '/b');
  mkdirSync(join(root, 'no-session'));
  await worker('elsewhere/home-me-here_home-me-there', '/home/me/here');
  const found = async (name?: string): Promise<string[]> =>
    (await findSessions(name, [root, join(root, 'elsewhere')])).map((dir) => basename(dir));
  expect(await found()).toEqual(['gv0_backup_sv0', 'gv0_other_sv0', 'gv1_backup_sv0', 'home-me-here_home-me-there']);
  expect(await found('home-me-here')).toEqual(['home-me-here_home-me-there']);
  expect(await found('gv0')).toEqual(['gv0_backup_sv0', 'gv0_other_sv0']);
  expect(await found('gv0_backup_sv0')).toEqual(['gv0_backup_sv0']);
  expect(await found('gv0 root@backup::sv0')).toEqual(['gv0_backup_sv0']);
  expect(await found(join(root, 'gv1_backup_sv0'))).toEqual(['gv1_backup_sv0']);
  const elsewhere = join(root, 'elsewhere');
  await worker('elsewhere/home-me-here_too_home-me-there', '/home/me/here_too');
  await worker('elsewhere/home-me-a b_home-me-there', '/home/me/a b');
  expect(await sessionsOfBrick('/home/me/here', elsewhere)).toEqual([join(elsewhere, 'home-me-here_home-me-there')]);
  expect(await sessionsOfBrick('/home/me/a b', elsewhere)).toEqual([join(elsewhere, 'home-me-a b_home-me-there')]);
  await expect(sessionsOfBrick('/home/me', elsewhere)).rejects.toMatchObject({ code: 'usage' });
  expect(await found('gv0_ot')).toEqual(['gv0_other_sv0']);
  expect(await found('gv1_b')).toEqual(['gv1_backup_sv0']);
  await worker('gv10_backup_sv0', '/b');
  expect(await found('gv1')).toEqual(['gv1_backup_sv0']);
  expect(await found('gv')).toEqual(['gv0_backup_sv0', 'gv0_other_sv0', 'gv10_backup_sv0', 'gv1_backup_sv0']);
  await expect(found('gv2')).rejects.toMatchObject({ code: 'usage' });
  await expect(found(join(root, 'no-session'))).rejects.toMatchObject({ code: 'usage' });
  expect(await findSessions(undefined, [join(root, 'nowhere')])).toEqual([]);
});

test.skipIf(lacksRoot('changelogs of bricks, which have trusted.* xattrs'))(
  'read() combines status, progress, changelogs and liveness in one report',
  async () => {
    const brick = new FakeBrick(join(root, 'brick'));
    brick.enable(START);
    brick.change();
    brick.rollover(START + 15);
    const { status, recorder } = await worker('gv0_backup_sv0', join(root, 'brick'));
    writeFileSync(join(root, 'gv0_backup_sv0', 'monitor.status'), 'Started\n');
    await status.setActive();
    await status.setCrawlStatus('Changelog Crawl');
    await status.setLastSynced([START + 14, 0], 0, { blockedByFailures: false });
    const reader = new SessionReader(join(root, 'gv0_backup_sv0'));
    const look = async () => (await reader.read()).bricks[0];
    expect(await look()).toMatchObject({
      brick: join(root, 'brick'),
      state: 'Active',
      lag: 0,
      pending: 'no',
      backlog: { changelogs: 0 },
      worker: { running: true },
    });
    brick.change();
    brick.rollover(START + 30);
    expect(await look()).toMatchObject({ pending: 'yes', backlog: { changelogs: 1 } });
    // caughtUp() reports that all changes before the live changelogs are synced, even if the brick's stime is older.
    recorder.caughtUp(START + 31);
    await expect.poll(async () => (await look())?.pending, { timeout: 5_000 }).toBe('no');
    await recorder.close('stopped');
    writeFileSync(join(root, 'gv0_backup_sv0', 'monitor.status'), 'Stopped\n');
    expect(await look()).toMatchObject({ state: 'Stopped', worker: { running: false } });
    expect(await reader.read()).toMatchObject({
      name: 'gv0_backup_sv0',
      primary: 'gv0',
      secondary: 'backup::sv0',
      monitor: 'Stopped',
    });
  },
);

test('read() and sessionSamples() report the session of a stock worker, which has only a status file', async () => {
  const dir = join(root, 'gv0_backup_sv0');
  mkdirSync(dir);
  writeFileSync(join(dir, 'monitor.status'), 'Started');
  writeFileSync(
    join(dir, 'brick_%2Fno+such%2Fcaf%E9.status'),
    JSON.stringify({
      worker_status: 'Active',
      crawl_status: 'History Crawl',
      last_synced: START,
      entry: 3,
      data: 4,
      meta: 0,
      failures: 2,
    }),
  );
  const [brick] = (await new SessionReader(dir).read()).bricks;
  expect(brick).toMatchObject({
    brick: '/no such/caf\udce9',
    state: 'Active',
    crawl: 'History Crawl',
    worker: null,
    failures: { count: 2 },
    backlog: { entries: 3, data: 4, changelogs: null, bytes: null },
  });
  const [samples] = await sessionSamples(() => Promise.resolve([dir]), '0')();
  expect(samples).toMatchObject({ primary: 'gv0', secondary: 'sv0' });
  expect(samples?.samples.find(({ key }) => key === 'backlogFiles')?.value).toBe(4);
});

test('read() accepts damaged status and progress files', async () => {
  const dir = join(root, 'x');
  mkdirSync(dir);
  writeFileSync(join(dir, 'brick_b.status'), '{"worker_status": 7, "last_synced": "x", "failures": null');
  writeFileSync(join(dir, 'brick_b.progress'), '[]');
  writeFileSync(
    join(dir, 'brick_c.status'),
    '{"worker_status": 7, "last_synced": "x", "failures": null, "entry": [1], "last_error": {}}',
  );
  const { bricks } = await new SessionReader(dir).read();
  expect(bricks).toMatchObject([
    { brick: 'b', state: 'Stopped' },
    {
      brick: 'c',
      state: 'Stopped',
      lastSynced: null,
      lastError: null,
      backlog: { entries: 0 },
      failures: { count: 0 },
    },
  ]);
});
