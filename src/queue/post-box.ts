// The queue of data items that producers post and jobs take in boxes. Invariant: an item is in exactly one of three places:
// queued, handed out, or parked. If a gfid is posted while it is handed out, the new item is parked until that transfer ends.
// The transfer may have read the file before the change that the new post is about. Two concurrent transfers of one file
// could mix versions.

import type { Gfid } from '../protocol/gfid.js';
import type { DataItem, Holes } from './engine.js';

/** Called once per post of a gfid, with the result of a transfer that began after the post. */
export type Settle<R> = (gfid: Gfid, result: R) => void;

interface PostedItem<R> {
  sizeBytes: number;
  isSizeKnown: boolean;
  compare: 'content' | 'times';
  holes: Holes | undefined;
  logErrors: boolean;
  readonly callbacks: Settle<R>[];
}

export interface BoxLimits {
  readonly maxFiles: number;
  readonly maxBytes: number;
}

/** The files that a job takes: see SyncOptions for `compareTimes`, `holes` and `logErrors`. */
export interface Box {
  readonly gfids: Gfid[];
  readonly compareTimes: Set<Gfid>;
  readonly holes: Map<Gfid, Holes>;
  /** True if one of the files asks for it. */
  readonly logErrors: boolean;
  /** Size of the largest file; undefined when a size is unknown. */
  readonly maxFileBytes: number | undefined;
  /** Sum of the known sizes. */
  readonly bytes: number;
}

export class PostBox<R> {
  readonly #queued = new Map<Gfid, PostedItem<R>>();
  readonly #handedOut = new Map<Gfid, PostedItem<R>>();
  readonly #parked = new Map<Gfid, PostedItem<R>>();
  #queuedBytes = 0;

  /** Items that a job can take now. */
  get queued(): number {
    return this.#queued.size;
  }

  /** Bytes of the queued items whose size is known. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Bytes of all items without a result whose size is known. */
  get bytes(): number {
    let bytes = this.#queuedBytes;
    for (const items of [this.#handedOut, this.#parked]) for (const { sizeBytes } of items.values()) bytes += sizeBytes;
    return bytes;
  }

  /** Items without a result: queued, handed out and parked. */
  get size(): number {
    return this.#queued.size + this.#handedOut.size + this.#parked.size;
  }

  /** Queues an item. A gfid that is queued already stays queued once, with the `settle` callbacks of both posts. */
  post(item: DataItem, settle: Settle<R>): void {
    const sizeBytes = item.sizeBytes ?? 0;
    const items = this.#handedOut.has(item.gfid) ? this.#parked : this.#queued;
    const existing = items.get(item.gfid);
    if (existing === undefined) {
      items.set(item.gfid, {
        sizeBytes,
        isSizeKnown: item.sizeBytes !== undefined,
        compare: item.compare ?? 'content',
        holes: item.holes,
        logErrors: item.logErrors === true,
        callbacks: [settle],
      });
      if (items === this.#queued) this.#queuedBytes += sizeBytes;
      return;
    }
    existing.callbacks.push(settle);
    existing.isSizeKnown = item.sizeBytes !== undefined;
    existing.holes = item.holes;
    existing.logErrors ||= item.logErrors === true;
    if (item.compare !== 'times') existing.compare = 'content';
    if (sizeBytes > existing.sizeBytes) {
      if (items === this.#queued) this.#queuedBytes += sizeBytes - existing.sizeBytes;
      existing.sizeBytes = sizeBytes;
    }
  }

  /** Takes the oldest items up to the limits, at least one if any is queued. The caller must settle each. */
  take(limits: BoxLimits): Box {
    const gfids: Gfid[] = [];
    const compareTimes = new Set<Gfid>();
    const holes = new Map<Gfid, Holes>();
    let bytes = 0;
    let maxFileBytes = 0;
    let areSizesKnown = true;
    let logErrors = false;
    for (const [gfid, posted] of this.#queued) {
      if (gfids.length > 0 && (gfids.length >= limits.maxFiles || bytes + posted.sizeBytes > limits.maxBytes)) break;
      this.#queued.delete(gfid);
      this.#queuedBytes -= posted.sizeBytes;
      this.#handedOut.set(gfid, posted);
      bytes += posted.sizeBytes;
      maxFileBytes = Math.max(maxFileBytes, posted.sizeBytes);
      areSizesKnown &&= posted.isSizeKnown;
      logErrors ||= posted.logErrors;
      gfids.push(gfid);
      if (posted.compare === 'times') compareTimes.add(gfid);
      if (posted.holes !== undefined) holes.set(gfid, posted.holes);
    }
    return { gfids, compareTimes, holes, logErrors, maxFileBytes: areSizesKnown ? maxFileBytes : undefined, bytes };
  }

  /** Gives a handed-out item its result. If the same gfid was posted meanwhile, that item goes to the end of the queue.
   *  @throws RangeError when `gfid` is not handed out */
  settle(gfid: Gfid, result: R): void {
    const posted = this.#handedOut.get(gfid);
    if (posted === undefined) throw new RangeError(`settle ${gfid}: not handed out`);
    this.#handedOut.delete(gfid);
    const parked = this.#parked.get(gfid);
    if (parked !== undefined) {
      this.#parked.delete(gfid);
      this.#queued.set(gfid, parked);
      this.#queuedBytes += parked.sizeBytes;
    }
    for (const settle of posted.callbacks) settle(gfid, result);
  }

  /** Gives the same result to all queued and parked items, which no job has taken. */
  settleUntaken(result: R): void {
    for (const items of [this.#queued, this.#parked]) {
      const all = [...items];
      items.clear();
      for (const [gfid, posted] of all) for (const settle of posted.callbacks) settle(gfid, result);
    }
    this.#queuedBytes = 0;
  }
}
