import { expect, test } from 'vitest';
import { deadline } from '../../src/async/deadline.js';

test('deadline() starts over when its timer fires late, as after SIGSTOP', async () => {
  const fired: number[] = [];
  deadline(50, () => fired.push(performance.now()));
  const endMs = performance.now() + 1_200;
  while (performance.now() < endMs); // blocks the event loop, as SIGSTOP does
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(fired).toEqual([]);
  await expect.poll(() => fired.length).toBe(1);
  expect(fired[0]).toBeGreaterThan(endMs + 45);
});

test('deadline() does not fire once cancelled, before or after a late timer', async () => {
  let fired = 0;
  const [early, late] = [deadline(20, () => (fired += 1)), deadline(20, () => (fired += 1))];
  early.cancel();
  const endMs = performance.now() + 1_200;
  while (performance.now() < endMs);
  await new Promise((resolve) => setTimeout(resolve, 5));
  late.cancel();
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(fired).toBe(0);
});
