import { expect, test } from 'vitest';
import { rateAt, ratesOver, Series, valueAt } from '../../src/progress/series.js';
import { fc } from '../seeds.js';

test('rateAt() and ratesOver() attribute a burst after a pause to the burst alone', () => {
  const series = new Series();
  series.add(0, [0]);
  series.add(1_000, [10]);
  series.beforeChange(100_000, [10]);
  series.add(101_000, [60]);
  expect(rateAt(series.samples, 0, 101_000, 1_000)).toBeCloseTo(50);
  expect(ratesOver(series.samples, 0, 101_000, 1_000, 3)).toEqual([0, 0, 50]);
});

test('rateAt() falls to 0 while nothing is counted', () => {
  const series = new Series();
  series.add(0, [0]);
  series.add(5_000, [100]);
  expect(rateAt(series.samples, 0, 5_000, 5_000)).toBe(20);
  expect(rateAt(series.samples, 0, 60_000, 5_000)).toBe(0);
});

test('add() keeps samples in order when the clock is set back', () => {
  const series = new Series();
  series.add(50_000, [5]);
  series.add(10_000, [6]);
  series.add(14_000, [7]);
  expect(series.samples.map(([at]) => at)).toEqual([10_000, 14_000]);
});

test('samples stay bounded and ordered, and rates are non-negative and add up to the count, for random input', () => {
  const steps = fc.array(
    fc.record({ wait: fc.integer({ min: 0, max: 20_000 }), count: fc.integer({ min: 0, max: 1_000 }) }),
    { maxLength: 400 },
  );
  fc.assert(
    fc.property(steps, (changes) => {
      const series = new Series();
      let now = 1_000_000;
      let total = 0;
      series.add(now, [0]);
      for (const { wait, count } of changes) {
        now += wait;
        series.beforeChange(now, [total]);
        total += count;
        if (wait % 2 === 0) series.add(now + 500, [total]);
      }
      now += 1_000;
      series.add(now, [total]);
      const { samples } = series;
      expect(samples.length).toBeLessThanOrEqual(150);
      samples.slice(1).forEach(([at = 0], i) => expect(at).toBeGreaterThanOrEqual(samples[i]?.[0] ?? 0));
      const rates = ratesOver(samples, 0, now, 3_000, 20);
      for (const rate of rates) expect(rate).toBeGreaterThanOrEqual(0);
      const counted = rates.reduce((sum, rate) => sum + rate * 3, 0);
      expect(counted).toBeCloseTo(total - valueAt(samples, 0, now - 60_000), 4);
    }),
  );
});
