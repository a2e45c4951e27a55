// Checks when an ENOENT from a mount is trusted, with simulated answers and a simulated clock.
import { expect, test } from 'vitest';
import { inodeErrorOf } from '../../src/primary/inode-error.js';
import { BrickDown, SubvolumeWatch } from '../../src/gluster/subvolume-watch.js';

/** @param looks results of the subvolume checks, in order; the last one repeats
 *  @param answers results of the lookups, likewise */
function setUp(looks: boolean[], answers: (string | null)[] = [null]) {
  const state = { nowMs: 10_000, looks: 0, asked: 0, askMs: 0 };
  const watch = new SubvolumeWatch(
    async () => {
      await Promise.resolve();
      return looks[Math.min(state.looks++, looks.length - 1)]!;
    },
    () => state.nowMs,
  );
  const find = (): Promise<string | null> =>
    watch.find('.gfid/x', () => {
      state.nowMs += state.askMs;
      return Promise.resolve(answers[Math.min(state.asked++, answers.length - 1)]!);
    });
  return { state, find };
}

test('find() checks no subvolumes for a file that it finds', async () => {
  const { state, find } = setUp([false], ['here']);
  expect(await find()).toBe('here');
  expect(state.looks).toBe(0);
});

test('find() repeats a failed lookup once between two checks; a recent check saves the repetition', async () => {
  const { state, find } = setUp([true]);
  expect(await find()).toBeNull();
  expect([state.asked, state.looks]).toEqual([2, 2]);
  expect(await find()).toBeNull();
  expect([state.asked, state.looks]).toEqual([3, 3]);
  state.nowMs += 2_000;
  expect(await find()).toBeNull();
  expect([state.asked, state.looks]).toEqual([5, 5]);
});

test('find() throws BrickDown while a subvolume is down', async () => {
  const { find } = setUp([false]);
  await expect(find()).rejects.toThrow(BrickDown);
});

test('find() discards a lookup made before a brick came back', async () => {
  const { find } = setUp([true, true, true], [null, 'here']);
  expect(await find()).toBe('here');
});

test('find() repeats the lookup when the last check is old, since a brick may have been down', async () => {
  const { state, find } = setUp([true], [null, null, null, 'here']);
  expect(await find()).toBeNull();
  state.nowMs += 3_000;
  expect(await find()).toBe('here');
  expect(state.asked).toBe(4);
});

test('find() throws BrickDown after three lookups that take seconds each', async () => {
  const { state, find } = setUp([true]);
  state.askMs = 2_500;
  await expect(find()).rejects.toThrow(BrickDown);
  expect(state.asked).toBe(3);
});

test('concurrent find() calls share the checks', async () => {
  const { state, find } = setUp([true]);
  expect(new Set(await Promise.all(Array.from({ length: 50 }, find)))).toEqual(new Set([null]));
  expect(state.looks).toBeLessThan(10);
});

test('inodeErrorOf() maps BrickDown to an error of the path', () => {
  expect(inodeErrorOf(new BrickDown('.gfid/x'))?.reason).toBe('.gfid/x: a brick of the volume is down');
});
