// Waves and lanes against an oracle. For any order of the lanes of a wave, an operation must follow those that it depends
// on, and a model volume must end with the tree of sequential execution.

import { describe, expect, test } from 'vitest';
import { entryPath, ROOT_GFID, splitEntryPath, type Gfid } from '../../src/protocol/gfid.js';
import { planWaves, type Wave } from '../../src/protocol/lanes.js';
import { S_IFDIR, S_IFREG } from '../../src/protocol/view.js';
import type { EntryOp } from '../../src/protocol/secondary.js';
import { Random } from '../gluster/lab/random.js';
import { StockSecondary } from '../primary/model/stock-secondary.js';
import { listing } from '../primary/model/tree.js';
import { ModelVolume } from '../primary/model/volume.js';
import { histories } from '../secondary/histories.js';
import { fc } from '../seeds.js';

const RUNS = { numRuns: 150, seed: 20_260 };
function isDirMove(op: EntryOp): boolean {
  return op.op === 'RENAME' && (op.stat === null || op.stat === undefined || (op.stat.mode & S_IFDIR) === S_IFDIR);
}

/** Whether `later` may not overtake `earlier`. */
function depends(earlier: EntryOp, later: EntryOp): boolean {
  if (isDirMove(earlier) || isDirMove(later)) return true;
  // The rename may replace the former name of the link's inode.
  if (earlier.op === 'LINK' && later.op === 'RENAME') return true;
  const names = (op: EntryOp): string[] => (op.entry1 === undefined ? [op.entry] : [op.entry, op.entry1]);
  const parents = (op: EntryOp): Gfid[] => names(op).map((name) => splitEntryPath(name).parent);
  if (earlier.gfid === later.gfid) return true;
  if (names(earlier).some((name) => names(later).includes(name))) return true;
  return parents(later).includes(earlier.gfid) || parents(earlier).includes(later.gfid);
}

/** A random valid execution order of the waves. */
function interleaved(waves: readonly Wave[], random: Random): EntryOp[] {
  const out: EntryOp[] = [];
  for (const { lanes } of waves) {
    const rest = lanes.map((lane) => [...lane]);
    for (;;) {
      const open = rest.filter((lane) => lane.length > 0);
      if (open.length === 0) break;
      const next = random.pick(open).shift();
      if (next !== undefined) out.push(next);
    }
  }
  return out;
}

async function treeOf(ops: readonly EntryOp[]): Promise<Map<string, string>> {
  const volume = new ModelVolume(() => 1);
  const secondary = new StockSecondary(volume, { distCount: 1, turn: () => Promise.resolve() });
  for (const op of ops) await secondary.entryOps([op]).catch(() => undefined);
  return new Map([...listing(volume)].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const laneCounts = fc.integer({ min: 1, max: 5 });

describe('planWaves()', () => {
  test('keeps every operation exactly once', () => {
    fc.assert(
      fc.property(histories, laneCounts, (ops, laneCount) => {
        const planned = planWaves(ops, laneCount).flatMap(({ lanes }) => lanes.flat());
        expect(planned).toHaveLength(ops.length);
        expect(new Set(planned)).toEqual(new Set(ops));
      }),
      RUNS,
    );
  });

  test('puts dependent operations into a later wave or later in the same lane', () => {
    fc.assert(
      fc.property(histories, laneCounts, (ops, laneCount) => {
        const place = new Map<EntryOp, { wave: number; lane: number; index: number }>();
        planWaves(ops, laneCount).forEach(({ lanes }, wave) => {
          lanes.forEach((list, lane) => list.forEach((op, index) => place.set(op, { wave, lane, index })));
        });
        ops.forEach((later, j) => {
          for (const earlier of ops.slice(0, j)) {
            if (!depends(earlier, later)) continue;
            const [a, b] = [place.get(earlier)!, place.get(later)!];
            const inOrder = a.wave < b.wave || (a.wave === b.wave && a.lane === b.lane && a.index < b.index);
            expect(inOrder, `${JSON.stringify(earlier)} before ${JSON.stringify(later)}`).toBe(true);
          }
        });
      }),
      RUNS,
    );
  });

  test('produces the tree of sequential execution, for any interleaving of the lanes', async () => {
    await fc.assert(
      fc.asyncProperty(histories, laneCounts, fc.nat(), async (ops, laneCount, seed) => {
        const order = interleaved(planWaves(ops, laneCount), new Random(seed));
        expect(await treeOf(order)).toEqual(await treeOf(ops));
      }),
      RUNS,
    );
  });

  test('removes a directory in a later wave than operations inside it, so that their failures are known before', () => {
    fc.assert(
      fc.property(histories, laneCounts, (ops, laneCount) => {
        const wave = new Map<EntryOp, number>();
        planWaves(ops, laneCount).forEach(({ lanes }, n) => lanes.flat().forEach((op) => wave.set(op, n)));
        for (const [j, removal] of ops.entries()) {
          if (removal.op !== 'RMDIR') continue;
          for (const inside of ops.slice(0, j)) {
            const touched = inside.entry1 === undefined ? [inside.entry] : [inside.entry, inside.entry1];
            if (touched.every((name) => splitEntryPath(name).parent !== removal.gfid)) continue;
            expect(wave.get(inside)!, JSON.stringify([inside, removal])).toBeLessThan(wave.get(removal)!);
          }
        }
      }),
      RUNS,
    );
  });

  test('keeps the order of a link and a rename that may replace the old name of the linked inode', () => {
    const [root, dir] = ['00000000-0000-0000-0000-000000000001', '00000000-0000-4000-8000-000000000002'] as Gfid[];
    const gfid = (n: number): Gfid => `00000000-0000-4000-8000-00000000010${n}` as Gfid;
    const stat = { uid: 0, gid: 0, mode: S_IFREG, atime: 0, mtime: 0 };
    const old: EntryOp = { op: 'RMDIR', gfid: gfid(0), entry: entryPath(root!, 'new') };
    const link: EntryOp = { op: 'LINK', gfid: gfid(1), entry: entryPath(root!, 'new'), stat, link: null };
    const over: EntryOp = {
      op: 'RENAME',
      gfid: gfid(2),
      entry: entryPath(dir!, 'x'),
      entry1: entryPath(dir!, 'y'),
      stat,
      link: null,
    };
    expect(planWaves([old, link, over], 3).flatMap(({ lanes }) => lanes.flat())).toEqual([old, link, over]);
  });

  test('puts probes of names, which have the gfid of the root, into one wave', () => {
    const probes = Array.from({ length: 16 }, (_, i) => {
      const parent = `00000000-0000-4000-8000-0000000000${i.toString(16).padStart(2, '0')}` as Gfid;
      return { op: 'UNLINK', gfid: ROOT_GFID, entry: entryPath(parent, 'name') } as const;
    });
    const waves = planWaves(probes, 8);
    expect(waves.map(({ lanes }) => lanes.map((lane) => lane.length))).toEqual([Array(8).fill(2)]);
  });

  test('puts files of different directories into one wave', () => {
    const parents = [1, 2, 3].map((n) => `00000000-0000-4000-8000-00000000000${n}` as Gfid);
    const ops = parents.map((parent, i): EntryOp => ({
      op: 'CREATE',
      gfid: `00000000-0000-4000-8000-00000000010${i}` as Gfid,
      entry: entryPath(parent, 'f'),
      mode: S_IFREG,
      uid: 0,
      gid: 0,
    }));
    expect(planWaves(ops, 3)).toEqual([{ lanes: expect.arrayContaining(ops.map((op) => [op])) as EntryOp[][] }]);
  });
});
