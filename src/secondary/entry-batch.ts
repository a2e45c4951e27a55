// Serves `entry_ops`: independent operations run concurrently, dependent ones in order, and failures are returned in the
// caller's order. Invariant: an error of one operation is a failure of that operation. Only an error that affects every
// operation (a dead mount, a full or read-only volume) ends the call.

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
/** Maximum number of concurrent operations of one call. */
export const DEFAULT_LANES = 8;
/** Number of operations that are planned at once. It bounds memory, and the time for which other calls wait. */
const SLICE = 5_000;

export interface BatchOptions extends EntryContext {
  /** Aborting it ends the batch between two operations. */
  readonly signal: AbortSignal;
}

/** @returns the failures, each `(entry, errno, info)`
 *  @throws Raised if the argument is not a list of operations; errors that affect the whole volume */
export async function applyEntries(options: BatchOptions, list: PyValue | undefined): Promise<PyValue> {
  if (!Array.isArray(list)) throw new Raised(new PyException('TypeError', ['entries: not a list']));
  const dicts = list as readonly PyValue[];
  if (!dicts.every(isPyDict)) throw new Raised(new PyException('TypeError', ['entries: not a list of dicts']));
  const failures: Failure[] = [];
  for (let start = 0; start < dicts.length; start += SLICE) {
    const entries: Entry[] = [];
    for (const [i, dict] of dicts.slice(start, start + SLICE).entries()) {
      // After resolving a conflict, a primary resends the batch and marks the operations to skip.
      if (!isPyDict(dict) || dict['skip_entry'] === true) continue;
      const entry = parseEntryOp(dict, start + i);
      if (entry === null) failures.push(failure(dict, start + i, EINVAL));
      else entries.push(entry);
    }
    for (const { lanes } of planWaves(entries, options.volume.lanes ?? DEFAULT_LANES)) {
      // Wait for all lanes before an error is thrown: no operation may still run when the call is answered.
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

/** Starts the lookup of the next inode while the current one is created. The two round trips overlap, but the directory
 *  still gets one change at a time. Creating one inode does not affect the lookup of another. */
function lookAhead(volume: SecondaryVolume, current: Entry, next: Entry | undefined): Promise<VolumeStat | null> | undefined {
  if (next === undefined || next.gfid === current.gfid || !MAKES.has(current.op) || !MAKES.has(next.op)) return undefined;
  const found = statOrNull(volume, next.inode);
  // Not an unhandled rejection: the next operation reports it, unless the lane ends before.
  found.catch(() => undefined);
  return found;
}
