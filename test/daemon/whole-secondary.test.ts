// When the answers of a stock secondary are believed, with a peer that says how many subvolumes are up.
import { expect, test } from 'vitest';
import { wholeSecondary } from '../../src/daemon/whole-secondary.js';
import type { PeerStat, Secondary } from '../../src/secondary/secondary.js';

function setUp(up: number | Error, stat: PeerStat | null = null) {
  const state = { looks: 0 };
  const peer: Secondary = {
    entryOps: () => Promise.resolve([]),
    metaOps: () => Promise.resolve([]),
    lstat: () => Promise.resolve(stat),
    entries: () => Promise.resolve(['a']),
    purge: () => Promise.resolve(),
    setattr: () => Promise.resolve(),
    keepAlive: () => Promise.resolve(1),
    pid: () => Promise.resolve(7),
  };
  const subvolumesUp = async (): Promise<number> => {
    state.looks++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (typeof up === 'number') return up;
    throw up;
  };
  return { state, whole: wholeSecondary(peer, { subvolumesUp, subvolumes: 3, volume: 'sv0' }) };
}

const CALLS: readonly [string, (whole: Secondary) => Promise<unknown>][] = [
  ['entryOps', (whole) => whole.entryOps([])],
  ['metaOps', (whole) => whole.metaOps([])],
  ['lstat', (whole) => whole.lstat('a')],
  ['entries', (whole) => whole.entries('.')],
  ['purge', (whole) => whole.purge('a')],
];

test.each(CALLS)('%s is believed of a whole volume, and of one that has grown', async (_, call) => {
  await call(setUp(3).whole);
  await call(setUp(4).whole);
});

test.each(CALLS)('%s is not believed of a volume of which a part is down', async (_, call) => {
  await expect(call(setUp(2).whole)).rejects.toMatchObject({ code: 'peer', message: 'secondary volume sv0: 2 of 3 subvolumes are up: what lives on the others cannot be told' });
  await expect(call(setUp(new Error('gone')).whole)).rejects.toMatchObject({ code: 'peer', message: 'secondary volume sv0: gone' });
});

test('what is found is there, and needs no look; what many ask at once takes two', async () => {
  const stat: PeerStat = { mode: 0o100644, ino: 1n, nlink: 1, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 };
  const found = setUp(2, stat);
  expect(await found.whole.lstat('a')).toBe(stat);
  expect(found.state.looks).toBe(0);
  const { whole, state } = setUp(3);
  await Promise.all(Array.from({ length: 50 }, () => whole.lstat('a')));
  expect(state.looks).toBeLessThanOrEqual(2);
});
