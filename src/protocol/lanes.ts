// Orders entry operations for a peer that serves several calls at a time: independent operations go into concurrent lanes,
// dependent ones keep their order. Pure.
// Invariant: if two operations share a gfid or a name, and at least one changes it, the earlier one keeps its precedence. It
// is in an earlier wave, or before the later one in the same lane. So is a LINK before a RENAME: the rename's new name may be
// the one that the linked inode had until then.

import { splitEntryPath, type Gfid } from './gfid.js';
import type { EntryOp } from './secondary.js';

const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;

/** Waves run one after the other, the lanes of a wave concurrently, the operations of a lane in order. */
export interface Wave {
  readonly lanes: readonly (readonly EntryOp[])[];
}

interface Touch {
  readonly wave: number;
  /** The only lane of `wave` that touched it, or -1 for several. */
  readonly lane: number;
}

/** @param laneCount maximum of concurrent calls, at least 1 */
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

/** A directory's move changes the paths of everything below it, which no key expresses. So no operation may overtake it. */
function isBarrier(op: EntryOp): boolean {
  if (op.op !== 'RENAME') return false;
  return op.stat === undefined || op.stat === null || (op.stat.mode & S_IFMT) === S_IFDIR;
}

function after(last: Touch | undefined, lane: number, op: EntryOp): number {
  if (last === undefined) return 0;
  // A directory must be removed after the operations on its children, never in the same wave.
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

/** The parent directory selects the lane: concurrent creates in one directory are slower than sequential ones. */
function laneOf(parent: Gfid, laneCount: number): number {
  return Number.parseInt(parent.slice(-6), 16) % laneCount;
}
