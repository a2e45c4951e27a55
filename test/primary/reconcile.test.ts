// Conflict resolution alone: for any two trees over the same inodes, the secondary's becomes equal to the primary's, also
// after crashes. Meanwhile the secondary loses no inode that the primary has.

import { describe, expect, test } from 'vitest';
import { entryPath, gfidPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { EntrySync } from '../../src/primary/reconcile/entry-sync.js';
import { Reconciler } from '../../src/primary/reconcile/reconcile.js';
import type { ReconcileDeps, ReconcileResult } from '../../src/primary/reconcile/reconcile-types.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../src/protocol/view.js';
import { BYTE_NAMES, UTF8_NAMES } from './model/changes.js';
import { ChangelogWriter } from './model/changelog.js';
import { ModelBrick, ModelMount } from './model/primary-side.js';
import { StockSecondary } from './model/stock-secondary.js';
import { FsError, ModelVolume } from './model/volume.js';
import { fc, seedFrom } from '../seeds.js';

const SEED = seedFrom('MODEL_SEED');
const RUNS = { numRuns: Math.ceil(300 * Number(process.env['MODEL_RUNS'] ?? 1)), seed: SEED };
const POOL = 12;
const MODES = [S_IFDIR | 0o755, S_IFREG | 0o644, S_IFDIR | 0o700, S_IFLNK | 0o777, 0o010600] as const;

interface Placement {
  readonly which: number;
  readonly at: number;
  readonly name: string;
}

function poolGfid(n: number): Gfid {
  return `000000${n.toString(16).padStart(2, '0')}-0000-4000-8000-0000000000${n.toString(16).padStart(2, '0')}` as Gfid;
}

function placements(names: readonly string[]): fc.Arbitrary<Placement[]> {
  const placement = fc.record({
    which: fc.integer({ min: 2, max: POOL }),
    at: fc.nat({ max: POOL }),
    name: fc.constantFrom(...names),
  });
  return fc.array(placement, { maxLength: 30, size: 'max' });
}

/** Builds a tree: each placement creates an inode of the pool, moves a directory, or gives a file one more name. */
function place(volume: ModelVolume, list: readonly Placement[]): void {
  for (const { which, at, name } of list) {
    const gfid = poolGfid(which);
    const dir = (volume.inodes.get(poolGfid(at))?.entries ?? null) === null ? ROOT_GFID : poolGfid(at);
    const path = entryPath(dir, name);
    const existing = volume.inodes.get(gfid);
    try {
      if (existing === undefined)
        volume.create(path, { gfid, mode: MODES[which % MODES.length] ?? S_IFREG, target: 'target' }, 'MKNOD');
      else if (existing.entries === null) volume.link(gfidPath(gfid), path);
      else volume.rename([...existing.names][0] ?? path, path);
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
    }
  }
}

/** Entry paths and the gfids that they hold. */
function names(volume: ModelVolume): Map<string, Gfid> {
  const out = new Map<string, Gfid>();
  for (const inode of volume.inodes.values()) for (const path of inode.names) out.set(path, inode.gfid);
  return out;
}

class Sides {
  readonly primary = new ModelVolume(() => 1);
  readonly secondary = new ModelVolume(() => 2);
  /** Called before each step of the secondary. */
  beforeStep: () => void = () => undefined;

  constructor(here: readonly Placement[], there: readonly Placement[]) {
    place(this.primary, here);
    place(this.secondary, there);
  }

  reconciler(removable: ReconcileDeps['removable'] = 'all'): Reconciler {
    const calm = (): Promise<void> => Promise.resolve();
    const changelog = new ChangelogWriter(this.primary, () => [1, 0]);
    const turn = async (): Promise<void> => {
      await Promise.resolve();
      this.beforeStep();
    };
    const secondary = new StockSecondary(this.secondary, { distCount: 1, turn });
    const brick = new ModelBrick(this.primary, changelog, calm);
    const view = new ModelMount(this.primary, changelog, calm);
    return new Reconciler({
      view,
      brick,
      secondary,
      sync: new EntrySync(secondary),
      deletes: 'apply',
      removable,
      peerNames: 'utf8',
      recordFollowUp: () => Promise.resolve(),
    });
  }

  /** Reconciles all names that differ, including temporary names. */
  async mend(removable: ReconcileDeps['removable'] = 'all'): Promise<ReconcileResult> {
    const reconciler = this.reconciler(removable);
    const [here, there] = [names(this.primary), names(this.secondary)];
    const differing = [...new Set([...here.keys(), ...there.keys()])].filter(
      (path) => here.get(path) !== there.get(path),
    );
    return reconciler.run(differing);
  }
}

class Crash extends Error {}

describe('Reconciler', () => {
  test('makes the names of any two trees equal', async () => {
    await fc.assert(
      fc.asyncProperty(placements(UTF8_NAMES), placements(UTF8_NAMES), async (here, there) => {
        const sides = new Sides(here, there);
        const { unresolved } = await sides.mend();
        expect([...unresolved]).toEqual([]);
        expect(names(sides.secondary)).toEqual(names(sides.primary));
      }),
      RUNS,
    );
  });

  // A killed worker or a failure list knows only some of the differing names, and others may be in their way.
  test('makes a subset of the differing names equal, whatever else differs', async () => {
    await fc.assert(
      fc.asyncProperty(
        placements(UTF8_NAMES),
        placements(UTF8_NAMES),
        fc.infiniteStream(fc.boolean()),
        async (here, there, picks) => {
          const sides = new Sides(here, there);
          const [wanted, found] = [names(sides.primary), names(sides.secondary)];
          const some = [...new Set([...wanted.keys(), ...found.keys()])].filter(
            (path) => wanted.get(path) !== found.get(path) && picks.next().value === true,
          );
          const { unresolved } = await sides.reconciler().run(some);
          expect([...unresolved]).toEqual([]);
          const now = names(sides.secondary);
          expect(some.map((path) => [path, now.get(path)])).toEqual(some.map((path) => [path, wanted.get(path)]));
        },
      ),
      RUNS,
    );
  });

  test('reports a refused link as unresolved, with LINK and its errno', async () => {
    const file = poolGfid(6);
    const sides = new Sides(
      [
        { which: 6, at: 0, name: 'a' },
        { which: 6, at: 0, name: 'b' },
      ],
      [{ which: 6, at: 0, name: 'a' }],
    );
    sides.secondary.link = (path) => {
      throw new FsError('EMLINK', path);
    };
    const { unresolved } = await sides.reconciler().run([entryPath(ROOT_GFID, 'b')]);
    expect(unresolved.get(entryPath(ROOT_GFID, 'b'))).toMatchObject({
      gfid: file,
      reason: expect.stringMatching(/^LINK: .*EMLINK/) as string,
    });
  });

  test('inverts two nested directories when it is given only one of their names', async () => {
    const [a, b] = [poolGfid(5), poolGfid(10)];
    const sides = new Sides(
      [
        { which: 10, at: 0, name: 'b' },
        { which: 5, at: 10, name: 'a' },
      ],
      [
        { which: 5, at: 0, name: `.gsyncd-ts-parked-${a}` },
        { which: 10, at: 5, name: 'b' },
      ],
    );
    const { unresolved } = await sides.reconciler().run([entryPath(b, 'a')]);
    expect([...unresolved]).toEqual([]);
    expect(names(sides.secondary)).toEqual(names(sides.primary));
  });

  test('returns created files in dataGfids and other created inodes in metaGfids', async () => {
    await fc.assert(
      fc.asyncProperty(placements(UTF8_NAMES), placements(UTF8_NAMES), async (here, there) => {
        const sides = new Sides(here, there);
        const before = new Set(sides.secondary.inodes.keys());
        const { dataGfids, metaGfids } = await sides.mend();
        for (const [gfid, { mode }] of sides.primary.inodes) {
          if (before.has(gfid) || (mode & S_IFLNK) === S_IFLNK) continue;
          expect((mode & S_IFREG) === S_IFREG ? dataGfids.has(gfid) : metaGfids.has(gfid), gfid).toBe(true);
        }
      }),
      RUNS,
    );
  });

  test('never removes an inode from the secondary that the primary has', async () => {
    await fc.assert(
      fc.asyncProperty(placements(UTF8_NAMES), placements(UTF8_NAMES), async (here, there) => {
        const sides = new Sides(here, there);
        const kept = [...sides.secondary.inodes.keys()].filter((gfid) => sides.primary.inodes.has(gfid));
        sides.beforeStep = () => {
          for (const gfid of kept) expect(sides.secondary.inodes.has(gfid), gfid).toBe(true);
        };
        await sides.mend();
        sides.beforeStep();
      }),
      RUNS,
    );
  });

  test('with nothing removable, keeps inodes unknown to the primary, places the others or reports them unresolved', async () => {
    await fc.assert(
      fc.asyncProperty(placements(UTF8_NAMES), placements(UTF8_NAMES), async (here, there) => {
        const sides = new Sides(here, there);
        const strange = [...names(sides.secondary)].filter(([, gfid]) => !sides.primary.inodes.has(gfid));
        const { unresolved } = await sides.mend({ gfids: new Map(), renameTargets: new Map() });
        const after = names(sides.secondary);
        for (const [path, gfid] of strange) expect(after.get(path)).toBe(gfid);
        for (const [path, gfid] of names(sides.primary))
          if (!unresolved.has(path)) expect(after.get(path), path).toBe(gfid);
        if (strange.length === 0) expect([...unresolved]).toEqual([]);
      }),
      RUNS,
    );
  });

  test('with removable gfids, removes inodes that are known to come from the primary', async () => {
    await fc.assert(
      fc.asyncProperty(placements(UTF8_NAMES), placements(UTF8_NAMES), async (here, there) => {
        const sides = new Sides(here, there);
        const { unresolved } = await sides.mend({ gfids: sides.secondary.inodes, renameTargets: new Map() });
        expect([...unresolved]).toEqual([]);
        expect(names(sides.secondary)).toEqual(names(sides.primary));
      }),
      RUNS,
    );
  });

  test('completes after runs that crashed at any step', async () => {
    await fc.assert(
      fc.asyncProperty(
        placements(UTF8_NAMES),
        placements(UTF8_NAMES),
        fc.array(fc.nat({ max: 120 }), { maxLength: 3 }),
        async (here, there, crashes) => {
          const sides = new Sides(here, there);
          for (const crash of crashes) {
            let steps = 0;
            sides.beforeStep = () => {
              if (steps++ >= crash) throw new Crash('crashed');
            };
            await sides.mend().catch((error: unknown) => {
              if (!(error instanceof Crash)) throw error;
            });
          }
          sides.beforeStep = () => undefined;
          const { unresolved } = await sides.mend();
          expect([...unresolved]).toEqual([]);
          expect(names(sides.secondary)).toEqual(names(sides.primary));
        },
      ),
      RUNS,
    );
  });

  test('makes names equal that are not UTF-8', async () => {
    await fc.assert(
      fc.asyncProperty(placements(BYTE_NAMES), placements(BYTE_NAMES), async (here, there) => {
        const sides = new Sides(here, there);
        const { unresolved } = await sides.mend();
        expect([...unresolved]).toEqual([]);
        expect(names(sides.secondary)).toEqual(names(sides.primary));
      }),
      RUNS,
    );
  });
});
