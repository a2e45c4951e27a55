import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { estimateEntries } from '../../src/progress/estimate.js';
import { recordedSecondary } from '../../src/progress/recorded-secondary.js';
import { parseProgress, type ProgressData } from '../../src/progress/progress-data.js';
import { startTicks, ProgressRecorder } from '../../src/progress/recorder.js';
import type { EntryOp, Secondary } from '../../src/protocol/secondary.js';
import { progress } from './facts.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'gsyncd-tally-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const identity = {
  primary: 'gv0',
  secondary: 'backup::sv0',
  brick: '/bricks/caf\udce9',
  workingDir: '/w',
  changelogDir: '/c',
};
const make = (values: Partial<ConstructorParameters<typeof ProgressRecorder>[0]> = {}): ProgressRecorder =>
  new ProgressRecorder({
    statusFile: join(dir, 'brick_x.status'),
    identity,
    jobs: 3,
    estimate: () => Promise.resolve(100),
    intervalMs: 20,
    ...values,
  });
const written = (): ProgressData => {
  const found = parseProgress(readFileSync(join(dir, 'brick_x.progress'), 'utf8'));
  if (found === null) throw new Error('no valid progress file');
  return found;
};

test('ProgressRecorder writes counters and names that are not UTF-8 to its file', async () => {
  const recorder = make();
  recorder.queue = () => ({ files: 7, bytes: 70 });
  await recorder.start();
  recorder.call('entry', { seconds: 0.02, ops: 10, failed: 3 });
  recorder.jobStarted(1);
  recorder.jobStarted(2);
  recorder.jobEnded(1, { engine: 'rsync', seconds: 4, files: 20, failed: 1, bytes: 4096 });
  recorder.batchDone({ crawl: 'live_changelog', changelogs: 4, ops: new Map([['MKDIR', 2]]), dataFiles: 21 });
  await expect.poll(() => written().totals.files, { timeout: 5_000 }).toBe(20);
  const found = written();
  expect(found).toMatchObject({
    ...identity,
    pid: process.pid,
    startTicks: startTicks(process.pid),
    ended: null,
    queue: { files: 7, bytes: 70 },
  });
  expect(found.totals).toMatchObject({
    entries: 7,
    entryFailures: 3,
    files: 20,
    fileFailures: 1,
    bytes: 4096,
    changelogs: 4,
  });
  expect(found.ops).toEqual({ MKDIR: 2, DATA: 21 });
  expect(found.jobs.busySinceMs).toHaveLength(1);
  expect(found.transfers['rsync']?.counts.reduce((a, b) => a + b)).toBe(1);
  await recorder.close('stopped');
  expect(written().ended).toBe('stopped');
  expect(readdirSync(dir)).toEqual(['brick_x.progress']);
});

test('ProgressRecorder writes once per interval, and not at all without changes', async () => {
  const recorder = make({ intervalMs: 100 });
  await recorder.start();
  const inodes = new Set<number>();
  const endMs = Date.now() + 500;
  while (Date.now() < endMs) {
    recorder.call('meta', { seconds: 0.001, ops: 1, failed: 0 });
    inodes.add(statSync(recorder.path).ino);
    await sleep(1);
  }
  await sleep(250);
  const { mtimeMs } = statSync(recorder.path);
  await sleep(300);
  expect(statSync(recorder.path).mtimeMs).toBe(mtimeMs);
  expect(inodes.size).toBeGreaterThan(1);
  expect(inodes.size).toBeLessThanOrEqual(8);
});

test('start() counts a restart after a faulty end or a crash, and none after a stop', async () => {
  const restarts: number[] = [];
  for (const end of ['faulty', 'stopped', null, 'stopped'] as const) {
    const recorder = make();
    await recorder.start();
    restarts.push(written().restarts);
    if (end !== null) await recorder.close(end);
  }
  expect(restarts).toEqual([0, 1, 1, 2]);
});

test('walkStarted() continues the counters of an interrupted first crawl', async () => {
  writeFileSync(
    join(dir, 'brick_x.progress'),
    JSON.stringify(
      progress({
        walk: { kind: 'first', state: 'walking', startedMs: 1, endedMs: 0, seen: 60, synced: 40, expected: 100 },
      }),
    ),
  );
  const recorder = make();
  await recorder.start();
  recorder.walkStarted('first');
  recorder.entriesFound(20);
  recorder.walkSynced(10);
  await expect.poll(() => written().walk?.synced, { timeout: 5_000 }).toBe(50);
  expect(written().walk).toMatchObject({ seen: 60, synced: 50, state: 'walking', expected: 100 });
  recorder.walkCompleted();
  recorder.walkEnded();
  await recorder.close('stopped');
  expect(written().walk?.state).toBe('done');
});

test('ProgressRecorder does not throw when its file cannot be written', async () => {
  const recorder = make({ statusFile: join(dir, 'nowhere', 'brick_x.status') });
  await recorder.start();
  recorder.entriesFound(1);
  await recorder.close('stopped');
  mkdirSync(join(dir, 'nowhere'));
  await recorder.close('stopped');
  expect(readdirSync(join(dir, 'nowhere'))).toEqual(['brick_x.progress']);
});

test.each([
  ['not json'],
  ['null'],
  ['{}'],
  [JSON.stringify({ ...progress(), version: 1 })],
  [JSON.stringify({ ...progress(), history: [['x']] })],
  [JSON.stringify({ ...progress(), totals: null })],
])('parseProgress() returns null for %s', (text) => {
  expect(parseProgress(text)).toBeNull();
});

test('recordedSecondary() records operations per call, and all operations of a rejected call as failed', async () => {
  const seen: unknown[] = [];
  const fake = {
    entryOps: (ops: readonly EntryOp[]) => (ops.length > 1 ? Promise.reject(new Error('raised')) : Promise.resolve([])),
    metaOps: () => Promise.resolve([]),
  } as unknown as Secondary;
  const secondary = recordedSecondary(fake, { call: (kind, { ops, failed }) => seen.push([kind, ops, failed]) });
  const op = { op: 'UNLINK', gfid: '00000000-0000-0000-0000-000000000001', entry: 'x' } as unknown as EntryOp;
  await secondary.entryOps([op]);
  await expect(secondary.entryOps([op, op])).rejects.toThrow('raised');
  await secondary.metaOps([]);
  expect(seen).toEqual([
    ['entry', 1, 0],
    ['entry', 2, 2],
    ['meta', 0, 0],
  ]);
});

test('estimateEntries() counts a small brick exactly, and estimates a large one from a sample of handles', async () => {
  expect(await estimateEntries(join(dir, 'nowhere'))).toBeNull();
  const handle = (i: number): void => {
    const hex = (Math.imul(i + 1, 2_654_435_761) >>> 0).toString(16).padStart(8, '0');
    mkdirSync(join(dir, '.glusterfs', hex.slice(0, 2), `0${hex[2]}`), { recursive: true });
    writeFileSync(join(dir, '.glusterfs', hex.slice(0, 2), `0${hex[2]}`, `${hex}-${i}`), '');
  };
  mkdirSync(join(dir, '.glusterfs', 'changelogs'), { recursive: true });
  for (let i = 0; i < 100; i++) handle(i);
  expect(await estimateEntries(dir)).toBe(100);
  for (let i = 100; i < 3_000; i++) handle(i);
  const found = (await estimateEntries(dir, 1_000)) ?? 0;
  expect(Math.abs(found - 3_000)).toBeLessThan(300);
});
