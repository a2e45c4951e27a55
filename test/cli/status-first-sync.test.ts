// The fields of `status` about a running first sync, which GlusterFS's status does not have.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ProgressRecorder } from '../../src/progress/recorder.js';
import { WorkerStatus } from '../../src/status/status-file.js';

const BIN = join(import.meta.dirname, '../../bin/gsyncd-ts.js');
const BRICK = '/srv/b';
let dir: string;
let status: WorkerStatus;
let recorder: ProgressRecorder;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'gsyncd-first-'));
  writeFileSync(
    join(dir, 'gsyncd.conf'),
    `[vars]\nstate-file = ${join(dir, 'monitor.status')}\nlog-file = ${join(dir, 'log')}\npid-file = ${join(dir, 'pid')}\n`,
  );
  status = new WorkerStatus({
    stateFile: join(dir, 'monitor.status'),
    brickPath: BRICK,
    log: { info: () => undefined },
  });
  await status.resetOnWorkerStart();
  const identity = { primary: 'gv0', secondary: 'h1::sv0', brick: BRICK, workingDir: dir, changelogDir: dir };
  recorder = new ProgressRecorder({
    statusFile: status.path,
    identity,
    jobs: 3,
    estimate: () => Promise.resolve(400),
    intervalMs: 1,
  });
  await recorder.start();
});
afterEach(() => rmSync(dir, { recursive: true }));

async function shown(...more: string[]): Promise<string> {
  return (
    await promisify(execFile)(process.execPath, [
      BIN,
      'status',
      'gv0',
      'h1::sv0',
      '-c',
      join(dir, 'gsyncd.conf'),
      '--local-path',
      BRICK,
      ...more,
    ])
  ).stdout;
}

/** The fields that GlusterFS does not have, of either form of output. */
function fields(text: string): Record<string, string> {
  const all = text.startsWith('{')
    ? Object.entries(JSON.parse(text) as Record<string, string>)
    : text
        .trimEnd()
        .split('\n')
        .map((line) => line.split(': '));
  return Object.fromEntries(all.filter(([name = '']) => name.startsWith('first_sync'))) as Record<string, string>;
}

test('status shows entries, rate and remaining time of a running first sync', async () => {
  await status.setActive();
  recorder.walkStarted('first');
  recorder.entriesFound(100);
  recorder.walkSynced(40);
  await recorder.close('stopped');
  // The progress file names this process as its worker, so the worker is alive.
  const written = recorder.snapshot();
  const startedMs = Date.now() - 20_000;
  writeFileSync(recorder.path, JSON.stringify({ ...written, ended: null, walk: { ...written.walk, startedMs } }));
  for (const text of [await shown(), await shown('--json')]) {
    const found = fields(text);
    expect(found).toMatchObject({
      first_sync_state: 'walking',
      first_sync_entries_seen: '100',
      first_sync_entries_done: '40',
      first_sync_entries_expected: '400',
    });
    // 40 entries in 20 s, 360 remain; a slow machine lowers the rate.
    expect(Number(found['first_sync_entries_per_second'])).toBeGreaterThan(1);
    expect(Number(found['first_sync_entries_per_second'])).toBeLessThanOrEqual(2);
    expect(Number(found['first_sync_eta_seconds'])).toBeGreaterThanOrEqual(180);
    expect(Number(found['first_sync_eta_seconds'])).toBeLessThan(360);
  }
  expect(fields(await shown('--stock-fields'))).toEqual({});
  expect(await shown('--json')).toMatch(/^\{"secondary_node": /);
});

test('status shows N/A for unknown values, and no fields after the first sync or for a damaged file', async () => {
  recorder.walkStarted('first');
  await recorder.close('stopped');
  writeFileSync(
    recorder.path,
    JSON.stringify({ ...recorder.snapshot(), walk: { ...recorder.snapshot().walk, expected: null } }),
  );
  expect(fields(await shown())).toMatchObject({
    first_sync_entries_expected: 'N/A',
    first_sync_eta_seconds: 'N/A',
    first_sync_entries_done: '0',
  });
  recorder.walkEnded();
  writeFileSync(recorder.path, JSON.stringify(recorder.snapshot()));
  expect(await shown()).toBe(await shown('--stock-fields'));
  expect(fields(await shown('--json'))).toEqual({});
  writeFileSync(recorder.path, '{"walk": {');
  expect(fields(await shown())).toEqual({});
});
