// The engine slot: how file data travels from the primary's mount to the secondary. The queue hands a box of
// gfids to a DataEngine and learns, for each gfid, whether it arrived. Nothing outside an engine knows
// whether rsync, tar or anything else moves the bytes.
// Invariant: a gfid is in `synced` only when the engine has evidence that it arrived; every other gfid of
// the call is in `failed`, with a reason.

import type { Gfid } from '../protocol/gfid.js';

/** One file whose data is to be sent. */
export interface DataItem {
  readonly gfid: Gfid;
  /** Size on the primary, where known: it bounds a box in bytes. */
  readonly sizeBytes?: number;
  /** `content` (the default): the data is known to have changed, so it is sent even where size and mtime agree
   *  on both sides (a writer may set the old mtime again, and metadata travels ahead of data). `times`: equal
   *  size and mtime prove that nothing is to be sent, as in a crawl that repeats an interrupted one. */
  readonly compare?: 'content' | 'times';
  /** Where holes are worth something: they are most of the file, or some of it. */
  readonly holes?: Holes;
  /** Its transfer logs what goes wrong: the last attempt. */
  readonly logErrors?: boolean;
}

export type Holes = 'most' | 'some';

export interface SyncOptions {
  /** Write a "SYNC Error" log line for each error line of the children. */
  readonly logErrors: boolean;
  /** Those of the gfids whose item says `compare: 'times'`. */
  readonly compareTimes?: ReadonlySet<Gfid>;
  /** Those of the gfids whose item says `holes`. */
  readonly holes?: ReadonlyMap<Gfid, Holes>;
  /** Size of the largest of the files, absent when not all are known. A hint: files may have grown. */
  readonly maxFileBytes?: number;
  /** `all`: xattrs and ACLs are what this is about, also those that were removed. Default: those that are there. */
  readonly attributes?: 'all';
  /** When it aborts, the children are ended and the call settles soon after. */
  readonly signal?: AbortSignal;
}

/** Reason of a gfid that is not (or no longer) on the primary. Callers check that it was unlinked. */
export const MISSING_ON_PRIMARY = 'missing on primary';

/** The result of one box. `synced` and the keys of `failed` are disjoint, and together are the gfids given. */
export interface EngineOutcome {
  /** Exit code of the transfer, as logged; a negative number is the signal that ended it (-15: SIGTERM). */
  readonly returnCode: number;
  readonly synced: ReadonlySet<Gfid>;
  /** gfid to a one-line reason; MISSING_ON_PRIMARY is the one that callers compare with. */
  readonly failed: ReadonlyMap<Gfid, string>;
  /** Set when the transfer as a whole broke (connection, protocol, a full disk), in one line: the gfids that
   *  failed with this reason are not themselves suspect, and trying them again in smaller sets is no help. */
  readonly broken?: string;
  /** Bytes of file data that were sent, where the engine can tell. */
  readonly bytes?: number;
}

export interface DataEngine {
  /** Name for log lines, `rsync` or `tarssh`. */
  readonly name: string;
  /**
   * Sends the data and attributes of the inodes `gfids` (no duplicates). The inodes exist on the secondary
   * already; directories send their own attributes only. Without any, a transfer of nothing is made: `broken`
   * then tells that none works.
   * @throws GsyncdError('preflight') when a program is missing, GsyncdError('stopped') when the signal aborts
   */
  sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome>;
}
