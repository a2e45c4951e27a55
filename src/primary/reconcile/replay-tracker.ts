// Which names a replay may spoil. Conflict resolution and a walk put the secondary into the primary's present state,
// and the changelogs that are replayed afterwards tell of the time before: their operations may overwrite or link
// what is in place already, and a stock peer says nothing about it. So whatever was touched stays in doubt, and is
// compared again after each batch that names it, until the changelogs have passed the moment of the touch. Shared by
// all crawls of a worker.

import type { Gfid } from '../../protocol/gfid.js';
import type { EntryOp } from '../../protocol/secondary.js';

/** What gives way on the secondary though the primary has it no more: by gfid, or whatever is at a name. */
export interface Known {
  readonly gfids: ReadonlyMap<Gfid, unknown>;
  readonly targets: ReadonlyMap<string, unknown>;
}

export class ReplayTracker {
  /** Entry paths and gfids, and when they were touched, seconds. */
  readonly #touched = new Map<string, number>();
  readonly #known = { gfids: new Map<Gfid, number>(), targets: new Map<string, number>() };
  #allUntilS = 0;
  #replayUntilS = 0;

  /** @param keys entry paths and gfids */
  markTouched(keys: Iterable<string>, nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const key of keys) this.#touched.set(key, seconds);
  }

  /** The primary has, or had, these. */
  markKnown(gfids: Iterable<Gfid>, nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const gfid of gfids) this.#known.gfids.set(gfid, seconds);
  }

  /** As markKnown() for all gfids of operations, and for whatever was at the new name of a rename: its record does not say what it
   *  replaced. */
  markOpsKnown(ops: readonly EntryOp[], nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const { gfid, entry1 } of ops) {
      this.#known.gfids.set(gfid, seconds);
      if (entry1 !== undefined) this.#known.targets.set(entry1, seconds);
    }
  }

  /** Gfids and names of recent changelogs. */
  get known(): Known {
    return this.#known;
  }

  /** Everything was brought to its present state. */
  markAllTouched(nowMs: number = Date.now()): void {
    this.#allUntilS = Math.ceil(nowMs / 1000);
  }

  /** Changelogs up to now tell of a time when another worker may have been the active one, or none: what they name may be
   *  gone since, and they may not say so. */
  markReplay(nowMs: number = Date.now()): void {
    this.#replayUntilS = Math.ceil(nowMs / 1000);
  }

  get isReplaying(): boolean {
    return this.#replayUntilS > 0;
  }

  /** Names of a batch's operations that are in doubt. */
  *touchedNames(entries: readonly EntryOp[]): Generator<string> {
    if (this.#allUntilS === 0 && this.#touched.size === 0) return;
    for (const { op, gfid, entry, entry1 } of entries) {
      const all = this.#allUntilS > 0 && (op === 'RENAME' || op === 'LINK');
      if (!all && !this.#touched.has(gfid) && !this.#touched.has(entry) && (entry1 === undefined || !this.#touched.has(entry1))) continue;
      yield entry;
      if (entry1 !== undefined) yield entry1;
    }
  }

  /** A batch whose last changelog closed at `changeTime` was applied: what was touched before is safe from now on. A time
   *  that is still to come is of a clock that was set back since, and may be from before. */
  expireBefore(changeTime: number, nowMs: number = Date.now()): void {
    if (changeTime > Math.ceil(nowMs / 1000) + 1) return;
    if (this.#allUntilS < changeTime) this.#allUntilS = 0;
    if (this.#replayUntilS < changeTime) this.#replayUntilS = 0;
    for (const map of [this.#touched, this.#known.gfids, this.#known.targets] as Map<string, number>[]) {
      for (const [key, seconds] of map) if (seconds < changeTime) map.delete(key);
    }
  }
}
