import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { removeFromBeforeBoot } from '../../src/gluster/mount-remains.js';
import { lacksRoot } from '../skip.js';

let top = '';
beforeEach(() => {
  top = mkdtempSync(join(realpathSync(tmpdir()), 'mount remains-'));
});
afterEach(() => rmSync(top, { recursive: true, force: true }));

const make = (...names: string[]): void => names.forEach((name) => mkdirSync(join(top, name)));
/** As after a boot that comes now. */
const removed = async (bootMs?: number): Promise<string[]> => {
  const paths = await removeFromBeforeBoot(join(top, 'aux-'), bootMs ?? Date.now() + 1);
  return paths.map((path) => path.slice(top.length + 1)).sort();
};

it('empty mount points from before the boot go, and nothing that only looks like one', async () => {
  make('aux-aaaaaa', 'aux-Zz09bb', 'aux-cccccc', 'aux-short', 'aux-toolong', 'other-aaaaaa');
  writeFileSync(join(top, 'aux-cccccc/precious'), '');
  writeFileSync(join(top, 'aux-dddddd'), '');
  symlinkSync('other-aaaaaa', join(top, 'aux-eeeeee'));
  expect(await removed()).toEqual(['aux-Zz09bb', 'aux-aaaaaa']);
  expect(readdirSync(top).sort()).toEqual(['aux-cccccc', 'aux-dddddd', 'aux-eeeeee', 'aux-short', 'aux-toolong', 'other-aaaaaa']);
});

it('those of this boot stay', async () => {
  make('aux-aaaaaa');
  expect(await removeFromBeforeBoot(join(top, 'aux-'))).toEqual([]);
  expect(await removed(Date.now() - 60_000)).toEqual([]);
  expect(await removed()).toEqual(['aux-aaaaaa']);
});

it.skipIf(lacksRoot('mount points of another user'))("another user's stay", async () => {
  make('aux-aaaaaa');
  chownSync(join(top, 'aux-aaaaaa'), 1000, 0);
  expect(await removed()).toEqual([]);
});

it.skipIf(lacksRoot('mount points in use'))('what is mounted stays, in another mount namespace too', async () => {
  make('aux-aaaaaa', 'aux-bbbbbb');
  execFileSync('mount', ['-t', 'tmpfs', 'none', join(top, 'aux-aaaaaa')]);
  const other = spawn('unshare', ['-m', 'sh', '-c', 'mount -t tmpfs none "$0" && echo mounted && exec cat', join(top, 'aux-bbbbbb')]);
  const closed = once(other, 'close');
  try {
    expect(await Promise.race([once(other.stdout, 'data').then(String), closed])).toBe('mounted\n');
    expect(await removed()).toEqual([]);
  } finally {
    other.kill();
    await closed;
    execFileSync('umount', [join(top, 'aux-aaaaaa')]);
  }
  expect(await removed()).toEqual(['aux-aaaaaa', 'aux-bbbbbb']);
});
