// Counts what the worker's parts report and keeps the brick's progress file up to date. Counting only adds numbers.
// The recorder writes the file some time after a change, at most once per interval, and never while idle. Invariant:
// no call waits, throws, or fails because the file cannot be written: a full disk must not stop replication.

import { readFileSync } from 'node:fs';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fsEncode } from '../names.js';
import { BucketCounter, CALL_SECONDS, JOB_SECONDS } from './buckets.js';
import type { BatchResult, CallKind, CallResult, JobResult, ProgressSink, WalkKind } from './sink.js';
import {
  parseProgress,
  PROGRESS_VERSION,
  progressFileOf,
  SAMPLED_COUNTERS,
  type ProgressData,
  type WalkProgress,
} from './progress-data.js';
import { Series } from './series.js';

/** The least time between two writes; a change waits no longer than this. */
const DEFAULT_INTERVAL_MS = 1_000;

export interface ProgressRecorderOptions {
  /** The brick's status file; the progress file is beside it. */
  readonly statusFile: string;
  readonly identity: Pick<ProgressData, 'primary' | 'secondary' | 'brick' | 'workingDir' | 'changelogDir' | 'set'>;
  /** sync-jobs */
  readonly jobs: number;
  /** Number of entries that a first sync will find; null if unknown. */
  readonly estimate: () => Promise<number | null>;
  readonly intervalMs?: number;
}

