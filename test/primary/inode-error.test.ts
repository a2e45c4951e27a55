// Inodes whose lookup fails on the primary for a while: they go to the failure list, and everything else is synced. They do
// not end the worker.

import { describe, expect, test } from 'vitest';
import { entryPath, GFID_PREFIX, gfidPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { S_IFDIR, S_IFREG } from '../../src/protocol/view.js';
import { changeArb, type Change } from './model/changes.js';
import { passTime, useFastTimers } from './model/fast-timers.js';
import { isListed, ModelPair } from './model/pair.js';
import { differences } from './model/tree.js';
import type { Inode } from './model/volume.js';
import { fc, seedFrom } from '../seeds.js';

const FACTOR = Number(process.env['MODEL_RUNS'] ?? 1);
const SEED = seedFrom('MODEL_SEED');

const gfid = (n: number): Gfid => `0000000${n}-0000-4000-8000-00000000000${n}` as Gfid;
const [DIR, INNER, FILE, OTHER] = [gfid(1), gfid(2), gfid(3), gfid(4)];
const at = (name: string): string => entryPath(ROOT_GFID, name);

async function withPair(seed: number, run: (pair: ModelPair) => Promise<void>): Promise<void> {
  const pair = new ModelPair({ seed });
  try {
    await run(pair);
  } finally {
    pair.dispose();
  }
}

/** A directory with a directory and a file in it, and a file beside it. */
function plant({ primary }: ModelPair): void {
  primary.create(at('dir'), { gfid: DIR, mode: S_IFDIR | 0o755 }, 'MKDIR');
  primary.create(entryPath(DIR, 'inner'), { gfid: INNER, mode: S_IFDIR | 0o750 }, 'MKDIR');
  primary.create(entryPath(INNER, 'file'), { gfid: FILE, mode: S_IFREG | 0o644 }, 'CREATE');
  primary.create(at('other'), { gfid: OTHER, mode: S_IFREG | 0o600 }, 'CREATE');
  primary.write(gfidPath(FILE), 'first');
  primary.write(gfidPath(OTHER), 'first');
}

/** Closes the open changelog and runs a worker. */
async function sync(pair: ModelPair): Promise<void> {
  pair.rollover();
  await pair.run();
}

/** Ends all refusals, and runs workers until the failure list is empty, at most three. */
async function recover(pair: ModelPair): Promise<void> {
  pair.primary.refused.clear();
  for (let runs = 0; runs < 3 && pair.failures.size > 0; runs++) {
    passTime(3_600_000);
    await pair.run();
  }
}

const listed = (pair: ModelPair): string[] =>
  pair.failures.items().map(({ kind, gfid: id, entry, reason }) => `${kind} ${entry ?? id}: ${reason}`);

function expectEqual(pair: ModelPair): void {
  expect([...differences(pair.primary, pair.secondaryVolume), ...listed(pair)]).toEqual([]);
}

useFastTimers();

describe('an inode that the primary cannot look up', { timeout: 600_000 * Math.max(1, FACTOR / 10) }, () => {
  test.each(['EIO', 'ESTALE', 'EACCES', 'ENODATA'] as const)(
    'goes to the failure list when changelogs name it, and is synced when %s is over',
    async (errno) =>
      withPair(1, async (pair) => {
        plant(pair);
        await pair.run();
        const { primary } = pair;
        primary.refused.set(FILE, errno);
        primary.write(gfidPath(FILE), 'second');
        primary.setAttributes(gfidPath(FILE), { mode: 0o400, mtime: 1 });
        primary.rename(entryPath(INNER, 'file'), at('moved'));
        primary.link(gfidPath(FILE), entryPath(DIR, 'linked'));
        primary.setAttributes(gfidPath(INNER), { mode: 0o700 });
        primary.rename(at('other'), entryPath(INNER, 'other'));
        primary.write(gfidPath(OTHER), 'second');
        primary.create(at('new'), { gfid: gfid(5), mode: S_IFREG | 0o644 }, 'CREATE');
        await sync(pair);
        expect(differences(primary, pair.secondaryVolume, (path) => primary.at(path).gfid === FILE)).toEqual([]);
        expect(listed(pair)).toContainEqual(expect.stringMatching(`^data ${FILE}: .*${errno}`));
        await sync(pair);
        expect(pair.secondaryVolume.find(gfidPath(FILE))?.content).toBe('first');
        await recover(pair);
        expectEqual(pair);
      }),
  );

  test('keeps its attributes on the failure list', async () =>
    withPair(2, async (pair) => {
      plant(pair);
      await pair.run();
      pair.primary.refused.set(DIR, 'EIO');
      pair.primary.setAttributes(gfidPath(DIR), { mode: 0o700 });
      pair.primary.setAttributes(gfidPath(INNER), { mode: 0o700 });
      await sync(pair);
      expect(listed(pair)).toContainEqual(expect.stringMatching(`^meta ${DIR}: .*EIO`));
      expect(pair.secondaryVolume.at(gfidPath(INNER)).mode).toBe(S_IFDIR | 0o700);
      await recover(pair);
      expectEqual(pair);
    }));

  test('is not deleted on the secondary, nor is anything below it', async () =>
    withPair(3, async (pair) => {
      plant(pair);
      await pair.run();
      pair.primary.refused.set(DIR, 'EIO');
      pair.primary.rename(at('dir'), at('moved'));
      pair.primary.rename(at('other'), at('dir'));
      await sync(pair);
      await sync(pair);
      expect([DIR, INNER, FILE, OTHER].filter((id) => pair.secondaryVolume.find(gfidPath(id)) === null)).toEqual([]);
      await recover(pair);
      expectEqual(pair);
    }));

  test('is skipped by a walk with everything below it, and synced later', async () =>
    withPair(4, async (pair) => {
      plant(pair);
      pair.primary.create(at('plain'), { gfid: gfid(5), mode: S_IFREG | 0o644 }, 'CREATE');
      pair.primary.refused.set(INNER, 'EIO').set(OTHER, 'ESTALE');
      await pair.run();
      expect(pair.logLines).toContainEqual(
        expect.stringMatching('^skipping entry {"path":"dir/inner","error":".*EIO.*"}$'),
      );
      const skipped = [entryPath(DIR, 'inner'), at('other')];
      expect(differences(pair.primary, pair.secondaryVolume, (path) => skipped.includes(path))).toEqual([]);
      expect(listed(pair)).toContainEqual(expect.stringMatching(/^entry .*inner: .*EIO/));
      expect(listed(pair)).toContainEqual(expect.stringMatching(/^entry .*other: .*ESTALE/));
      await recover(pair);
      expectEqual(pair);
    }));

  test('is sent again with everything below it after a walk skipped it, wherever the retry is killed', async () => {
    for (let killAfter = 0; killAfter <= 80; killAfter += 2) {
      await withPair(5, async (pair) => {
        plant(pair);
        await pair.run();
        pair.primary.write(gfidPath(FILE), 'second');
        pair.primary.setAttributes(gfidPath(INNER), { mode: 0o700 });
        pair.primary.setXattr(gfidPath(FILE), 'value');
        pair.primary.refused.set(DIR, 'EIO');
        // Forces a walk, so that no worker reads a changelog that names the inode.
        pair.brick.stimes.clear();
        pair.rollover();
        passTime(5_000);
        pair.primary.write(gfidPath(OTHER), 'second');
        await sync(pair);
        expect(listed(pair)).toEqual([expect.stringMatching(`^entry ${at('dir')}: .*EIO`)]);
        pair.primary.refused.clear();
        passTime(3_600_000);
        await pair.run({ killAfter });
        await pair.run();
        await recover(pair);
        expectEqual(pair);
      });
    }
  });

  test('is synced by a walk with everything below it when it has no room for a mark (ENOSPC)', async () =>
    withPair(7, async (pair) => {
      plant(pair);
      // Files that are older than the session have no xtime.
      pair.changelog.xtimes.clear();
      for (const id of [DIR, FILE]) pair.primary.full.add(id);
      await pair.run();
      expectEqual(pair);
      expect(pair.changelog.xtimes.has(OTHER)).toBe(true);
      expect(pair.changelog.xtimes.has(FILE)).toBe(false);
      expect(pair.brick.stimes.has(INNER)).toBe(true);
      expect(pair.brick.stimes.has(DIR)).toBe(false);
      expect(pair.logLines).toContainEqual(
        expect.stringMatching('^cannot mark a directory as synced {"path":"dir","error":".*ENOSPC.*"}$'),
      );
    }));

  test('is retried by a worker that only walks (change-detector xsync), though the volume is idle', async () => {
    const pair = new ModelPair({ seed: 7, config: { 'change-detector': 'xsync' } });
    try {
      plant(pair);
      await pair.run();
      pair.primary.refused.set(FILE, 'EIO');
      pair.primary.write(gfidPath(FILE), 'second');
      await sync(pair);
      expect(listed(pair)).not.toEqual([]);
      await recover(pair);
      expectEqual(pair);
    } finally {
      pair.dispose();
    }
  });

  test('ends the worker when the mount is disconnected (ENOTCONN)', async () =>
    withPair(6, async (pair) => {
      plant(pair);
      await pair.run();
      pair.primary.refused.set(FILE, 'ENOTCONN');
      pair.primary.rename(entryPath(INNER, 'file'), at('moved'));
      pair.rollover();
      await expect(pair.run()).rejects.toThrow('ENOTCONN');
      await recover(pair);
      await sync(pair);
      await recover(pair);
      expectEqual(pair);
    }));

  test('never keeps other inodes from being synced, for any changes and refusals', async () => {
    const changes = (maxLength: number): fc.Arbitrary<Change[]> => fc.array(changeArb(), { maxLength, size: 'max' });
    const refusals = fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        fc.nat({ max: 1_000_000 }),
        refusals,
        refusals,
        changes(40),
        changes(40),
        async (seed, first, second, before, after) =>
          withPair(seed, async (pair) => {
            const refuse = (numbers: readonly number[]): void => {
              const inodes = [...pair.primary.inodes.keys()].filter((id) => id !== ROOT_GFID);
              for (const n of numbers)
                if (inodes.length > 0) pair.primary.refused.set(inodes[n % inodes.length] as Gfid, 'EIO');
            };
            pair.change(...before);
            refuse(first);
            await pair.run();
            refuse(second);
            pair.change(...after);
            await sync(pair);
            expect(differences(pair.primary, pair.secondaryVolume, (path) => isExcused(pair, path))).toEqual([]);
            await recover(pair);
            expectEqual(pair);
          }),
      ),
      { numRuns: Math.ceil(100 * FACTOR), seed: SEED },
    );
  });
});

/** Whether the inode at `path` is refused or on the failure list. */
function isExcused(pair: ModelPair, path: string): boolean {
  const here = pair.primary.find(path);
  const there = pair.secondaryVolume.find(path);
  if (isListed(pair.failures, path)) return true;
  return [here, there].some(
    (inode: Inode | null) =>
      inode !== null && (pair.primary.refused.has(inode.gfid) || isListed(pair.failures, GFID_PREFIX + inode.gfid)),
  );
}
