import { expect, test } from 'vitest';
import { deadline } from '../../src/async/deadline.js';

test('a deadline that is late, as after a pause of the process, begins again', async () => {
  const fired: number[] = [];
  deadline(50, () => fired.push(performance.now()));
  const endMs = performance.now() + 1_200;
  while (performance.now() < endMs); // as SIGSTOP does it
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(fired).toEqual([]);
  await expect.poll(() => fired.length).toBe(1);
  expect(fired[0]).toBeGreaterThan(endMs + 45);
});

test('a deadline that is cancelled, before or after that, is none', async () => {
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
