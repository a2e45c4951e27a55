import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { OwnBrick } from '../../src/gluster/own-brick.js';

const top = mkdtempSync(join(tmpdir(), 'own-brick-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));
const GRAPHS = join(top, '.meta/graphs');

/** Writes the .meta files of a client translator, which describe the connection to a brick. */
function connection(graph: string, number: number, host: string, path: string, connected: 0 | 1): void {
  const dir = join(GRAPHS, graph, `gv0-client-${number}`);
  mkdirSync(join(dir, 'options'), { recursive: true });
  writeFileSync(join(dir, 'options/remote-host'), `${host}\n`);
  writeFileSync(join(dir, 'options/remote-subvolume'), `${path}\n`);
  writeFileSync(
    join(dir, 'private'),
    `[xlator.protocol.client.gv0-client-${number}.priv]\nconnected = ${connected}\nping_timeout = 42\n`,
  );
}

function activate(graph: string): void {
  rmSync(join(GRAPHS, 'active'), { force: true });
  symlinkSync(graph, join(GRAPHS, 'active'));
}

test('isUp() finds the brick by path, and by host for equal paths, also after a graph change', async () => {
  connection('one', 0, 'a', '/b/1', 1);
  connection('one', 1, 'b', '/b/1', 0);
  connection('one', 2, 'b', '/b/2', 0);
  mkdirSync(join(GRAPHS, 'one/gv0-dht'));
  activate('one');
  const bricks = [
    ['a', '/b/1'],
    ['b', '/b/1'],
    ['as it calls itself', '/b/2'],
    ['a', '/none'],
    ['c', '/b/1'],
  ] as const;
  const own = bricks.map(([host, path]) => new OwnBrick(top, { host, path }));
  // A brick without a matching connection is treated as up.
  expect(await Promise.all(own.map((brick) => brick.isUp()))).toEqual([true, false, false, true, true]);
  connection('two', 0, 'b', '/b/1', 1);
  connection('two', 1, 'a', '/b/1', 0);
  activate('two');
  expect(await Promise.all(own.slice(0, 2).map((brick) => brick.isUp()))).toEqual([false, true]);
});

test('waitUntilDown() ignores a short disconnection and resolves for a lasting one', async () => {
  const stop = new AbortController();
  connection('three', 0, 'a', '/b/1', 0);
  activate('three');
  const own = new OwnBrick(top, { host: 'a', path: '/b/1' });
  let down = false;
  const over = own.waitUntilDown(stop.signal).then(() => (down = true));
  setTimeout(() => connection('three', 0, 'a', '/b/1', 1), 1_500);
  expect(await own.waitUntilUp(stop.signal)).toBe(true);
  expect(down).toBe(false);
  connection('three', 0, 'a', '/b/1', 0);
  await over;
}, 30_000);
