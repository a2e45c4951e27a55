// Selects the cached or the uncached mount of the primary for reads.
import { expect, test } from 'vitest';
import { MountSelector } from '../../src/primary/mount-selector.js';

test('mountDir() returns the cached mount, except for ten seconds after the last change', () => {
  const mountSelector = new MountSelector({ cached: '/cached', uncached: '/uncached' });
  const at = (seconds: number): string => mountSelector.mountDir(seconds * 1000);
  expect(at(1000)).toBe('/cached');
  mountSelector.expectChangesUntil(995);
  expect(at(1000)).toBe('/uncached');
  expect(at(1004.9)).toBe('/uncached');
  expect(at(1005)).toBe('/cached');
  mountSelector.expectChangesUntil(1004);
  // A later batch with older changelogs does not shorten these ten seconds.
  mountSelector.expectChangesUntil(900);
  expect(at(1013.9)).toBe('/uncached');
  expect(at(1014)).toBe('/cached');
});
