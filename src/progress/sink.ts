// Receives the progress of the worker's parts: the one interface between the hot path and the counters. The crawls,
// the queue and the calls to the secondary call it when they finish something, and ProgressRecorder counts. The sink
// is optional everywhere, so replication never depends on it. No call may wait or throw.

/** One transfer of the sync queue. */
export interface JobResult {
  /** Name of the engine, `rsync` or `tarssh`. */
  readonly engine: string;
  readonly seconds: number;
  /** Files that arrived. */
  readonly files: number;
  /** Files that did not. */
  readonly failed: number;
  /** Content sent, in so far as the engine or the queue knows it. */
  readonly bytes: number;
}

export interface TransferSink {
  jobStarted(job: number): void;
  jobEnded(job: number, result: JobResult): void;
}

export type CallKind = 'entry' | 'meta';

/** One call to the secondary with a list of operations. */
export interface CallResult {
  readonly seconds: number;
  readonly ops: number;
  /** Operations that the secondary refused; all of them when the call threw. */
  readonly failed: number;
}

/** A batch that is committed. */
export interface BatchResult {
  readonly crawl: 'xsync' | 'live_changelog' | 'history_changelog';
  /** Number of changelogs, or of a hybrid crawl's XSYNC-CHANGELOG files. */
  readonly changelogs: number;
  /** Operations by the name of their record (`MKDIR`, `SETATTR`). */
  readonly ops: ReadonlyMap<string, number>;
  /** Files whose content was to be sent. */
  readonly dataFiles: number;
}

/** `first`: the brick was never synced. `again`: a crawl of a part of it, after a gap in the changelogs or by
 *  configuration. */
export type WalkKind = 'first' | 'again';

export interface ProgressSink extends TransferSink {
  call(kind: CallKind, result: CallResult): void;
  batchDone(batch: BatchResult): void;
  walkStarted(kind: WalkKind): void;
  /** The crawl has found `entries` more entries. */
  entriesFound(entries: number): void;
  /** `entries` more of the found entries are on the secondary. */
  walkSynced(entries: number): void;
  /** The crawl has found all entries. */
  walkCompleted(): void;
  /** All entries that the crawl found are synced. */
  walkEnded(): void;
  /** All changes from before `time`, seconds, are on the secondary, even if the brick's stime is older. */
  caughtUp(time: number): void;
}
