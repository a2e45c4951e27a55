import { expect, it } from 'vitest';
import { Backoff } from '../../src/monitor/backoff.js';
import { fc } from '../seeds.js';

const LIMITS = { firstMs: 1_000, maxMs: 60_000, stableMs: 60_000 };

it('next() doubles the delay up to maxMs', () => {
  const backoff = new Backoff(LIMITS);
  expect(Array.from({ length: 8 }, () => backoff.next(0))).toEqual([
    1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000,
  ]);
});

it('next() returns firstMs after a worker that ran for wellMs and after reset()', () => {
  const backoff = new Backoff(LIMITS);
  for (let i = 0; i < 5; i++) backoff.next(59_999);
  expect(backoff.next(60_000)).toBe(1_000);
  expect(backoff.next(10)).toBe(2_000);
  backoff.reset();
  expect(backoff.next(10)).toBe(1_000);
});

it('next() stays between firstMs and maxMs for random worker lifetimes', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(200_000)), (served) => {
      const backoff = new Backoff(LIMITS);
      let before = 0;
      for (const servedMs of served) {
        const delay = backoff.next(servedMs);
        expect(delay).toBe(
          servedMs >= LIMITS.stableMs || before === 0 ? LIMITS.firstMs : Math.min(before * 2, LIMITS.maxMs),
        );
        before = delay;
      }
    }),
  );
});
