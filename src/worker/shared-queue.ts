// The queue that all crawls of a worker share, with the worker's one engine.

import { GsyncdError } from '../errors.js';
import type { SharedQueue } from '../primary/deps.js';
import { bisectingEngine } from '../queue/bisecting-engine.js';
import type { DataEngine, DataItem } from '../queue/engine.js';
import type { TransferSink } from '../progress/sink.js';
import { Syncer, type BoxResult, type SyncLog } from '../queue/syncer.js';

/** Files per transfer. Bounds how much a broken transfer has to repeat. */
const MAX_FILES_PER_BOX = 2_000;
const MAX_BYTES_PER_BOX = 1 << 30;

export class WorkerQueue implements SharedQueue {
  readonly #jobs: number;
  readonly #log: SyncLog;
  readonly #progress: TransferSink;
  readonly #stop = new AbortController();
  #syncer: Syncer | null = null;
  #running: Promise<void> = Promise.resolve();

  constructor(jobs: number, log: SyncLog, progress: TransferSink) {
    this.#jobs = jobs;
    this.#log = log;
    this.#progress = progress;
  }

  /** Starts the jobs. To be called once, before anything is synced. */
  start(engine: DataEngine): void {
    this.#syncer = new Syncer({
      jobs: this.#jobs,
      engine: bisectingEngine(engine, this.#log),
      log: this.#log,
      maxFilesPerBox: MAX_FILES_PER_BOX,
      maxBytesPerBox: MAX_BYTES_PER_BOX,
      progress: this.#progress,
      stopGraceMs: 0,
    });
    this.#running = this.#syncer.run(this.#stop.signal);
  }

  /** @throws GsyncdError 'fault' before start(), 'stopped' after close() */
  async sync(items: readonly DataItem[]): Promise<BoxResult> {
    if (this.#syncer === null) throw new GsyncdError('sync data: the queue has no engine', { code: 'fault' });
    return this.#syncer.add(items);
  }

  /** Items without a result. */
  backlog(): { files: number; bytes: number } {
    return { files: this.#syncer?.size ?? 0, bytes: this.#syncer?.bytes ?? 0 };
  }

  /** Ends the jobs and the transfers under way at once: the caller has already waited for them. */
  async close(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
