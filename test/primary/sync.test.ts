// The whole way of a change, from a model primary's changelogs to a model of the stock secondary. After any
// operations, in any order of reading, and with a kill at any moment, both trees are equal in the end.

import { describe, expect, test } from 'vitest';
import { isUtf8Name } from '../../src/names.js';
import { BYTE_NAMES, changeArb, type Change } from './model/changes.js';
import { passTime, useFastTimers } from './model/fast-timers.js';
import { HEALED, isListed, ModelPair, NEVER_HEALED, type PairOptions } from './model/pair.js';
import { differences, listing } from './model/tree.js';
import type { ModelVolume } from './model/volume.js';
import { fc, seedFrom } from '../seeds.js';

/** `MODEL_RUNS=20` multiplies the number of runs, `MODEL_SEED` sets where they start, `MODEL_SHRINK=off` ends at
 *  the first failure. */
const FACTOR = Number(process.env['MODEL_RUNS'] ?? 1);
const SHRINK = process.env['MODEL_SHRINK'] ?? 'on';
const SEED = seedFrom('MODEL_SEED');

const changes = (maxLength: number): fc.Arbitrary<Change[]> => fc.array(changeArb(), { maxLength, size: 'max' });
const seeds = fc.nat({ max: 1_000_000 });
const distCounts = fc.constantFrom(1, 2);
const kills = fc.array(fc.nat({ max: 400 }), { maxLength: 4 });
const batchSizes = fc.constantFrom('1', '600', '727040');

async function withPair<T>(options: PairOptions, run: (pair: ModelPair) => Promise<T>): Promise<T> {
  const pair = new ModelPair(options);
  try {
    return await run(pair);
  } finally {
    pair.dispose();
  }
}

/** Runs an undisturbed worker when its failure list is due. */
async function settle(pair: ModelPair): Promise<void> {
  if (pair.failures.size === 0) return;
  passTime(3_600_000);
  await pair.run();
}

async function expectEqual(pair: ModelPair): Promise<void> {
  await settle(pair);
  const found = differences(pair.primary, pair.secondaryVolume);
  const listed = pair.failures
    .items()
    .map(({ kind, gfid, entry, reason }) => `listed: ${kind} ${entry ?? gfid}: ${reason}`);
  expect([...found, ...listed]).toEqual([]);
}

function names(volume: ModelVolume): string[] {
  return [...listing(volume).keys()].sort();
}

/** Differences at names of the primary only. */
function missing(pair: ModelPair): string[] {
  const extra = new Set(listing(pair.secondaryVolume).keys());
  for (const name of listing(pair.primary).keys()) extra.delete(name);
  return differences(pair.primary, pair.secondaryVolume, (path) => extra.has(path));
}

useFastTimers();

