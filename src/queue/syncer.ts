// The queue between the crawls, which find files to send, and a fixed number of sync jobs, which run the engine on boxes of
// files. Each gfid has its own result, so that one file's error fails only that file. Invariant: every added item gets
// exactly one result, or its add() rejects with 'stopped'; no gfid is in two concurrent transfers. Unlike in the reference,
// an idle job does not poll, and queued items are divided among all jobs instead of going to the first one.

import { GsyncdError, errorLine, isGsyncdError } from '../errors.js';
import type { Gfid } from '../protocol/gfid.js';
import type { TransferSink } from '../progress/sink.js';
import type { DataEngine, DataItem, EngineOutcome } from './engine.js';
import { PostBox, type Box } from './post-box.js';

/** The result of one item. `scope` says what failed: the file, or the whole transfer (connection lost, program missing). In
 *  the latter case `error` may be the engine's exception. */
export type ItemResult =
  | { readonly status: 'synced' }
  | {
      readonly status: 'failed';
      readonly reason: string;
      readonly scope: 'item' | 'transfer';
      readonly error?: unknown;
    };

export type BoxResult = ReadonlyMap<Gfid, ItemResult>;

export interface SyncLog {
  info(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
}

export interface SyncerOptions {
  /** Concurrent transfers (sync-jobs). */
  readonly jobs: number;
  readonly engine: DataEngine;
  readonly log: SyncLog;
  readonly maxFilesPerBox: number;
  /** Default: no limit. A file larger than this has a box of its own. */
  readonly maxBytesPerBox?: number;
  /** Fewer queued files than this are not divided among jobs, since a transfer has a fixed cost. Default 100. */
  readonly minFilesPerBox?: number;
  /** From this many queued bytes on, even few files are divided among jobs. Default 16 MiB. */
  readonly minBytesPerBox?: number;
  /** Time that a running transfer has after the stop, before its children are ended. Default 5 s. */
  readonly stopGraceMs?: number;
  readonly progress?: TransferSink;
}

export const SYNCED: ItemResult = { status: 'synced' };

export class Syncer {
  readonly #options: SyncerOptions;
  readonly #postBox = new PostBox<ItemResult | null>();
  readonly #idleJobs: number[] = [];
  readonly #runningBoxes = new Set<Promise<void>>();
  readonly #hardStop = new AbortController();
  #state: 'new' | 'running' | 'stopped' = 'new';
  #isDispatchScheduled = false;

  constructor(options: SyncerOptions) {
    if (options.jobs < 1 || options.maxFilesPerBox < 1)
      throw new RangeError('sync queue: jobs and files per box: must be at least 1');
    this.#options = options;
    for (let job = options.jobs; job >= 1; job -= 1) this.#idleJobs.push(job);
  }

  /** Number of items without a result. A gfid that is sent and posted again meanwhile is counted twice. */
  get size(): number {
    return this.#postBox.size;
  }

  /** Known bytes of these items. */
  get bytes(): number {
    return this.#postBox.bytes;
  }

