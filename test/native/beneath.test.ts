// Opens directories beneath another one with openat2, and with the replacement for kernels without it.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AT_FDCWD, linkAt, openBeneath, openStepwise, statAt, statOf } from '../../src/native/beneath.js';
import { errnoNumber } from '../../src/native/libc.js';
import { mknod } from '../../src/native/mknod.js';
import { fsDecode, fsEncode } from '../../src/names.js';
import { lacksRoot } from '../skip.js';

const { ENOENT, ENOTDIR } = constants.errno;
const O_PATH = 0o10000000;

let dir: string;
let root: number;

beforeEach(() => {
  dir = fs.mkdtempSync(join(tmpdir(), 'gsyncd-beneath-'));
  fs.mkdirSync(join(dir, 'root/a/b'), { recursive: true });
  fs.mkdirSync(join(dir, 'outside/b'), { recursive: true });
  fs.writeFileSync(join(dir, 'root/a/file'), 'content');
  fs.symlinkSync('a', join(dir, 'root/inside'));
  fs.symlinkSync('../outside', join(dir, 'root/out'));
  root = fs.openSync(join(dir, 'root'), O_PATH | fs.constants.O_DIRECTORY);
});
afterEach(() => {
  fs.closeSync(root);
  spawnSync('rm', ['-r', dir]);
});

function errnoOf(call: () => unknown): number | undefined {
  try {
    call();
  } catch (error) {
    return errnoNumber(error);
  }
  return undefined;
}

describe.each([
  ['openat2', openBeneath],
  ['component by component', openStepwise],
])('%s', (_name, open) => {
  test('opens directories below the root, and leaks no descriptors', () => {
    const before = fs.readdirSync('/proc/self/fd').length;
    for (const path of ['.', 'a', 'a/b']) {
      const fd = open(root, path);
      expect(statAt(fd, '')?.ino).toBe(fs.statSync(join(dir, 'root', path), { bigint: true }).ino);
      fs.closeSync(fd);
    }
    for (const path of ['nothing', 'a/nothing/b', 'inside/b']) errnoOf(() => open(root, path));
    expect(fs.readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  test('follows no symlink, and does not leave the root', () => {
    for (const path of ['inside', 'inside/b', 'out', 'out/b', 'a/file', 'a/file/b'])
      expect(
        errnoOf(() => open(root, path)),
        path,
      ).toBe(ENOTDIR);
    for (const path of ['nothing', 'a/nothing', 'nothing/b'])
      expect(
        errnoOf(() => open(root, path)),
        path,
      ).toBe(ENOENT);
    for (const path of ['..', 'a/../..', '/', dir])
      expect(
        errnoOf(() => open(root, path)),
        path,
      ).toBeDefined();
  });

  test('opens a directory deeper than PATH_MAX', () => {
    const names = Array.from({ length: 100 }, (_, i) => `${i}`.padStart(60, 'x'));
    let at = '/proc/self/fd/' + String(fs.openSync(join(dir, 'root'), O_PATH));
    const opened = [at];
    for (const name of names) {
      fs.mkdirSync(`${at}/${name}`);
      at = `/proc/self/fd/${fs.openSync(`${at}/${name}`, O_PATH)}`;
      opened.push(at);
    }
    const { ino } = fs.statSync(at, { bigint: true });
    const fd = open(root, names.join('/'));
    expect(statAt(fd, '')?.ino).toBe(ino);
    for (const path of opened) fs.closeSync(Number(path.split('/').at(-1)));
    fs.closeSync(fd);
  });
});

test("statAt() returns the attributes of Node's lstat, also for symlinks and names of any bytes", () => {
  const name = fsDecode(Buffer.from('66ff6f', 'hex'));
  fs.writeFileSync(fsEncode(`${dir}/root/${name}`), 'four');
  for (const path of ['a', 'a/file', 'out', name]) {
    const stats = fs.lstatSync(fsEncode(`${dir}/root/${path}`), { bigint: true });
    const { mode, nlink, uid, gid, size, rdev, dev, ...exact } = statAt(root, path) ?? {
      mode: 0,
      nlink: 0,
      uid: 0,
      gid: 0,
      size: 0,
      rdev: 0,
      dev: 0,
    };
    expect({ mode, nlink, uid, gid, size, rdev, dev }, path).toEqual(
      Object.fromEntries(
        (['mode', 'nlink', 'uid', 'gid', 'size', 'rdev', 'dev'] as const).map((key) => [key, Number(stats[key])]),
      ),
    );
    expect(exact, path).toEqual(
      Object.fromEntries(
        (['ino', 'atimeNs', 'mtimeNs', 'ctimeNs', 'birthtimeNs'] as const).map((key) => [key, stats[key]]),
      ),
    );
  }
  expect(statAt(root, 'nothing')).toBeNull();
  expect(errnoOf(() => statAt(root, 'a/file/x'))).toBe(ENOTDIR);
  expect(errnoOf(() => statAt(root, 'a\0b'))).toBe(constants.errno.EINVAL);
});

test.skipIf(lacksRoot('numbers of devices'))("statOf() returns the device number of Node's lstat", () => {
  for (const [i, number] of [0x103, 0xfff_fffff, 0x1234_5678].entries()) {
    mknod(join(dir, `device${i}`), 0o020600, number);
    expect(statOf(join(dir, `device${i}`))?.rdev).toBe(fs.lstatSync(join(dir, `device${i}`)).rdev);
  }
});

test('linkAt() links a symlink itself, not its target', () => {
  linkAt(root, 'out', AT_FDCWD, join(dir, 'linked'));
  expect(fs.readlinkSync(join(dir, 'linked'))).toBe('../outside');
});
