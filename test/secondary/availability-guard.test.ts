// What a volume of which a part is down is believed, with a volume that answers what the test says.
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { NativeError, errnoNumber } from '../../src/native/libc.js';
import type { SecondaryVolume } from '../../src/secondary/volume.js';
import { AvailabilityGuard } from '../../src/secondary/availability-guard.js';

const { EACCES, EAGAIN, EIO, ENOENT, ENOTCONN, ENOTEMPTY } = constants.errno;

function setUp(up: boolean[], answer: () => unknown, reachable = false) {
  const calls: string[] = [];
  const volume = new Proxy({} as SecondaryVolume, {
    get: (_, method) => async (...args: readonly unknown[]) => {
      calls.push(`${String(method)} ${args.map(String).join(' ')}`);
      await Promise.resolve();
      return answer();
    },
  });
  let looks = 0;
  return { calls, looks: () => looks, whole: new AvailabilityGuard(volume, { isWhole: () => Promise.resolve(up[Math.min(looks++, up.length - 1)]!), isReachable: () => Promise.resolve(reachable) }, 'one') };
}

function fail(errno: number): () => never {
  return () => {
    throw new NativeError('call', 'p', errno);
  };
}

const errnoOf = (call: Promise<unknown>): Promise<number | undefined> => call.then(() => undefined, (error: unknown) => errnoNumber(error));

test('what is there, and what fails in another way, is passed on without a look', async () => {
  const { whole } = setUp([false], () => 'target');
  expect(await whole.readlink('a')).toBe('target');
  expect(await errnoOf(setUp([false], fail(EACCES)).whole.unlink('a'))).toBe(EACCES);
  expect(await errnoOf(setUp([false], fail(ENOTEMPTY)).whole.rmdir('a'))).toBe(ENOTEMPTY);
});

test.each(['lstat', 'gfidOf', 'unlink', 'rmdir', 'readdir', 'readlink', 'listXattrs'] as const)('%s: not there, of a volume that is whole, is not there', async (method) => {
  expect(await errnoOf(setUp([true], fail(ENOENT)).whole[method]('a'))).toBe(ENOENT);
});

test.each(['lstat', 'gfidOf', 'unlink', 'rmdir', 'readdir', 'readlink', 'listXattrs'] as const)('%s: not there, of half a volume, says that the volume is not whole', async (method) => {
  expect(await errnoOf(setUp([false], fail(ENOENT)).whole[method]('a'))).toBe(ENOTCONN);
});

test('a rename that finds nothing in half a volume does not pass for done', async () => {
  const { whole, calls } = setUp([false], fail(ENOENT));
  expect(await errnoOf(whole.rename('a', 'b'))).toBe(ENOTCONN);
  expect(calls).toEqual(['rename a b']);
});

test('the names in a directory of half a volume are not all of its names', async () => {
  expect(await setUp([true], () => ['a']).whole.readdir('.')).toEqual(['a']);
  expect(await errnoOf(setUp([false], () => ['a']).whole.readdir('.'))).toBe(ENOTCONN);
});

test('no directory at a gfid, of half a volume, is not believed', async () => {
  const gfid = '5a6f3c1e-0000-4000-8000-000000000001' as Parameters<SecondaryVolume['directoryEntry']>[0];
  expect(await setUp([true], () => null).whole.directoryEntry(gfid)).toBeNull();
  expect(await errnoOf(setUp([false], () => null).whole.directoryEntry(gfid))).toBe(ENOTCONN);
});

test('a volume that is up again when it is looked at once more leaves the one path in doubt', async () => {
  expect(await errnoOf(setUp([false, true], fail(ENOENT)).whole.lstat('a'))).toBe(EAGAIN);
});

test.each(['lstat', 'gfidOf', 'unlink', 'rmdir', 'readdir', 'readlink', 'listXattrs'] as const)('%s: ENOTCONN is the volume\'s, unless that is up: then it is the one path\'s', async (method) => {
  expect(await errnoOf(setUp([true], fail(ENOTCONN), false).whole[method]('a'))).toBe(ENOTCONN);
  expect(await errnoOf(setUp([true], fail(ENOTCONN), true).whole[method]('a'))).toBe(EIO);
});

test('many names that are not there take two looks before they are believed, and one when the primary is answered', async () => {
  const { whole, looks } = setUp([true], fail(ENOENT));
  for (let i = 0; i < 100; i++) expect(await errnoOf(whole.lstat(`a${i}`))).toBe(ENOENT);
  expect(looks()).toBe(2);
  await whole.confirm();
  await whole.confirm();
  expect(looks()).toBe(3);
});

test('a brick that went down after an ENOENT was taken is noticed before the primary is answered', async () => {
  const { whole } = setUp([true, true, false], fail(ENOENT));
  expect(await errnoOf(whole.lstat('a'))).toBe(ENOENT);
  expect(await errnoOf(whole.unlink('b'))).toBe(ENOENT);
  expect(await errnoOf(whole.confirm())).toBe(ENOTCONN);
});

test('what is there needs no look when the primary is answered', async () => {
  const { whole, looks } = setUp([false], () => 'target');
  await whole.readlink('a');
  await whole.confirm();
  expect(looks()).toBe(0);
});
