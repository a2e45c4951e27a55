// Checks when the answers of a stock secondary are trusted, with a simulated number of subvolumes that are up.
import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { withAvailabilityChecks } from '../../src/worker/gluster/availability-checks.js';
import { RemoteCallError } from '../../src/rpc/errors.js';
import type { PeerStat, Secondary } from '../../src/protocol/secondary.js';

const { EACCES, EIO, ENOTCONN } = constants.errno;

/** @param refusal errno with which each call fails */
function setUp(
  up: number | Error,
  { stat = null, refusal, subvolumes = 3 }: { stat?: PeerStat | null; refusal?: number; subvolumes?: number } = {},
) {
  const state = { looks: 0 };
  const answer = <T>(value: T): Promise<T> =>
    refusal === undefined
      ? Promise.resolve(value)
      : Promise.reject(new RemoteCallError('call', 'OSError', [refusal, 'refused']));
  const peer: Secondary = {
    entryOps: () => answer([]),
    metaOps: () => answer([]),
    lstat: () => answer(stat),
    entries: () => answer(['a']),
    purge: () => answer(undefined),
    setattr: () => answer(undefined),
    keepAlive: () => Promise.resolve(1),
  };
  const subvolumesUp = async (): Promise<number> => {
    state.looks++;
    await new Promise((resolve) => setTimeout(resolve, 5));
    if (typeof up === 'number') return up;
    throw up;
  };
  return { state, whole: withAvailabilityChecks(peer, { subvolumesUp, subvolumes, volume: 'sv0' }) };
}

const CALLS: readonly [string, (whole: Secondary) => Promise<unknown>][] = [
  ['entryOps', (whole) => whole.entryOps([])],
  ['metaOps', (whole) => whole.metaOps([])],
  ['lstat', (whole) => whole.lstat('a')],
  ['entries', (whole) => whole.entries('.')],
  ['purge', (whole) => whole.purge('a')],
];

test.each(CALLS)('%s() succeeds while all subvolumes are up, also after the volume has grown', async (_, call) => {
  await call(setUp(3).whole);
  await call(setUp(4).whole);
});

test.each(CALLS)('%s() fails while a subvolume is down or the number is unknown', async (_, call) => {
  await expect(call(setUp(2).whole)).rejects.toMatchObject({
    code: 'peer',
    message: 'secondary volume sv0: 2 of 3 subvolumes are up',
  });
  await expect(call(setUp(new Error('gone')).whole)).rejects.toMatchObject({
    code: 'peer',
    message: 'secondary volume sv0: gone',
  });
});

test.each([...CALLS, ['setattr', (whole: Secondary) => whole.setattr('a', {})] as const])(
  '%s() turns ENOTCONN into EIO of the entry while all subvolumes are up',
  async (_, call) => {
    for (const subvolumes of [1, 3]) {
      await expect(call(setUp(subvolumes, { refusal: ENOTCONN, subvolumes }).whole)).rejects.toMatchObject({
        name: 'RemoteCallError',
        errno: EIO,
        message: expect.stringContaining('split-brain') as string,
      });
    }
  },
);

test.each(CALLS)('%s() turns ENOTCONN into an error of the volume while a subvolume is down', async (_, call) => {
  for (const [subvolumes, up] of [
    [3, 2],
    [1, new Error('gone')],
  ] as const) {
    await expect(call(setUp(up, { refusal: ENOTCONN, subvolumes }).whole)).rejects.toMatchObject({ code: 'peer' });
  }
});

test.each(CALLS)('%s() passes on other errors without a check', async (_, call) => {
  const { whole, state } = setUp(3, { refusal: EACCES });
  await expect(call(whole)).rejects.toMatchObject({ name: 'RemoteCallError', errno: EACCES });
  expect(state.looks).toBe(0);
});

test('answers of a volume with one subvolume need no check', async () => {
  const { whole, state } = setUp(1, { subvolumes: 1 });
  for (const [, call] of CALLS) await call(whole);
  expect(state.looks).toBe(0);
});

test('lstat() of an existing file needs no check, and concurrent misses share at most two', async () => {
  const stat: PeerStat = { mode: 0o100644, ino: 1n, nlink: 1, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 };
  const found = setUp(2, { stat });
  expect(await found.whole.lstat('a')).toBe(stat);
  expect(found.state.looks).toBe(0);
  const { whole, state } = setUp(3);
  await Promise.all(Array.from({ length: 50 }, () => whole.lstat('a')));
  expect(state.looks).toBeLessThanOrEqual(2);
});