describe(
  'a worker and a stock secondary end up with equal trees',
  { timeout: 600_000 * Math.max(1, FACTOR / 10) },
  () => {
    const runs = (count: number): { numRuns: number; seed: number; endOnFailure: boolean } => ({
      numRuns: Math.ceil(count * FACTOR),
      seed: SEED,
      endOnFailure: SHRINK === 'off',
    });

    test('after a first sync', async () => {
      await fc.assert(
        fc.asyncProperty(seeds, changes(60), async (seed, before) =>
          withPair({ seed }, async (pair) => {
            pair.change(...before);
            await pair.run();
            await expectEqual(pair);
          }),
        ),
        runs(60),
      );
    });

    test('after changes that were made while it was stopped', async () => {
      await fc.assert(
        fc.asyncProperty(
          seeds,
          distCounts,
          batchSizes,
          changes(40),
          changes(60),
          async (seed, distCount, batchSize, before, stopped) =>
            withPair({ seed, distCount, config: { 'changelog-batch-size': batchSize } }, async (pair) => {
              pair.change(...before);
              await pair.run();
              pair.change(...stopped);
              pair.rollover();
              await pair.run();
              await expectEqual(pair);
            }),
        ),
        runs(120),
      );
    });

    test('after it was killed anywhere, while changes were made', async () => {
      await fc.assert(
        fc.asyncProperty(
          seeds,
          distCounts,
          batchSizes,
          kills,
          changes(30),
          changes(40),
          changes(20),
          async (seed, distCount, batchSize, killAfter, before, stopped, during) =>
            withPair({ seed, distCount, config: { 'changelog-batch-size': batchSize } }, async (pair) => {
              pair.change(...before);
              await pair.run();
              pair.change(...stopped);
              pair.rollover();
              await pair.runKilled(killAfter, { during });
              await pair.run();
              await expectEqual(pair);
            }),
        ),
        runs(120),
      );
    });

    test('when changes go on during the first sync', async () => {
      await fc.assert(
        fc.asyncProperty(
          seeds,
          changes(50),
          changes(40),
          fc.integer({ min: 1, max: 12 }),
          async (seed, before, during, changeEvery) =>
            withPair({ seed }, async (pair) => {
              pair.change(...before);
              await pair.run({ during, changeEvery });
              await pair.run();
              await expectEqual(pair);
            }),
        ),
        runs(100),
      );
    });

    test('when the first sync is killed and begun again', async () => {
      await fc.assert(
        fc.asyncProperty(seeds, kills, changes(50), changes(30), async (seed, killAfter, before, during) =>
          withPair({ seed }, async (pair) => {
            pair.change(...before);
            await pair.runKilled(killAfter, { during });
            await pair.run();
            await expectEqual(pair);
          }),
        ),
        runs(100),
      );
    });

    // The active worker's brick is not healed yet, and has no records of changes to names that it lacks.
    test('except for new names, when it is passive and only its brick has the records', async () => {
      await fc.assert(
        fc.asyncProperty(
          seeds,
          changes(30),
          changes(30),
          fc.constantFrom(HEALED, NEVER_HEALED),
          async (seed, before, after, until) =>
            withPair({ seed }, async (pair) => {
              pair.change(...before);
              await pair.run();
              await pair.runPassive(after, { ahead: true, ms: 20_000, until });
              expect(pair.logLines.some((line) => line.startsWith(until))).toBe(true);
              expect(names(pair.primary)).toEqual(expect.arrayContaining(names(pair.secondaryVolume)));
              // Without a heal it leaves the secondary to the active worker.
              const settled = names(pair.secondaryVolume);
              await pair.runPassive(before, { ahead: false, ms: 20_000 });
              expect(names(pair.secondaryVolume)).toEqual(settled);
            }),
        ),
        runs(30),
      );
    });

    test('a passive worker takes over the stime of the cluster, but not one from a clock that is an hour ahead', async () => {
      await withPair({ seed: 1 }, async (pair) => {
        await pair.run();
        const followed = async (aheadS: number): Promise<number> => {
          pair.mount.clusterMark = [Math.floor(Date.now() / 1000) + aheadS, 0];
          await pair.runPassive([], { ahead: false, ms: 20_000 });
          return (await pair.brick.stime('.'))?.[0] ?? 0;
        };
        const before = Math.floor(Date.now() / 1000);
        const mark = await followed(30);
        expect(mark).toBe(before + 30);
        expect(await followed(3600)).toBe(mark);
      });
    });

    test('when the secondary held other content under the same names', async () => {
      await fc.assert(
        fc.asyncProperty(
          seeds,
          kills,
          changes(40),
          changes(40),
          changes(30),
          async (seed, killAfter, foreign, before, stopped) =>
            withPair({ seed }, async (pair) => {
              pair.fillSecondary(foreign);
              pair.change(...before);
              await pair.runKilled(killAfter);
              pair.change(...stopped);
              pair.rollover();
              await pair.runKilled(killAfter);
              await settle(pair);
              // The worker does not remove other files of the secondary.
              expect(missing(pair)).toEqual([]);
            }),
        ),
        runs(100),
      );
    });

    // A replay cannot tell whether a conflicting inode once came from the primary: it keeps it and adds a failure.
    test('with gfid-conflict-resolution off and an empty secondary, except for what a kill leaves on the failure list', async () => {
      await fc.assert(
        fc.asyncProperty(
          seeds,
          batchSizes,
          kills,
          changes(30),
          changes(40),
          async (seed, batchSize, killAfter, before, stopped) =>
            withPair(
              { seed, config: { 'changelog-batch-size': batchSize, 'gfid-conflict-resolution': 'false' } },
              async (pair) => {
                pair.change(...before);
                await pair.run();
                pair.change(...stopped);
                pair.rollover();
                if (killAfter.length === 0) {
                  await pair.run();
                  await expectEqual(pair);
                } else {
                  await pair.runKilled(killAfter);
                  await settle(pair);
                  if (pair.failures.size === 0) await expectEqual(pair);
                }
              },
            ),
        ),
        runs(150),
      );
    });

    test('except for deleted names, with ignore-deletes', async () => {
      await fc.assert(
        fc.asyncProperty(seeds, kills, changes(40), changes(40), async (seed, killAfter, before, stopped) =>
          withPair({ seed, config: { 'ignore-deletes': 'true' } }, async (pair) => {
            pair.change(...before);
            await pair.run();
            pair.change(...stopped);
            pair.rollover();
            await pair.runKilled(killAfter);
            await settle(pair);
            expect(missing(pair)).toEqual([]);
          }),
        ),
        runs(60),
      );
    });

    test('with names that are not UTF-8, except for symlinks with such targets, which are on the failure list', async () => {
      const byteChanges = (maxLength: number): fc.Arbitrary<Change[]> =>
        fc.array(changeArb(BYTE_NAMES), { maxLength, size: 'max' });
      await fc.assert(
        fc.asyncProperty(
          seeds,
          distCounts,
          batchSizes,
          kills,
          byteChanges(40),
          byteChanges(40),
          byteChanges(15),
          async (seed, distCount, batchSize, killAfter, before, stopped, during) =>
            withPair({ seed, distCount, config: { 'changelog-batch-size': batchSize } }, async (pair) => {
              pair.change(...before);
              await pair.run();
              pair.change(...stopped);
              pair.rollover();
              await pair.runKilled(killAfter, { during });
              await pair.run();
              await settle(pair);
              const excused = (path: string): boolean => {
                const inode = pair.primary.find(path);
                return isListed(pair.failures, path) && inode !== null && !isUtf8Name(inode.target);
              };
              expect(differences(pair.primary, pair.secondaryVolume, excused)).toEqual([]);
            }),
        ),
        runs(120),
      );
    });
  },
);
