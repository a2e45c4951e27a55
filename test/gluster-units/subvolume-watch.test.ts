// When an ENOENT of a mount is believed, with answers and a clock that the test sets.
import { expect, test } from 'vitest';
import { troubleOf } from '../../src/primary/trouble.js';
import { BrickDown, SubvolumeWatch } from '../../src/gluster/subvolume-watch.js';

function setUp() {
  const state = { up: true, nowMs: 10_000, looks: 0, held: [] as (() => void)[] | null };
  const watch = new SubvolumeWatch(
    async () => {
      state.looks += 1;
      if (state.held !== null) await new Promise<void>((resolve) => state.held?.push(resolve));
      return state.up;
    },
    () => state.nowMs,
  );
  state.held = null;
  return { state, watch };
}

test('while all is up it is, while a part is down, and for some seconds after, it is not', async () => {
  const { state, watch } = setUp();
  expect(await watch.believes()).toBe(true);
  state.up = false;
  expect(await watch.believes()).toBe(false);
  state.up = true;
  state.nowMs += 2_900;
  expect(await watch.believes()).toBe(false);
  state.nowMs += 200;
  expect(await watch.believes()).toBe(true);
});

test('an outage that nobody asked about is seen', async () => {
  const { state, watch } = setUp();
  watch.start();
  state.up = false;
  await expect.poll(() => state.looks, { timeout: 3_000 }).toBeGreaterThan(0);
  state.up = true;
  expect(await watch.believes()).toBe(false);
  watch.stop();
});

test('who asks during a look waits for one that begins later, and shares it', async () => {
  const { state, watch } = setUp();
  state.held = [];
  const first = watch.believes();
  await expect.poll(() => state.looks).toBe(1);
  const later = [watch.believes(), watch.believes(), watch.believes()];
  state.up = false;
  for (let i = 0; i < 10; i++) {
    for (const release of state.held.splice(0)) release();
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await Promise.all([first, ...later])).toEqual([false, false, false, false]);
  expect(state.looks).toBe(2);
});

test('is trouble of the one path', () => {
  expect(troubleOf(new BrickDown('.gfid/x'))?.reason).toBe('.gfid/x: a brick of the volume is down');
});
