// Watches every directory of an embedded primary. An event is a hint where to look, never the news itself: events get lost
// without a word. Where the system has no watches left, the caller has to look everywhere from time to time, more often than
// otherwise.

import { watch, type FSWatcher } from 'node:fs';
import type { Gfid } from '../protocol/gfid.js';
import { fsEncode } from '../names.js';

export class DirectoryWatches {
  readonly #watchers = new Map<Gfid, FSWatcher>();
  readonly #onEvent: (gfid: Gfid) => void;
  #isLimited = false;

  constructor(onEvent: (gfid: Gfid) => void) {
    this.#onEvent = onEvent;
  }

  /** Whether some directory could not be watched. */
  get isLimited(): boolean {
    return this.#isLimited;
  }

  add(gfid: Gfid, path: string): void {
    if (this.#watchers.has(gfid) || this.#isLimited) return;
    try {
      const watcher = watch(fsEncode(path), { persistent: false }, () => this.#onEvent(gfid));
      watcher.on('error', () => this.remove(gfid));
      this.#watchers.set(gfid, watcher);
    } catch {
      this.#isLimited = true;
    }
  }

  remove(gfid: Gfid): void {
    this.#watchers.get(gfid)?.close();
    this.#watchers.delete(gfid);
  }

  /** Lets go of the directories that are not of interest any more. */
  retain(isOfInterest: (gfid: Gfid) => boolean): void {
    for (const gfid of [...this.#watchers.keys()]) if (!isOfInterest(gfid)) this.remove(gfid);
  }

  close(): void {
    this.retain(() => false);
  }
}
