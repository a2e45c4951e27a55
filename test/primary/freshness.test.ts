// Which mount data is read through.
import { expect, test } from 'vitest';
import { Freshness } from '../../src/primary/freshness.js';

test('the one with caches until files are read again', () => {
  const freshness = new Freshness({ cached: '/cached', uncached: '/uncached' });
  expect(freshness.mountDir()).toBe('/cached');
  freshness.readAgain();
  expect(freshness.mountDir()).toBe('/uncached');
  freshness.readAgain();
  expect(freshness.mountDir()).toBe('/uncached');
});
