// Names that a directory lists and a lookup does not find, with a volume that answers what the test says.
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { NativeError, errnoNumber } from '../../src/native/libc.js';
import { HiddenNames } from '../../src/secondary/hidden-names.js';
import type { VolumeStat } from '../../src/secondary/volume.js';

const { EIO, ENOENT } = constants.errno;
const PARENT = '.gfid/5a6f3c1e-0000-4000-8000-000000000001';
const NAME = `${PARENT}/name`;

function setUp(lists: readonly (readonly string[] | number)[], lookups: readonly number[] = [ENOENT], listMs = 0) {
  const calls = { readdir: [] as string[], lstat: 0 };
  let nowMs = 0;
  const next = <T>(answers: readonly T[], n: number): T => answers[Math.min(n, answers.length - 1)]!;
  const hidden = new HiddenNames(
    {
      readdir: (dir) => {
        const answer = next(lists, calls.readdir.length);
        calls.readdir.push(dir);
        nowMs += listMs;
        return typeof answer === 'number' ? Promise.reject(new NativeError('readdir', dir, answer)) : Promise.resolve([...answer]);
      },
      lstat: (path) => {
        const errno = next(lookups, calls.lstat++);
        return errno === 0 ? Promise.resolve({} as VolumeStat) : Promise.reject(new NativeError('lstat', path, errno));
      },
    },
    () => nowMs,
  );
  return { calls, pass: (ms: number) => (nowMs += ms), ask: (path: string) => hidden.isAbsent(path).catch(errnoNumber) };
}

test('a name that its directory does not list is not there', async () => {
  const { ask, calls } = setUp([['other']]);
  expect(await ask(NAME)).toBe(true);
  expect(calls).toEqual({ readdir: [PARENT], lstat: 0 });
});

test('so is one whose directory is not there, and one in the root is looked for there', async () => {
  expect(await setUp([ENOENT]).ask(NAME)).toBe(true);
  const { ask, calls } = setUp([[]]);
  expect(await ask('name')).toBe(true);
  expect(calls.readdir).toEqual(['.']);
});

test('a directory that cannot be listed tells nothing', async () => {
  expect(await setUp([EIO]).ask(NAME)).toBe(EIO);
});

test('one that is listed and never found is hidden', async () => {
  expect(await setUp([['name']]).ask(NAME)).toBe(EIO);
});

test('one that is listed and found when it is asked for again is there', async () => {
  expect(await setUp([['name']], [ENOENT, 0]).ask(NAME)).toBe(false);
});

test('an inode is asked for again and again: one answer that its copies disagree is enough', async () => {
  const inode = setUp([], [ENOENT, ENOENT, ENOENT, ENOENT, EIO]);
  expect(await inode.ask(PARENT)).toBe(EIO);
  expect(inode.calls).toEqual({ readdir: [], lstat: 5 });
  expect(await setUp([]).ask(PARENT)).toBe(true);
});

test('a list counts for others for two seconds, but only for names that it has not', async () => {
  const { ask, calls, pass } = setUp([['removed since'], []]);
  expect(await ask(`${PARENT}/a`)).toBe(true);
  expect(await ask(`${PARENT}/b`)).toBe(true);
  expect(calls.readdir.length).toBe(1);
  expect(await ask(`${PARENT}/removed since`)).toBe(true);
  expect(calls.readdir.length).toBe(2);
  pass(1_999);
  await ask(`${PARENT}/a`);
  expect(calls.readdir.length).toBe(2);
  pass(1);
  await ask(`${PARENT}/a`);
  expect(calls.readdir.length).toBe(3);
  expect(calls.lstat).toBe(0);
});

test('of a long list, as others that need it at the same time, for longer', async () => {
  const { ask, calls, pass } = setUp([[]], [ENOENT], 3_000);
  expect(await Promise.all(['a', 'b', 'c'].map((name) => ask(`${PARENT}/${name}`)))).toEqual([true, true, true]);
  pass(14_999);
  await ask(`${PARENT}/a`);
  expect(calls.readdir.length).toBe(1);
  pass(1);
  await ask(`${PARENT}/a`);
  expect(calls.readdir.length).toBe(2);
});
