// Orders entry operations of a call: independent operations go into concurrent lanes,
// dependent ones keep their order. Pure.
// Invariant: if two operations share a gfid or a name, and at least one changes it, the earlier one keeps its precedence. It
// is in an earlier wave, or before the later one in the same lane. So is a LINK before a RENAME: the rename's new name may be
// the one that the linked inode had until then.

import { ROOT_GFID, splitEntryPath, type Gfid } from './gfid.js';
import type { EntryOp } from './secondary.js';
import { fileKind } from './view.js';

/** Waves run one after the other, the lanes of a wave concurrently, the operations of a lane in order. */
export interface Wave {
  readonly lanes: readonly (readonly EntryOp[])[];
}

interface LastUse {
  readonly wave: number;
  /** The only lane of `wave` that touched it, or -1 for several. */
  readonly lane: number;
}

/** @param laneCount maximum number of concurrent operations, at least 1 */
export function planWaves(ops: readonly EntryOp[], laneCount: number): Wave[] {
  const waves: EntryOp[][][] = [];
  const lastWrites = new Map<string, LastUse>();
  const lastReads = new Map<string, LastUse>();
  let lastLink: LastUse | undefined;
  let firstOpenWave = 0; // a barrier raises it
  let lastWave = -1;

  for (const op of ops) {
    const { parent } = splitEntryPath(op.entry);
    const lane = laneOf(parent, laneCount);
    const readKeys: string[] = [parent];
    // Nothing changes the root: an operation on it is a probe (primary/reconcile/secondary-probe.ts).
    const writeKeys: string[] = op.gfid === ROOT_GFID ? [op.entry] : [op.gfid, op.entry];
    if (op.entry1 !== undefined) {
      writeKeys.push(op.entry1);
      readKeys.push(splitEntryPath(op.entry1).parent);
    }
    const isBarrier = mayMoveDirectory(op);
    let wave = isBarrier ? lastWave + 1 : firstOpenWave;
    for (const key of writeKeys) {
      wave = Math.max(wave, earliestWave(lastWrites.get(key), lane, op), earliestWave(lastReads.get(key), lane, op));
    }
    for (const key of readKeys) wave = Math.max(wave, earliestWave(lastWrites.get(key), lane, op));
    if (op.op === 'RENAME') wave = Math.max(wave, earliestWave(lastLink, lane, op));

    const lanes = (waves[wave] ??= Array.from({ length: laneCount }, () => []));
    lanes[lane]?.push(op);
    for (const key of writeKeys) recordUse(lastWrites, key, wave, lane);
    for (const key of readKeys) recordUse(lastReads, key, wave, lane);
    if (op.op === 'LINK') lastLink = latestUse(lastLink, wave, lane);
    lastWave = Math.max(lastWave, wave);
    if (isBarrier) firstOpenWave = wave + 1;
  }
  return waves.map((lanes) => ({ lanes: lanes.filter((list) => list.length > 0) }));
}

/** Whether an operation moves a directory, or a gfid of unknown type. A directory's move changes the paths of everything
 *  below it, which no key expresses. So no operation may overtake it. */
export function mayMoveDirectory({ op, stat }: EntryOp): boolean {
  return op === 'RENAME' && (stat === undefined || stat === null || fileKind(stat.mode) === 'dir');
}

function earliestWave(last: LastUse | undefined, lane: number, op: EntryOp): number {
  if (last === undefined) return 0;
  // A directory must be removed after the operations on its children, never in the same wave.
  return last.lane === lane && op.op !== 'RMDIR' ? last.wave : last.wave + 1;
}

function recordUse(map: Map<string, LastUse>, key: string, wave: number, lane: number): void {
  map.set(key, latestUse(map.get(key), wave, lane));
}

function latestUse(before: LastUse | undefined, wave: number, lane: number): LastUse {
  if (before === undefined || before.wave < wave) return { wave, lane };
  if (before.wave === wave && before.lane !== lane) return { wave, lane: -1 };
  return before;
}

/** The parent directory selects the lane: concurrent creates in one directory are slower than sequential ones. */
function laneOf(parent: Gfid, laneCount: number): number {
  return Number.parseInt(parent.slice(-6), 16) % laneCount;
}
