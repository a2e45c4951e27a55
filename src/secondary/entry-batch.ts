// Serves `entry_ops`: independent operations run concurrently, dependent ones in order, and failures are returned in the
// caller's order. Invariant: an error of one operation is a failure of that operation. Only an error that affects every
// operation (a dead mount, a full or read-only volume) ends the call.

import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errorLine } from '../errors.js';
import { errnoNumber } from '../native/libc.js';
import { oneLine } from '../rpc/errors.js';
import { isPyDict, type PyValue } from '../rpc/pickle-values.js';
import { RaisedException } from '../rpc/raised-exception.js';
import { makeFailure, parseEntryOp, type ParsedEntryOp, type IndexedFailure } from './entry.js';
import { applyEntryOp, type EntryContext } from './entry-ops.js';
import { planWaves } from '../protocol/lanes.js';
import { statOrNull } from './lookup.js';
import type { EntryOpName } from '../protocol/secondary.js';
import { throwIfStopping } from './stopping.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EINVAL, ECONNABORTED, ENOSPC, ENOTCONN, EROFS } = constants.errno;
/** Errnos that affect every operation: a dead mount, a full or read-only volume. */
export const VOLUME_WIDE_ERRNOS: ReadonlySet<number> = new Set([ENOTCONN, ECONNABORTED, ENOSPC, EROFS]);
const CREATING_OPS: ReadonlySet<EntryOpName> = new Set<EntryOpName>(['CREATE', 'MKNOD', 'MKDIR', 'LINK']);
/** Maximum number of concurrent operations of one call. */
export const DEFAULT_LANES = 8;
/** Number of operations that are planned at once. It bounds memory, and the time for which other calls wait. */
const MAX_PLANNED_OPS = 5_000;

export interface BatchOptions extends EntryContext {
  /** Aborting it ends the batch between two operations. */
  readonly signal: AbortSignal;
}

/** @returns the failures, each `(entry, errno, info)`
 *  @throws RaisedException if the argument is not a list of operations; errors that affect the whole volume */
export async function applyEntries(
  options: BatchOptions,
  list: PyValue | undefined,
  concurrency = options.volume.lanes ?? DEFAULT_LANES,
): Promise<PyValue> {
  if (!Array.isArray(list)) throw new RaisedException('TypeError', ['entries: not a list']);
  const dicts = list as readonly PyValue[];
  if (!dicts.every(isPyDict)) throw new RaisedException('TypeError', ['entries: not a list of dicts']);
  const failures: IndexedFailure[] = [];
  for (let start = 0; start < dicts.length; start += MAX_PLANNED_OPS) {
    const entries: ParsedEntryOp[] = [];
    for (const [i, dict] of dicts.slice(start, start + MAX_PLANNED_OPS).entries()) {
      // After resolving a conflict, a primary resends the batch and marks the operations to skip.
      if (!isPyDict(dict) || dict['skip_entry'] === true) continue;
      const entry = parseEntryOp(dict, start + i);
      if (entry === null) failures.push(makeFailure(dict, start + i, EINVAL));
      else entries.push(entry);
    }
    for (const { lanes } of planWaves(entries, concurrency)) {
      // Wait for all lanes before an error is thrown: no operation may still run when the call is answered.
      const results = await Promise.allSettled(
        lanes.map((lane) => runLane(options, lane as readonly ParsedEntryOp[], failures)),
      );
      for (const result of results) if (result.status === 'rejected') throw result.reason;
    }
    await nextTurn();
  }
  return failures.sort((a, b) => a.index - b.index).map(({ value }) => value);
}

async function runLane(
  options: BatchOptions,
  lane: readonly ParsedEntryOp[],
  failures: IndexedFailure[],
): Promise<void> {
  let nextLookup: Promise<VolumeStat | null> | undefined;
  for (const [i, entry] of lane.entries()) {
    throwIfStopping(options.signal);
    const lookup = nextLookup;
    nextLookup = startNextLookup(options.volume, entry, lane[i + 1]);
    try {
      failures.push(...(await applyEntryOp(options, entry, lookup)));
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno !== undefined && VOLUME_WIDE_ERRNOS.has(errno)) throw error;
      options.log.warn('entry operation failed', {
        op: entry.op,
        gfid: entry.gfid,
        entry: entry.entry,
        error: oneLine(errorLine(error)),
      });
      failures.push(makeFailure(entry.dict, entry.index, errno ?? EINVAL));
    }
  }
}

/** Starts the lookup of the next inode while the current one is created. The two round trips overlap, but the directory
 *  still gets one change at a time. Creating one inode does not affect the lookup of another. */
function startNextLookup(
  volume: SecondaryVolume,
  current: ParsedEntryOp,
  next: ParsedEntryOp | undefined,
): Promise<VolumeStat | null> | undefined {
  if (next === undefined || next.gfid === current.gfid || !CREATING_OPS.has(current.op) || !CREATING_OPS.has(next.op))
    return undefined;
  const lookup = statOrNull(volume, next.inode);
  // Not an unhandled rejection: the next operation reports it, unless the lane ends before.
  lookup.catch(() => undefined);
  return lookup;
}
