// The queue that all crawls of a worker share. Its jobs start with the first data, with the engine of whoever
// comes first; all crawls of a worker have the same.

import type { SharedQueue } from '../primary/deps.js';
import type { DataEngine } from '../queue/engine.js';
import { Syncer, type BoxResult, type SyncLog } from '../queue/syncer.js';
import type { DataItem } from '../queue/engine.js';

/** Files per transfer: bounds what a broken transfer has to repeat. */
const MAX_FILES_PER_BOX = 2_000;
const MAX_BYTES_PER_BOX = 1 << 30;

export class WorkerQueue implements SharedQueue {
  readonly #jobs: number;
  readonly #log: SyncLog;
  readonly #stop = new AbortController();
  #syncer: Syncer | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(jobs: number, log: SyncLog) {
    this.#jobs = jobs;
    this.#log = log;
  }

  sync(items: readonly DataItem[], makeEngine: () => DataEngine): Promise<BoxResult> {
    if (this.#syncer === null) {
      this.#syncer = new Syncer({
        jobs: this.#jobs,
        engine: makeEngine(),
        log: this.#log,
        maxFilesPerBox: MAX_FILES_PER_BOX,
        maxBytesPerBox: MAX_BYTES_PER_BOX,
      });
      this.#running = this.#syncer.run(this.#stop.signal);
    }
    return this.#syncer.add(items);
  }

  logErrors(on: boolean): void {
    if (this.#syncer !== null) this.#syncer.logErrors = on;
  }

  /** Ends the jobs; transfers under way get a moment to finish. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