export class ProgressRecorder implements ProgressSink {
  readonly path: string;
  /** Files that wait for a transfer or are in one. */
  queue: () => { files: number; bytes: number } = () => ({ files: 0, bytes: 0 });
  readonly #options: ProgressRecorderOptions;
  readonly #startedMs = Date.now();
  readonly #series = new Series();
  readonly #totals = {
    entries: 0,
    files: 0,
    bytes: 0,
    changelogs: 0,
    metas: 0,
    entryFailures: 0,
    metaFailures: 0,
    fileFailures: 0,
  };
  readonly #ops: Record<string, number> = {};
  readonly #batches: Record<string, number> = {};
  readonly #calls: Record<CallKind, BucketCounter> = {
    entry: new BucketCounter(CALL_SECONDS),
    meta: new BucketCounter(CALL_SECONDS),
  };
  readonly #transfers = new Map<string, BucketCounter>();
  readonly #jobStartsMs = new Map<number, number>();
  #walk: WalkProgress | null = null;
  #caughtUp = 0;
  #restarts = 0;
  #ended: ProgressData['ended'] = null;
  #timer: NodeJS.Timeout | undefined;
  #writtenMs = 0;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: ProgressRecorderOptions) {
    this.#options = options;
    this.path = progressFileOf(options.statusFile);
  }

  /** Takes over the values that outlive a worker, and writes the first state. */
  async start(): Promise<void> {
    const before = await readFile(fsEncode(this.path), 'utf8').then(parseProgress, () => null);
    if (before !== null) {
      this.#restarts = before.restarts + (before.ended === 'stopped' ? 0 : 1);
      this.#caughtUp = before.caughtUp;
      // The previous worker did not finish its first sync. This one continues from the marks.
      if (before.walk !== null && before.walk.kind === 'first' && before.walk.state !== 'done')
        this.#walk = before.walk;
    }
    await this.#write();
  }

  async close(ended: 'stopped' | 'faulty'): Promise<void> {
    this.#ended = ended;
    clearTimeout(this.#timer);
    await this.#write();
  }

  jobStarted(job: number): void {
    this.#beforeChange();
    this.#jobStartsMs.set(job, Date.now());
  }

  jobEnded(job: number, { engine, seconds, files, failed, bytes }: JobResult): void {
    this.#beforeChange();
    this.#jobStartsMs.delete(job);
    this.#totals.files += files;
    this.#totals.fileFailures += failed;
    this.#totals.bytes += bytes;
    let buckets = this.#transfers.get(engine);
    if (buckets === undefined) this.#transfers.set(engine, (buckets = new BucketCounter(JOB_SECONDS)));
    buckets.observe(seconds);
  }

  call(kind: CallKind, { seconds, ops, failed }: CallResult): void {
    this.#beforeChange();
    this.#calls[kind].observe(seconds);
    this.#totals[kind === 'entry' ? 'entries' : 'metas'] += ops - failed;
    this.#totals[kind === 'entry' ? 'entryFailures' : 'metaFailures'] += failed;
  }

  batchDone({ crawl, changelogs, ops, dataFiles }: BatchResult): void {
    this.#beforeChange();
    this.#batches[crawl] = (this.#batches[crawl] ?? 0) + 1;
    if (crawl !== 'xsync') this.#totals.changelogs += changelogs;
    for (const [name, count] of [...ops, ['DATA', dataFiles] as const])
      this.#ops[name] = (this.#ops[name] ?? 0) + count;
  }

  walkStarted(kind: WalkKind): void {
    this.#beforeChange();
    // A repeated first sync skips what its marks show as synced, so both counters begin with the earlier number.
    const before =
      kind === 'first' && this.#walk?.kind === 'first' && this.#walk.state !== 'done' ? this.#walk.synced : 0;
    this.#walk = {
      kind,
      state: 'walking',
      startedMs: Date.now(),
      endedMs: 0,
      seen: before,
      synced: before,
      expected: null,
    };
    if (kind !== 'first') return;
    void this.#options.estimate().then(
      (expected) => this.#updateWalk({ expected }),
      () => undefined,
    );
  }

  entriesFound(entries: number): void {
    this.#updateWalk({ seen: (this.#walk?.seen ?? 0) + entries });
  }

  walkSynced(entries: number): void {
    this.#updateWalk({ synced: (this.#walk?.synced ?? 0) + entries });
  }

  walkCompleted(): void {
    this.#updateWalk({ state: 'walked' });
  }

  walkEnded(): void {
    this.#updateWalk({ state: 'done', endedMs: Date.now() });
  }

  caughtUp(time: number): void {
    this.#beforeChange();
    this.#caughtUp = Math.max(this.#caughtUp, time);
    // Another program has finished the first sync that began here.
    if (this.#walk !== null && this.#walk.state !== 'done') this.#walk = null;
  }

  snapshot(): ProgressData {
    const now = Date.now();
    this.#series.add(now, this.#sampledValues());
    return {
      version: PROGRESS_VERSION,
      pid: process.pid,
      startTicks: startTicks('self') ?? 0,
      startedMs: this.#startedMs,
      updatedMs: now,
      restarts: this.#restarts,
      ended: this.#ended,
      ...this.#options.identity,
      caughtUp: this.#caughtUp,
      walk: this.#walk,
      queue: this.queue(),
      jobs: { total: this.#options.jobs, busySinceMs: [...this.#jobStartsMs.values()] },
      totals: { ...this.#totals },
      ops: { ...this.#ops },
      batches: { ...this.#batches },
      calls: { entry: this.#calls.entry.snapshot(), meta: this.#calls.meta.snapshot() },
      transfers: Object.fromEntries([...this.#transfers].map(([engine, buckets]) => [engine, buckets.snapshot()])),
      history: this.#series.samples,
    };
  }

  #updateWalk(values: Partial<WalkProgress>): void {
    this.#beforeChange();
    if (this.#walk !== null) this.#walk = { ...this.#walk, ...values };
  }

  #sampledValues(): number[] {
    return SAMPLED_COUNTERS.map((name) => this.#totals[name]);
  }

  /** Call this before a counter changes. */
  #beforeChange(): void {
    const now = Date.now();
    this.#series.beforeChange(now, this.#sampledValues());
    if (this.#timer !== undefined || this.#ended !== null) return;
    const intervalMs = this.#options.intervalMs ?? DEFAULT_INTERVAL_MS;
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        void this.#write();
      },
      Math.max(intervalMs / 10, this.#writtenMs + intervalMs - now),
    ).unref();
  }

  #write(): Promise<void> {
    const run = this.#writing.then(async () => {
      this.#writtenMs = Date.now();
      const temp = fsEncode(join(dirname(this.path), `.${basename(this.path)}.new`));
      try {
        await writeFile(temp, JSON.stringify(this.snapshot()), { mode: 0o600 });
        await rename(temp, fsEncode(this.path));
      } catch {
        await rm(temp, { force: true }).catch(() => undefined);
      }
    });
    this.#writing = run;
    return run;
  }
}

/** Start time of a process in ticks since boot; null when there is no such process. Reads /proc, which never blocks. */
export function startTicks(pid: number | 'self'): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // Count fields after the process name, which may contain anything. The start time is field 22.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]);
  } catch {
    return null;
  }
}
