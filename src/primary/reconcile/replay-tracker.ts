// Tracks the names that a replay may damage. Conflict resolution and the xsync crawl put the secondary into the primary's
// present state. Changelogs that are replayed afterwards describe an earlier state. Their operations may overwrite or link
// entries that are already right, and a stock peer does not report it. So each touched name is compared again after every
// batch that contains it, until the changelogs have passed the time of the touch. All crawls of a worker share one tracker.

import type { Gfid } from '../../protocol/gfid.js';
import type { EntryOp } from '../../protocol/secondary.js';

/** Entries that may be removed from the secondary when the primary no longer has them: by gfid, or by name. */
export interface KnownEntries {
  readonly gfids: ReadonlyMap<Gfid, unknown>;
  readonly renameTargets: ReadonlyMap<string, unknown>;
}

export class ReplayTracker {
  /** Entry paths and gfids, with the time of the touch, seconds. */
  readonly #touched = new Map<string, number>();
  readonly #known = { gfids: new Map<Gfid, number>(), renameTargets: new Map<string, number>() };
  #allTouchedUntilS = 0;
  #replayUntilS = 0;

  /** @param keys entry paths and gfids */
  markTouched(keys: Iterable<string>, nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const key of keys) this.#touched.set(key, seconds);
  }

  /** Records gfids that the primary has or had. */
  markKnown(gfids: Iterable<Gfid>, nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const gfid of gfids) this.#known.gfids.set(gfid, seconds);
  }

  /** As markKnown() for all gfids of operations, and for the new names of renames: a RENAME record does not contain the gfid
   *  that it replaced. */
  markOpsKnown(ops: readonly EntryOp[], nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const { gfid, entry1 } of ops) {
      this.#known.gfids.set(gfid, seconds);
      if (entry1 !== undefined) this.#known.renameTargets.set(entry1, seconds);
    }
  }

  /** Gfids and rename targets of recent changelogs. */
  get known(): KnownEntries {
    return this.#known;
  }

  /** Marks all names as touched: a crawl has put everything into its present state. */
  markAllTouched(nowMs: number = Date.now()): void {
    this.#allTouchedUntilS = Math.ceil(nowMs / 1000);
  }

  /** Marks changelogs up to now as a replay. While they were written, another worker may have been active, or none. Their
   *  names may be gone since, without a record of it. */
  markReplay(nowMs: number = Date.now()): void {
    this.#replayUntilS = Math.ceil(nowMs / 1000);
  }

  get isReplaying(): boolean {
    return this.#replayUntilS > 0;
  }

  /** @returns the touched names of a batch's operations */
  *touchedNames(entries: readonly EntryOp[]): Generator<string> {
    if (this.#allTouchedUntilS === 0 && this.#touched.size === 0) return;
    for (const { op, gfid, entry, entry1 } of entries) {
      const all = this.#allTouchedUntilS > 0 && (op === 'RENAME' || op === 'LINK');
      if (
        !all &&
        !this.#touched.has(gfid) &&
        !this.#touched.has(entry) &&
        (entry1 === undefined || !this.#touched.has(entry1))
      )
        continue;
      yield entry;
      if (entry1 !== undefined) yield entry1;
    }
  }

  /** Called when a batch whose last changelog closed at `changeTime` was applied: forgets all earlier touches. A time in the
   *  future was written before the clock was set back, so the changelog may be older than the touches. */
  expireBefore(changeTime: number, nowMs: number = Date.now()): void {
    if (changeTime > Math.ceil(nowMs / 1000) + 1) return;
    if (this.#allTouchedUntilS < changeTime) this.#allTouchedUntilS = 0;
    if (this.#replayUntilS < changeTime) this.#replayUntilS = 0;
    for (const map of [this.#touched, this.#known.gfids, this.#known.renameTargets] as Map<string, number>[]) {
      for (const [key, seconds] of map) if (seconds < changeTime) map.delete(key);
    }
  }
}
