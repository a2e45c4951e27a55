// Orders entry operations for a peer that works on several calls at a time: independent operations go side by
// side in lanes, dependent ones in their order. Pure; entry-sync.ts runs the result.
// Invariant: of two operations that share a gfid or a name, with at least one of them changing it, the earlier
// one is in an earlier wave, or in the same lane of the same wave and before the later one; so is a LINK before a
// RENAME, whose new name may be the one that the linked inode had until then.

import { splitEntryPath, type Gfid } from './gfid.js';
import type { EntryOp } from './secondary.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** Waves run one after the other, the lanes of a wave side by side, a lane's operations in order. */
export interface Wave {
  readonly lanes: readonly (readonly EntryOp[])[];
}

interface Touch {
  readonly wave: number;
  /** The only lane of `wave` that touched it, or -1 for several. */
  readonly lane: number;
}

/** @param laneCount calls that may be under way at once, at least 1 */
export function planWaves(ops: readonly EntryOp[], laneCount: number): Wave[] {
  const waves: EntryOp[][][] = [];
  const writes = new Map<string, Touch>();
  const reads = new Map<string, Touch>();
  let links: Touch | undefined;
  let floor = 0; // the earliest wave still open: a barrier raises it
  let top = -1;

  for (const op of ops) {
    const { parent } = splitEntryPath(op.entry);
    const lane = laneOf(parent, laneCount);
    const readKeys: string[] = [parent];
    const writeKeys: string[] = [op.gfid, op.entry];
    if (op.entry1 !== undefined) {
      writeKeys.push(op.entry1);
      readKeys.push(splitEntryPath(op.entry1).parent);
    }
    const barrier = isBarrier(op);
    let wave = barrier ? top + 1 : floor;
    for (const key of writeKeys) {
      wave = Math.max(wave, after(writes.get(key), lane, op), after(reads.get(key), lane, op));
    }
    for (const key of readKeys) wave = Math.max(wave, after(writes.get(key), lane, op));
    if (op.op === 'RENAME') wave = Math.max(wave, after(links, lane, op));

    const lanes = (waves[wave] ??= Array.from({ length: laneCount }, () => []));
    lanes[lane]?.push(op);
    for (const key of writeKeys) touch(writes, key, wave, lane);
    for (const key of readKeys) touch(reads, key, wave, lane);
    if (op.op === 'LINK') links = touched(links, wave, lane);
    top = Math.max(top, wave);
    if (barrier) floor = wave + 1;
  }
  return waves.map((lanes) => ({ lanes: lanes.filter((list) => list.length > 0) }));
}

/** Moving a directory changes what lies under what, and that is in no key: nothing may overtake it. */
function isBarrier(op: EntryOp): boolean {
  if (op.op !== 'RENAME') return false;
  return op.stat === undefined || op.stat === null || (op.stat.mode & S_IFMT) === S_IFDIR;
}

function after(last: Touch | undefined, lane: number, op: EntryOp): number {
  if (last === undefined) return 0;
  // A removed directory must find its children handled: never in the wave of an operation on it.
  return last.lane === lane && op.op !== 'RMDIR' ? last.wave : last.wave + 1;
}

function touch(map: Map<string, Touch>, key: string, wave: number, lane: number): void {
  map.set(key, touched(map.get(key), wave, lane));
}

function touched(before: Touch | undefined, wave: number, lane: number): Touch {
  if (before === undefined || before.wave < wave) return { wave, lane };
  if (before.wave === wave && before.lane !== lane) return { wave, lane: -1 };
  return before;
}

/** Lanes go by parent directory: creating side by side in one directory is slower than in turn. */
function laneOf(parent: Gfid, laneCount: number): number {
  return Number.parseInt(parent.slice(-6), 16) % laneCount;
}
