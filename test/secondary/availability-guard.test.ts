// Answers of a volume with a subvolume down, through AvailabilityGuard, with simulated answers.
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { NativeError, errnoNumber } from '../../src/native/libc.js';
import type { SecondaryVolume } from '../../src/secondary/volume.js';
import { AvailabilityGuard } from '../../src/secondary/availability-guard.js';

const { EACCES, EAGAIN, EIO, ENOENT, ENOTCONN, ENOTEMPTY } = constants.errno;

function setUp(up: boolean[], answer: () => unknown, reachable = false) {
  const calls: string[] = [];
  const volume = new Proxy({} as SecondaryVolume, {
    get:
      (_, method) =>
      async (...args: readonly unknown[]) => {
        calls.push(`${String(method)} ${args.map(String).join(' ')}`);
        await Promise.resolve();
        return answer();
      },
  });
  let looks = 0;
  return {
    calls,
    looks: () => looks,
    whole: new AvailabilityGuard(
      volume,
      {
        isWhole: () => Promise.resolve(up[Math.min(looks++, up.length - 1)]!),
        isReachable: () => Promise.resolve(reachable),
      },
      'one',
    ),
  };
}

function fail(errno: number): () => never {
  return () => {
    throw new NativeError('call', 'p', errno);
  };
}

const errnoOf = (call: Promise<unknown>): Promise<number | undefined> =>
  call.then(
    () => undefined,
    (error: unknown) => errnoNumber(error),
  );

test('results and errors other than ENOENT and ENOTCONN pass without a check of the volume', async () => {
  const { whole } = setUp([false], () => 'target');
  expect(await whole.readlink('a')).toBe('target');
  expect(await errnoOf(setUp([false], fail(EACCES)).whole.unlink('a'))).toBe(EACCES);
  expect(await errnoOf(setUp([false], fail(ENOTEMPTY)).whole.rmdir('a'))).toBe(ENOTEMPTY);
});

test.each(['lstat', 'gfidOf', 'unlink', 'rmdir', 'readdir', 'readlink', 'listXattrs'] as const)(
  '%s() passes on ENOENT while all subvolumes are up',
  async (method) => {
    expect(await errnoOf(setUp([true], fail(ENOENT)).whole[method]('a'))).toBe(ENOENT);
  },
);

test.each(['lstat', 'gfidOf', 'unlink', 'rmdir', 'readdir', 'readlink', 'listXattrs'] as const)(
  '%s() fails with ENOTCONN instead of ENOENT while a subvolume is down',
  async (method) => {
    expect(await errnoOf(setUp([false], fail(ENOENT)).whole[method]('a'))).toBe(ENOTCONN);
  },
);

test('rename() fails with ENOTCONN instead of ENOENT while a subvolume is down', async () => {
  const { whole, calls } = setUp([false], fail(ENOENT));
  expect(await errnoOf(whole.rename('a', 'b'))).toBe(ENOTCONN);
  expect(calls).toEqual(['rename a b']);
});

test('readdir() fails with ENOTCONN while a subvolume is down, since names may be missing', async () => {
  expect(await setUp([true], () => ['a']).whole.readdir('.')).toEqual(['a']);
  expect(await errnoOf(setUp([false], () => ['a']).whole.readdir('.'))).toBe(ENOTCONN);
});

test('directoryEntry() fails with ENOTCONN instead of returning null while a subvolume is down', async () => {
  const gfid = '5a6f3c1e-0000-4000-8000-000000000001' as Parameters<SecondaryVolume['directoryEntry']>[0];
  expect(await setUp([true], () => null).whole.directoryEntry(gfid)).toBeNull();
  expect(await errnoOf(setUp([false], () => null).whole.directoryEntry(gfid))).toBe(ENOTCONN);
});

test('lstat() fails with EAGAIN when the second check finds the volume up again', async () => {
  expect(await errnoOf(setUp([false, true], fail(ENOENT)).whole.lstat('a'))).toBe(EAGAIN);
});

test.each(['lstat', 'gfidOf', 'unlink', 'rmdir', 'readdir', 'readlink', 'listXattrs'] as const)(
  '%s() passes on ENOTCONN while the volume is unreachable, and turns it into EIO otherwise',
  async (method) => {
    expect(await errnoOf(setUp([true], fail(ENOTCONN), false).whole[method]('a'))).toBe(ENOTCONN);
    expect(await errnoOf(setUp([true], fail(ENOTCONN), true).whole[method]('a'))).toBe(EIO);
  },
);

test('a hundred ENOENTs need two checks of the volume, and confirm() one', async () => {
  const { whole, looks } = setUp([true], fail(ENOENT));
  for (let i = 0; i < 100; i++) expect(await errnoOf(whole.lstat(`a${i}`))).toBe(ENOENT);
  expect(looks()).toBe(2);
  await whole.confirm();
  await whole.confirm();
  expect(looks()).toBe(3);
});

test('confirm() fails with ENOTCONN when a subvolume went down after an ENOENT', async () => {
  const { whole } = setUp([true, true, false], fail(ENOENT));
  expect(await errnoOf(whole.lstat('a'))).toBe(ENOENT);
  expect(await errnoOf(whole.unlink('b'))).toBe(ENOENT);
  expect(await errnoOf(whole.confirm())).toBe(ENOTCONN);
});

test('confirm() needs no check when nothing was missing', async () => {
  const { whole, looks } = setUp([false], () => 'target');
  await whole.readlink('a');
  await whole.confirm();
  expect(looks()).toBe(0);
});
