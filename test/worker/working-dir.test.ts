import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { brickWorkingDir } from '../../src/worker/working-dir.js';

const top = mkdtempSync(join(tmpdir(), 'working-dir-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));

test("brickWorkingDir() returns the stock daemon's name, also for an existing directory", async () => {
  mkdirSync(join(top, 'bricks-old-1'));
  for (const round of [1, 2])
    expect(await brickWorkingDir(top, '/bricks/old-1'), `round ${round}`).toBe(join(top, 'bricks-old-1'));
  expect(await brickWorkingDir(top, '/bricks/new')).toBe(join(top, 'bricks-new'));
});

test('brickWorkingDir() returns a separate, stable directory for each of several bricks whose paths map to one name', async () => {
  const paths = ['/d/x-1', '/d/x/1', '/d-x/1'];
  const first = await Promise.all(paths.map((path) => brickWorkingDir(top, path)));
  expect(new Set(first).size).toBe(3);
  expect(first).toContain(join(top, 'd-x-1'));
  const again = await Promise.all([...paths].reverse().map((path) => brickWorkingDir(top, path)));
  expect(again.reverse()).toEqual(first);
  expect(readdirSync(join(top, 'd-x-1'))).toEqual(['brick']);
});
