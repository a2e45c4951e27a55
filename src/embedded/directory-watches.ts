// Watches every directory of a plain-directory primary. The kernel may drop events silently, so an event is only a hint
// where to scan. If the system has no watches left, the caller must scan everything more often.

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

  close(): void {
    for (const gfid of [...this.#watchers.keys()]) this.remove(gfid);
  }
}
