// Bricks that have left the volume and need no real brick: one without a directory, and one replaced in its replica set.

import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/config.js';
import { RemovedBricks } from '../../src/monitor/removed-bricks.js';
import { loadPendingCrawl } from '../../src/worker/pending-crawl.js';
import { createLogger } from '../../src/log.js';
import { FailureList } from '../../src/status/failures.js';
import { statusFileName } from '../../src/status/file-name.js';
import { readStatus, WorkerStatus } from '../../src/status/status-file.js';
import { volume } from './monitor-harness.js';

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'removed-'));
  mkdirSync(join(dir, 'session'));
  for (const brick of ['/b/1', '/b/gone']) writeFileSync(join(dir, 'session', statusFileName(brick)), '{}');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function removed(subvolumesBefore: number, told: string[]): RemovedBricks {
  const sessionFile = join(dir, 'session', 'gsyncd.conf');
  const stateFile = join(dir, 'session', 'monitor.status');
  writeFileSync(
    sessionFile,
    `[vars]\nstate-file = ${stateFile}\nworking-dir = ${join(dir, 'work')}\nprimary-distribution-count = ${subvolumesBefore}\n`,
  );
  const config = loadConfig({ sessionFile, templateArgs: {} });
  const log = createLogger({ destination: '/dev/null', level: 'ERROR', label: 'test' }).child({ module: 'test' });
  const error = (_message: string, fields?: Readonly<Record<string, unknown>>): void =>
    void told.push(String(fields?.['reason']));
  return new RemovedBricks({
    config,
    log: Object.assign(Object.create(log) as typeof log, { error }),
    localNodeId: 'me',
    status: (brickPath) => new WorkerStatus({ stateFile, brickPath, log }),
  });
}

test('withChangelogs() logs a brick without directory once, adds a failure, and makes the other bricks crawl from 0', async () => {
  const told: string[] = [];
  const bricks = removed(2, told);
  const primary = volume('P', [
    ['me', 'node1', '/b/1'],
    ['other', 'node2', '/b/gone'],
  ]);
  for (const _look of [1, 2]) expect(await bricks.findUnread(primary, 'S')).toEqual([]);
  expect(told).toEqual(['its directory is not there']);
  const failures = (await FailureList.load(join(dir, 'work', 'b-gone'))).items();
  expect(failures.map(({ reason }) => reason)).toEqual(['removed brick /b/gone: its directory is not there']);
  expect(await loadPendingCrawl(join(dir, 'work', 'b-1'))).toMatchObject({ from: 0 });
  expect((await readStatus(join(dir, 'session', statusFileName('/b/gone')))).worker_status).toBe('Faulty');
});

test('withChangelogs() deletes the status file of a brick that was replaced in its replica set', async () => {
  const told: string[] = [];
  const primary = {
    ...volume('P', [
      ['me', 'node1', '/b/1'],
      ['other', 'node2', '/b/2'],
    ]),
    replicaCount: 2,
    distributionCount: 1,
  };
  expect(await removed(1, told).findUnread(primary, 'S')).toEqual([]);
  expect(told).toEqual([]);
  expect(existsSync(join(dir, 'session', statusFileName('/b/gone')))).toBe(false);
  expect(existsSync(join(dir, 'session', statusFileName('/b/1')))).toBe(true);
});
