// When an ENOENT of a mount is believed, with answers and a clock that the test sets.
import { expect, test } from 'vitest';
import { inodeErrorOf } from '../../src/primary/inode-error.js';
import { BrickDown, SubvolumeWatch } from '../../src/gluster/subvolume-watch.js';

/** What the mount answers to each look and each question, in order; the last answer stays. */
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

test('what is found needs no look', async () => {
  const { state, find } = setUp([false], ['here']);
  expect(await find()).toBe('here');
  expect(state.looks).toBe(0);
});

test('what is not found is asked for again between two looks, once; while looks are fresh, one more is enough', async () => {
  const { state, find } = setUp([true]);
  expect(await find()).toBeNull();
  expect([state.asked, state.looks]).toEqual([2, 2]);
  expect(await find()).toBeNull();
  expect([state.asked, state.looks]).toEqual([3, 3]);
  state.nowMs += 2_000;
  expect(await find()).toBeNull();
  expect([state.asked, state.looks]).toEqual([5, 5]);
});

test('while a part is down it cannot be told', async () => {
  const { find } = setUp([false]);
  await expect(find()).rejects.toThrow(BrickDown);
});

test('an answer from before a brick came back is not taken', async () => {
  const { find } = setUp([true, true, true], [null, 'here']);
  expect(await find()).toBe('here');
});

test('a brick that was away since the last look, and is back, is noticed', async () => {
  const { state, find } = setUp([true], [null, null, null, 'here']);
  expect(await find()).toBeNull();
  state.nowMs += 3_000;
  expect(await find()).toBe('here');
  expect(state.asked).toBe(4);
});

test('a mount that takes seconds for each answer does not tell', async () => {
  const { state, find } = setUp([true]);
  state.askMs = 2_500;
  await expect(find()).rejects.toThrow(BrickDown);
  expect(state.asked).toBe(3);
});

test('many at once share their looks', async () => {
  const { state, find } = setUp([true]);
  expect(new Set(await Promise.all(Array.from({ length: 50 }, find)))).toEqual(new Set([null]));
  expect(state.looks).toBeLessThan(10);
});

test('is trouble of the one path', () => {
  expect(inodeErrorOf(new BrickDown('.gfid/x'))?.reason).toBe('.gfid/x: a brick of the volume is down');
});
