// A call of `entry_ops`: its operations side by side where they are independent, in their order where they are not, their
// failures in the caller's order. Invariant: one operation's trouble is its own failure; only what would hit every operation
// (a dead mount, a full or read-only volume) ends the call.

import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorLine } from '../errors.js';
import { errnoNumber } from '../native/libc.js';
import { oneLine } from '../rpc/errors.js';
import { PyException, isPyDict, type PyValue } from '../rpc/pickle-values.js';
import { Raised } from '../rpc/raised.js';
import { failure, parseEntryOp, type Entry, type Failure } from './entry.js';
import { applyEntry, type EntryContext } from './entry-ops.js';
import { planWaves } from '../protocol/lanes.js';
import { statOrNull } from './lookup.js';
import type { EntryOpName } from '../protocol/secondary.js';
import { throwIfStopping } from './stopping.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EINVAL, ECONNABORTED, ENOSPC, ENOTCONN, EROFS } = constants.errno;
const VOLUME_WIDE: ReadonlySet<number> = new Set([ENOTCONN, ECONNABORTED, ENOSPC, EROFS]);
const MAKES: ReadonlySet<EntryOpName> = new Set<EntryOpName>(['CREATE', 'MKNOD', 'MKDIR', 'LINK']);
/** Operations of one call under way at once. */
export const DEFAULT_LANES = 8;
/** Waves are planned for so many operations at a time: memory, and other calls' answers, do not wait for more. */
const SLICE = 5_000;

export interface BatchOptions extends EntryContext {
  /** Ends the batch between two operations. */
  readonly signal: AbortSignal;
}

/** @returns the failures, `(entry, errno, info)` each. @throws Raised when it is no list of operations; volume-wide errors */
export async function applyEntries(options: BatchOptions, list: PyValue | undefined): Promise<PyValue> {
  if (!Array.isArray(list)) throw new Raised(new PyException('TypeError', ['entries: not a list']));
  const dicts = list as readonly PyValue[];
  if (!dicts.every(isPyDict)) throw new Raised(new PyException('TypeError', ['entries: not a list of dicts']));
  const failures: Failure[] = [];
  for (let start = 0; start < dicts.length; start += SLICE) {
    const entries: Entry[] = [];
    for (const [i, dict] of dicts.slice(start, start + SLICE).entries()) {
      // A primary that resolved a conflict sends the batch again and marks what is not to be done.
      if (!isPyDict(dict) || dict['skip_entry'] === true) continue;
      const entry = parseEntryOp(dict, start + i);
      if (entry === null) failures.push(failure(dict, start + i, EINVAL));
      else entries.push(entry);
    }
    for (const { lanes } of planWaves(entries, options.volume.lanes ?? DEFAULT_LANES)) {
      // Each lane ends before an error does: no operation may still be under way when the call is answered.
      const ends = await Promise.allSettled(lanes.map((lane) => runLane(options, lane as readonly Entry[], failures)));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    }
    await nextTurn();
  }
  return failures.sort((a, b) => a.index - b.index).map(({ value }) => value);
}

async function runLane(options: BatchOptions, lane: readonly Entry[], failures: Failure[]): Promise<void> {
  let ahead: Promise<VolumeStat | null> | undefined;
  for (const [i, entry] of lane.entries()) {
    throwIfStopping(options.signal);
    const known = ahead;
    ahead = lookAhead(options.volume, entry, lane[i + 1]);
    try {
      failures.push(...(await applyEntry(options, entry, known)));
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno !== undefined && VOLUME_WIDE.has(errno)) throw error;
      options.log.warn('entry operation failed', { op: entry.op, gfid: entry.gfid, entry: entry.entry, error: oneLine(errorLine(error)) });
      failures.push(failure(entry.dict, entry.index, errno ?? EINVAL));
    }
  }
}

/** While one inode is made, the next one can be looked for: two round trips side by side, and the directory sees one
 *  change at a time. Nothing that makes one inode has an effect on another. */
function lookAhead(volume: SecondaryVolume, current: Entry, next: Entry | undefined): Promise<VolumeStat | null> | undefined {
  if (next === undefined || next.gfid === current.gfid || !MAKES.has(current.op) || !MAKES.has(next.op)) return undefined;
  const found = statOrNull(volume, next.inode);
  // The operation that it is for may never come, and else it reports this.
  found.catch(() => undefined);
  return found;
}
