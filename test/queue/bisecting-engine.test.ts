// Bisection against a model with files that break every transfer that includes them, and a connection that may be lost.

import { expect, test } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import { bisectingEngine } from '../../src/queue/bisecting-engine.js';
import type { DataEngine, EngineOutcome } from '../../src/queue/engine.js';
import { fc } from '../seeds.js';

const gfid = (n: number): Gfid => `${n.toString(16).padStart(8, '0')}-0000-4000-8000-000000000000` as Gfid;
const OPTIONS = { logErrors: false };

interface World {
  readonly breaking: ReadonlySet<Gfid>;
  /** Files that fail individually in a working transfer. */
  readonly named?: ReadonlySet<Gfid>;
  /** Number of transfers until the connection is lost. */
  readonly connected?: number;
  readonly reason?: string;
}

function engineOf({ breaking, named = new Set(), connected = Infinity, reason = 'rsync: exit 12' }: World) {
  const arrived: Gfid[] = [];
  const sizes: number[] = [];
  const engine: DataEngine = {
    name: 'rsync',
    sync: (gfids): Promise<EngineOutcome> => {
      sizes.push(gfids.length);
      const lost = sizes.length > connected;
      if (lost || gfids.some((item) => breaking.has(item))) {
        const broken = lost ? 'rsync: exit 255' : reason;
        return Promise.resolve({
          returnCode: 12,
          synced: new Set(),
          failed: new Map(gfids.map((item) => [item, broken])),
          broken,
        });
      }
      const synced = gfids.filter((item) => !named.has(item));
      arrived.push(...synced);
      return Promise.resolve({
        returnCode: 0,
        synced: new Set(synced),
        failed: new Map(gfids.filter((item) => named.has(item)).map((item) => [item, `${item}: denied`])),
      });
    },
  };
  return { engine, arrived, sizes };
}

const worlds = fc.integer({ min: 1, max: 1_500 }).chain((size) =>
  fc.record({
    size: fc.constant(size),
    breaking: fc.uniqueArray(fc.integer({ min: 0, max: size - 1 }), { maxLength: 4 }),
    named: fc.uniqueArray(fc.integer({ min: 0, max: size - 1 }), { maxLength: 4 }),
    connected: fc.oneof(fc.constant(Infinity), fc.integer({ min: 0, max: 30 })),
  }),
);

test('bisecting() returns one result per item, transfers good files once, and is broken only without connection', async () => {
  await fc.assert(
    fc.asyncProperty(worlds, async ({ size, breaking, named, connected }) => {
      const gfids = Array.from({ length: size }, (_, n) => gfid(n));
      const world = {
        breaking: new Set(breaking.map(gfid)),
        named: new Set(named.filter((n) => !breaking.includes(n)).map(gfid)),
        connected,
      };
      const { engine, arrived, sizes } = engineOf(world);
      const outcome = await bisectingEngine(engine).sync(gfids, OPTIONS);
      expect([...outcome.synced, ...outcome.failed.keys()].sort()).toEqual(gfids);
      expect([...arrived].sort()).toEqual([...outcome.synced].sort());
      expect(sizes.length).toBeLessThan(120);
      if (sizes.length <= connected) {
        expect(outcome.broken).toBeUndefined();
        expect([...outcome.failed.keys()].sort()).toEqual([...world.breaking, ...world.named].sort());
      } else {
        expect(outcome.broken).toBeDefined();
      }
    }),
    { numRuns: 300 },
  );
});

test('bisecting() does not split a transfer that failed with a full disk', async () => {
  const { engine, sizes } = engineOf({
    breaking: new Set([gfid(3)]),
    reason: 'rsync: exit 11: write failed: No space left on device (28)',
  });
  expect((await bisectingEngine(engine).sync([gfid(1), gfid(2), gfid(3)], OPTIONS)).broken).toContain('No space left');
  expect(sizes).toEqual([3]);
});

test('bisecting() ends as broken after fewer than 200 transfers when every file breaks its transfer', async () => {
  const gfids = Array.from({ length: 2_000 }, (_, n) => gfid(n));
  const { engine, sizes } = engineOf({ breaking: new Set(gfids) });
  const outcome = await bisectingEngine(engine).sync(gfids, OPTIONS);
  expect([outcome.failed.size, outcome.broken]).toEqual([2_000, 'rsync: exit 12']);
  expect(sizes.length).toBeLessThan(200);
});
