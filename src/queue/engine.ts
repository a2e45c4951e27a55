// The engine slot: sends file data from the primary's mount to the secondary. The queue passes a box of gfids to a DataEngine
// and gets a result for each gfid. Only the engine knows whether rsync, tar or anything else sends the bytes. Invariant: a
// gfid is in `synced` only if the engine has evidence that it arrived. Every other gfid of the call is in `failed`, with a
// reason.

import type { Gfid } from '../protocol/gfid.js';

/** One file whose data is to be sent. */
export interface DataItem {
  readonly gfid: Gfid;
  /** Size on the primary, if known. It limits the bytes of a box. */
  readonly sizeBytes?: number;
  /** `content` (the default): the data has changed, so it is sent even if size and mtime are equal on both sides. A writer
   *  may restore the old mtime, and metadata is sent before data. `times`: equal size and mtime mean that nothing must be
   *  sent, as in a crawl that repeats an interrupted one. */
  readonly compare?: 'content' | 'times';
  /** Set if the file has holes worth a separate treatment: they are most of it, or some of it. */
  readonly holes?: Holes;
  /** Its transfer logs what goes wrong: the last attempt. */
  readonly logErrors?: boolean;
}

export type Holes = 'most' | 'some';

export interface SyncOptions {
  /** Write a "SYNC Error" log line for each error line of the children. */
  readonly logErrors: boolean;
  /** The gfids whose item has `compare: 'times'`. */
  readonly compareTimes?: ReadonlySet<Gfid>;
  /** The gfids whose item has `holes`. */
  readonly holes?: ReadonlyMap<Gfid, Holes>;
  /** Size of the largest file; absent when a size is unknown. A hint: files may have grown. */
  readonly maxFileBytes?: number;
  /** `all`: the call is made for xattrs and ACLs, including removed ones. Default: only existing ones are sent. */
  readonly attributes?: 'all';
  /** When it aborts, the engine ends its children, and the call settles soon after. */
  readonly signal?: AbortSignal;
}

/** Reason of a gfid that is not, or no longer, on the primary. The caller checks whether it was unlinked. */
export const MISSING_ON_PRIMARY = 'missing on primary';

/** The result of one box. `synced` and the keys of `failed` are disjoint, and together are all gfids of the call. */
export interface EngineOutcome {
  /** Exit code of the transfer, as logged. A negative number is the signal that ended it (-15: SIGTERM). */
  readonly returnCode: number;
  readonly synced: ReadonlySet<Gfid>;
  /** Each failed gfid with a one-line reason, or MISSING_ON_PRIMARY, which callers compare with. */
  readonly failed: ReadonlyMap<Gfid, string>;
  /** Set if the whole transfer broke (connection, protocol, a full disk), in one line. Gfids that failed with this reason are
   *  not suspect themselves, and smaller transfers do not help. */
  readonly broken?: string;
  /** Bytes of file data that were sent, if known. */
  readonly bytes?: number;
}

export interface DataEngine {
  /** Name for log lines, `rsync` or `tarssh`. */
  readonly name: string;
  /**
   * Sends the data and attributes of the inodes `gfids` (no duplicates). The inodes exist on the secondary already. A
   * directory sends only its own attributes. Without gfids the transfer is empty: `broken` is then set if no transfer works.
   * @throws GsyncdError('preflight') when a program is missing, GsyncdError('stopped') when the signal aborts
   */
  sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome>;
}
