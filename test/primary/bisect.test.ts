// Bisection: an item that makes the peer raise fails alone, and an error of the peer itself stops the work.

import { constants } from 'node:os';
import { describe, expect, test } from 'vitest';
import { GsyncdError } from '../../src/errors.js';
import { directCalls } from '../../src/embedded/direct-calls.js';
import { sendBisecting } from '../../src/primary/reconcile/bisect.js';
import { RemoteCallError } from '../../src/rpc/errors.js';
import type { RpcMethod } from '../../src/rpc/server.js';
import { applyMeta } from '../../src/secondary/meta-ops.js';
import type { SecondaryVolume } from '../../src/secondary/volume.js';
import { fc } from '../seeds.js';

/** A peer that applies items in order and raises at the first of `bad`; the items before it stay applied. */
function peer(bad: ReadonlySet<number>): { applied: number[]; send: (items: readonly number[]) => Promise<number[]> } {
  const applied: number[] = [];
  return {
    applied,
    send: (items) => {
      for (const item of items) {
        if (bad.has(item))
          return Promise.reject(new RemoteCallError('entry_ops', 'OSError', [constants.errno.EISDIR, 'EISDIR']));
        applied.push(item);
      }
      return Promise.resolve(items.map((item) => item * 10));
    },
  };
}

describe('sendBisecting()', () => {
  test('finds all failing items, and returns the results of all others in order', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.nat({ max: 999 }), { maxLength: 80 }),
        fc.array(fc.nat({ max: 80 }), { maxLength: 6 }),
        fc.integer({ min: 1, max: 30 }),
        async (items, badIndexes, perCall) => {
          const bad = new Set(badIndexes.map((i) => items[i]).filter((item) => item !== undefined));
          const { applied, send } = peer(bad);
          const { results, failedItems } = await sendBisecting(items, perCall, send);
          const good = items.filter((item) => !bad.has(item));
          expect(failedItems.map(({ item }) => item)).toEqual(items.filter((item) => bad.has(item)));
          expect(results).toEqual(good.map((item) => item * 10));
          expect(new Set(applied)).toEqual(new Set(good));
          for (const { errno } of failedItems) expect(errno).toBe(constants.errno.EISDIR);
        },
      ),
      { numRuns: 200, seed: 7 },
    );
  });

  test('sends no call with more items than allowed', async () => {
    const sizes: number[] = [];
    await sendBisecting([1, 2, 3, 4, 5, 6, 7], 3, (slice) => {
      sizes.push(slice.length);
      return Promise.resolve([]);
    });
    expect(sizes).toEqual([3, 3, 1]);
  });

  test.each(['ENOSPC', 'EROFS', 'ENOTCONN'] as const)('stops at once when the peer answers %s', async (code) => {
    let calls = 0;
    const sending = sendBisecting([1, 2, 3], 3, () => {
      calls += 1;
      return Promise.reject(new RemoteCallError('entry_ops', 'OSError', [constants.errno[code], code]));
    });
    await expect(sending).rejects.toMatchObject({ code: 'peer' });
    expect(calls).toBe(1);
  });

  test('continues after EDQUOT, which fails only the item', async () => {
    const { results, failedItems } = await sendBisecting([1, 2, 3], 3, (slice) =>
      slice.includes(2)
        ? Promise.reject(new RemoteCallError('entry_ops', 'OSError', [constants.errno.EDQUOT, 'EDQUOT']))
        : Promise.resolve(slice),
    );
    expect(results).toEqual([1, 3]);
    expect(failedItems).toMatchObject([{ item: 2, errno: constants.errno.EDQUOT }]);
  });

  test('stops at once when the secondary shuts down and raises for the remaining items', async () => {
    const ending = new AbortController();
    ending.abort();
    const methods = new Map<string, RpcMethod>([
      ['meta_ops', (args) => applyMeta({} as SecondaryVolume, ending.signal, args[0])],
    ]);
    const { call } = directCalls(methods, () => undefined);
    const op = {
      go: '.gfid/00000000-0000-0000-0000-000000000001',
      stat: { uid: 0, gid: 0, mode: 0o755, atime: 0, mtime: 0 },
    };
    let calls = 0;
    const sending = sendBisecting([op, op], 2, async (slice) => {
      calls += 1;
      await call('meta_ops', [[...slice]]);
      return [];
    });
    await expect(sending).rejects.toMatchObject({ code: 'peer' });
    expect(calls).toBe(1);
  });

  test('rethrows an error that is no answer of the peer', async () => {
    const lost = new GsyncdError('call entry_ops: peer is gone', { code: 'peer' });
    await expect(sendBisecting([1, 2], 2, () => Promise.reject(lost))).rejects.toBe(lost);
  });
});