  /**
   * Queues items and waits for all their results. A gfid given twice is sent once. A gfid whose transfer is running is sent
   * again afterwards.
   * @throws GsyncdError('stopped') when the queue stops before all results are there
   */
  add(items: Iterable<Gfid | DataItem>): Promise<BoxResult> {
    if (this.#state === 'stopped') return Promise.reject(stoppedError());
    const results = new Map<Gfid, ItemResult>();
    const { promise, resolve, reject } = withResolvers<BoxResult>();
    let pendingCount = 1;
    const settle = (gfid: Gfid, result: ItemResult | null): void => {
      if (result === null) {
        reject(stoppedError());
        return;
      }
      results.set(gfid, result);
      pendingCount -= 1;
      if (pendingCount === 0) resolve(results);
    };
    const seen = new Set<Gfid>();
    for (const item of items) {
      const data = typeof item === 'string' ? { gfid: item } : item;
      if (seen.has(data.gfid)) continue;
      seen.add(data.gfid);
      pendingCount += 1;
      this.#postBox.post(data, settle);
    }
    pendingCount -= 1;
    if (pendingCount === 0) resolve(results);
    else this.#scheduleDispatch();
    return promise;
  }

  /**
   * Runs the jobs until `signal` aborts, then settles when the running transfers have settled. They have `stopGraceMs` to
   * finish, after which the engine's signal aborts. Items not taken are rejected at once.
   */
  async run(signal: AbortSignal): Promise<void> {
    if (this.#state !== 'new') throw new GsyncdError('run sync queue: already run', { code: 'fault' });
    this.#state = 'running';
    this.#scheduleDispatch();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#state = 'stopped';
    this.#postBox.settleUntaken(null);
    const timer = setTimeout(() => this.#hardStop.abort(), this.#options.stopGraceMs ?? 5_000);
    await Promise.all(this.#runningBoxes);
    clearTimeout(timer);
  }

  /** Jobs take their boxes after the current tick, so that they include the items that other producers post in it. */
  #scheduleDispatch(): void {
    if (this.#isDispatchScheduled || this.#state !== 'running') return;
    this.#isDispatchScheduled = true;
    setImmediate(() => {
      this.#isDispatchScheduled = false;
      this.#dispatch();
    });
  }

  /** Divides the queued items by the number of jobs. Every idle job takes one box. */
  #dispatch(): void {
    const {
      jobs,
      maxFilesPerBox,
      maxBytesPerBox = Infinity,
      minFilesPerBox = 100,
      minBytesPerBox = 16 << 20,
    } = this.#options;
    const limits = {
      maxFiles: Math.min(maxFilesPerBox, Math.max(minFilesPerBox, Math.ceil(this.#postBox.queued / jobs))),
      maxBytes: Math.min(maxBytesPerBox, Math.max(minBytesPerBox, Math.ceil(this.#postBox.queuedBytes / jobs))),
    };
    while (this.#state === 'running' && this.#postBox.queued > 0) {
      const job = this.#idleJobs.pop();
      if (job === undefined) return;
      const box = this.#postBox.take(limits);
      const running = this.#runBox(job, box).finally(() => {
        this.#runningBoxes.delete(running);
        this.#idleJobs.push(job);
        this.#scheduleDispatch();
      });
      this.#runningBoxes.add(running);
    }
  }

  async #runBox(job: number, { gfids, compareTimes, holes, logErrors, maxFileBytes, bytes }: Box): Promise<void> {
    const { engine, log, progress } = this.#options;
    const startMs = performance.now();
    progress?.jobStarted(job);
    let returnCode: number | null = null;
    let sentBytes = 0;
    let syncedCount = 0;
    let resultOf: (gfid: Gfid) => ItemResult | null;
    try {
      const outcome = await engine.sync(gfids, {
        logErrors,
        compareTimes,
        holes,
        maxFileBytes,
        signal: this.#hardStop.signal,
      });
      returnCode = outcome.returnCode;
      sentBytes = outcome.bytes ?? (outcome.synced.size > 0 ? bytes : 0);
      syncedCount = outcome.synced.size;
      resultOf = (gfid) => itemResult(gfid, outcome);
    } catch (error) {
      const result: ItemResult | null =
        this.#hardStop.signal.aborted && isGsyncdError(error, 'stopped')
          ? null
          : { status: 'failed', reason: errorLine(error), scope: 'transfer', error };
      resultOf = () => result;
    }
    const seconds = (performance.now() - startMs) / 1000;
    log.info('Sync Time Taken', {
      job,
      num_files: gfids.length,
      return_code: returnCode,
      duration: seconds.toFixed(4),
    });
    progress?.jobEnded(job, {
      engine: engine.name,
      seconds,
      files: syncedCount,
      failed: gfids.length - syncedCount,
      bytes: sentBytes,
    });
    for (const gfid of gfids) this.#postBox.settle(gfid, resultOf(gfid));
    if (this.#state === 'stopped') this.#postBox.settleUntaken(null);
  }
}

/** A gfid without a result from the engine has not arrived. */
function itemResult(gfid: Gfid, outcome: EngineOutcome): ItemResult {
  const reason = outcome.failed.get(gfid);
  if (reason === undefined && outcome.synced.has(gfid)) return SYNCED;
  if (reason === undefined) return { status: 'failed', reason: 'no result from the engine', scope: 'item' };
  return { status: 'failed', reason, scope: reason === outcome.broken ? 'transfer' : 'item' };
}

function stoppedError(): GsyncdError {
  return new GsyncdError('sync data: stopped', { code: 'stopped' });
}

function withResolvers<T>(): { promise: Promise<T>; resolve: (value: T) => void; reject: (error: Error) => void } {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((res, rej) => {
    resolve = res;
    reject = rej;
  });
  return { promise, resolve, reject };
}
