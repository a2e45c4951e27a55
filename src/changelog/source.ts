// The source of the changelogs of a crawl, with the verbs of the reference's changelog agent. ChangelogAgent
// implements them on a real brick; a plain directory or a follower of the open changelog can implement them, too.
// Invariant: a change made after register() arrives live, an older one through history, and each in exactly one file.

import type { ChangeRecord } from './record.js';
import type { ClockSetBack } from './timeline.js';

/** A changelog that cannot be read; its changes are lost. */
export interface ChangelogLoss {
  readonly path: string;
  readonly reason: string;
  /** Seconds: the changes were made between these times. */
  readonly from: number;
  readonly to: number;
}

export interface HistoryResult {
  /** `ok`: the source delivers every changelog of the range. `partial`: recording of changes was off for a part of the
   *  range. The source delivers the changelogs before and after that part, and the caller must crawl for the rest.
   *  `unavailable`: the range starts before the oldest changelog; the source delivers nothing. */
  readonly status: 'ok' | 'partial' | 'unavailable';
  /** Seconds: the history is complete up to this time. `ok`: at least the time of registration, or the last entry
   *  before the clock was set back. `partial`: the start of the first gap, or 0 if the clock was set back in it.
   *  `unavailable`: 0. */
  readonly actualEnd: number;
  /** The place where the brick's clock was set back; the delivered range ends there. When the range is synced and the
   *  stime follows the new clock, call passSetBack(), then history() for the rest. */
  readonly setBack: ClockSetBack | null;
}

/** Paths are absolute, in the string form of names.ts. Files are in the text form of text.ts and are named
 *  `CHANGELOG.<seconds>`. Lists of files are in order of time. */
export interface ChangelogSource {
  /** Starts live consumption now and drops unfinished changelogs of an earlier run, which history delivers again.
   *  @returns the time of registration, seconds
   *  @throws GsyncdError('changelog') when the brick keeps no changelogs */
  register(): Promise<number>;

  /** Makes newly closed changelogs ready, a bounded number per call.
   *  @returns how many became ready
   *  @throws GsyncdError('partial-history'), at each call, if the changelogs do not continue from register():
   *  recording of changes was off, the clock was set back, or a changelog cannot be read. Then call register() and
   *  history(). */
  scan(): Promise<number>;
  /** Seconds: when the last changelog that scan() has read closed, even one without changes. 0 before the first
   *  scan(). */
  reached(): number;
  /** Changelogs that are ready and not done. */
  getchanges(): Promise<string[]>;
  done(path: string): Promise<void>;

  /** Prepares the changelogs that closed at or after `startTime` (seconds) and before register(). */
  history(startTime: number): Promise<HistoryResult>;
  /** Records durably that everything before the place is synced. */
  passSetBack(setBack: ClockSetBack): Promise<void>;
  /** Seconds: since when the brick has recorded changes without a gap; null if it has no index. */
  historyBegin(): Promise<number | null>;
  /** Makes the next part of the history ready. @returns how many became ready, 0 when the history is finished */
  historyScan(): Promise<number>;
  /** Unreadable changelogs that historyScan() has skipped since the last call. */
  historyLosses(): ChangelogLoss[];
  historyGetchanges(): Promise<string[]>;
  historyDone(path: string): Promise<void>;

  /** Resolves when scan() has something to do, at once if it already has, and when the source is closed. Concurrent
   *  calls share one wait, and a caller may abandon its promise. */
  news(): Promise<void>;
  /** Absent if the source cannot read the open changelog. */
  readonly open?: OpenChangelogSource;
  close(): void;
}

/** The changes since the last rollover, as they are recorded. */
export interface OpenChangelogSource {
  /** Resolves when the open changelog may have grown. Call it before take(), or a change in between is missed. */
  grown(): Promise<void>;
  /** Complete records since the last call, a bounded number. Empty while scan() has something to do. */
  take(): Promise<readonly ChangeRecord[]>;
  /** How many of the first records of a ready changelog take() has returned. */
  taken(path: string): number;
}
