// MeasuredConcurrency with a simulated clock.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { MeasuredConcurrency, Turns } from '../../src/secondary/measured-concurrency.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['performance'] }));
afterEach(() => void vi.useRealTimers());

/** Runs `count` calls of 100 items, whose duration depends on the concurrency. @returns the chosen concurrencies */
async function run(
  calls: MeasuredConcurrency,
  count: number,
  msPerItem: (concurrency: number) => number,
  items = 100,
): Promise<number[]> {
  const chosen: number[] = [];
  for (let i = 0; i < count; i++) {
    await calls.run(items, (concurrency) => {
      chosen.push(concurrency);
      vi.advanceTimersByTime(items * msPerItem(concurrency));
      return Promise.resolve();
    });
  }
  return chosen;
}

const slowerConcurrent = (concurrency: number): number => (concurrency === 8 ? 3 : 2);
const fasterConcurrent = (concurrency: number): number => (concurrency === 8 ? 1 : 2);

describe('MeasuredConcurrency', () => {
  test('tries both choices, then keeps to the faster one, and tries the other again in each 20th call', async () => {
    const calls = new MeasuredConcurrency(new Turns(), 8);
    expect(await run(calls, 40, slowerConcurrent)).toEqual([
      8,
      ...Array<number>(18).fill(1),
      8,
      ...Array<number>(19).fill(1),
      8,
    ]);
  });

  test('changes its choice when the other one has become faster', async () => {
    const calls = new MeasuredConcurrency(new Turns(), 8);
    await run(calls, 19, slowerConcurrent);
    const chosen = await run(calls, 41, fasterConcurrent);
    expect(chosen.slice(-15, -1)).toEqual(Array(14).fill(8));
  });

  test('small calls use the faster choice, and are not measured', async () => {
    const calls = new MeasuredConcurrency(new Turns(), 8);
    await run(calls, 2, slowerConcurrent);
    expect(await run(calls, 3, () => 100, 5)).toEqual([1, 1, 1]);
    expect(await run(calls, 1, slowerConcurrent)).toEqual([1]);
  });

  test('a volume of one lane has no choice', async () => {
    expect(await run(new MeasuredConcurrency(new Turns(), 1), 25, () => 1)).toEqual(Array(25).fill(1));
  });

  test('a call that fails is not measured, and the next call runs', async () => {
    const calls = new MeasuredConcurrency(new Turns(), 8);
    await expect(calls.run(100, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await run(calls, 2, slowerConcurrent)).toEqual([8, 1]);
  });
});
