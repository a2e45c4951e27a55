// Which names a replay may spoil. Conflict resolution and a walk put the secondary into the primary's present state,
// and the journals that are replayed afterwards tell of the time before: their operations may overwrite or link
// what is in place already, and a stock peer says nothing about it. So whatever was touched stays in doubt, and is
// compared again after each batch that names it, until the journals have passed the moment of the touch. Shared by
// all crawls of a worker.

import type { EntryOp } from '../secondary/secondary.js';

export class Doubts {
  /** Entry paths and gfids, and when they were touched, seconds. */
  readonly #touched = new Map<string, number>();
  #allUntilS = 0;
  #replayUntilS = 0;

  /** @param keys entry paths and gfids */
  touch(keys: Iterable<string>, nowMs: number = Date.now()): void {
    const seconds = Math.ceil(nowMs / 1000);
    for (const key of keys) this.#touched.set(key, seconds);
  }

  /** Everything was brought to its present state. */
  touchAll(nowMs: number = Date.now()): void {
    this.#allUntilS = Math.ceil(nowMs / 1000);
  }

  /** Journals up to now tell of a time when another worker may have been the active one, or none: what they name may be
   *  gone since, and they may not say so. */
  replay(nowMs: number = Date.now()): void {
    this.#replayUntilS = Math.ceil(nowMs / 1000);
  }

  get replays(): boolean {
    return this.#replayUntilS > 0;
  }

  /** Names of a batch's operations that are in doubt. */
  *names(entries: readonly EntryOp[]): Generator<string> {
    if (this.#allUntilS === 0 && this.#touched.size === 0) return;
    for (const { op, gfid, entry, entry1 } of entries) {
      const all = this.#allUntilS > 0 && (op === 'RENAME' || op === 'LINK');
      if (!all && !this.#touched.has(gfid) && !this.#touched.has(entry) && (entry1 === undefined || !this.#touched.has(entry1))) continue;
      yield entry;
      if (entry1 !== undefined) yield entry1;
    }
  }

  /** A batch whose last journal closed at `changeTime` was applied: what was touched before is safe from now on. */
  passed(changeTime: number): void {
    if (this.#allUntilS < changeTime) this.#allUntilS = 0;
    if (this.#replayUntilS < changeTime) this.#replayUntilS = 0;
    for (const [key, seconds] of this.#touched) if (seconds < changeTime) this.#touched.delete(key);
  }
}
