// Which mount is read through.
import { expect, test } from 'vitest';
import { Freshness } from '../../src/primary/mount-selector.js';

test('the one with caches, but for ten seconds after the last change', () => {
  const freshness = new Freshness({ cached: '/cached', uncached: '/uncached' });
  const at = (seconds: number): string => freshness.mountDir(seconds * 1000);
  expect(at(1000)).toBe('/cached');
  freshness.changed(995);
  expect(at(1000)).toBe('/uncached');
  expect(at(1004.9)).toBe('/uncached');
  expect(at(1005)).toBe('/cached');
  freshness.changed(1004);
  // A later batch of older journals takes nothing back.
  freshness.changed(900);
  expect(at(1013.9)).toBe('/uncached');
  expect(at(1014)).toBe('/cached');
});
