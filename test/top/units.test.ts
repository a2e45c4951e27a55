import { expect, test } from 'vitest';
import { bar, truncate, sparkline, widthOf } from '../../src/top/text.js';
import { formatBytes, formatRate, formatSpan } from '../../src/top/units.js';

test.each([
  [0, '0s'],
  [59.4, '59s'],
  [60, '1m 00s'],
  [3_599.6, '1h 00m'],
  [90_061, '1d 01h'],
])('formatSpan() formats %d seconds as %s', (seconds, text) => {
  expect(formatSpan(seconds)).toBe(text);
});

test.each([
  [0, '0 B'],
  [1_023, '1023 B'],
  [1_024, '1.0 KiB'],
  [1_048_575, '1.0 MiB'],
  [150 << 20, '150 MiB'],
  [2 ** 62, '4096 PiB'],
])('formatBytes() formats %d bytes as %s', (value, text) => {
  expect(formatBytes(value)).toBe(text);
});

test('formatRate() shows a decimal for rates below 10, so that small rates do not show as 0', () => {
  expect([0, 0.25, 9.94, 9.96, 1_234.5].map(formatRate)).toEqual(['0', '0.3', '9.9', '10', '1,235']);
});

test('sparkline() draws the largest value at full height, small values as the lowest block and 0 as a space', () => {
  expect(sparkline([0, 1, 1_000], 'unicode')).toBe(' ▁█');
  expect(sparkline([0, 0], 'ascii')).toBe('  ');
  expect(bar(0.5, 4, 'ascii')).toBe('##..');
});

test('truncate() counts columns, not characters', () => {
  expect(truncate('文字文字', 5, 'unicode')).toBe('文字…');
  expect(widthOf('e\u0301')).toBe(1);
  expect(truncate('abcdef', 4, 'ascii')).toBe('a...');
  expect(truncate('abcdef', 2, 'ascii')).toBe('..');
});
