// What the worker's parts tell about their work: the one interface between the hot path and whatever counts. The
// crawls, the queue and the calls to the secondary call it where something is finished anyway; ProgressRecorder counts. It is
// optional everywhere, so that nothing depends on being watched, and no call may wait or throw.

/** One transfer of the sync queue. */
export interface JobResult {
  /** Name of the engine, `rsync` or `tarssh`. */
  readonly engine: string;
  readonly seconds: number;
  /** Files that arrived. */
  readonly files: number;
  /** Files that did not. */
  readonly failed: number;
  /** Content sent, as far as the engine or the queue knows. */
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
  /** Operations that the secondary refused, all of them when it raised. */
  readonly failed: number;
}

/** A batch that is committed. */
export interface BatchResult {
  readonly crawl: 'xsync' | 'live_changelog' | 'history_changelog';
  /** Changelogs, or files of a walk. */
  readonly changelogs: number;
  /** Operations by the name of their record (`MKDIR`, `SETATTR`). */
  readonly ops: ReadonlyMap<string, number>;
  /** Files whose content was to be sent. */
  readonly dataFiles: number;
}

/** `first`: the brick was never synced; `again`: a part of it, for a gap in the changelogs or by configuration. */
export type WalkKind = 'first' | 'again';

export interface ProgressSink extends TransferSink {
  call(kind: CallKind, result: CallResult): void;
  batchDone(batch: BatchResult): void;
  walkStarted(kind: WalkKind): void;
  /** The walk has found so many entries more. */
  walked(entries: number): void;
  /** So many of them more are on the secondary. */
  walkSynced(entries: number): void;
  /** The walk has found all there is. */
  walkFound(): void;
  /** Everything that the walk found is synced. */
  walkEnded(): void;
  /** All changes from before `time`, seconds, are on the secondary, whatever the brick's mark says. */
  caughtUp(time: number): void;
}
