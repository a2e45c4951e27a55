// Where crawls get their changelogs from: the verbs of the reference's changelog agent. ChangelogAgent fulfils
// them on a real brick; an embedded brick or a follower of the open changelog can, too. The invariant: a change
// made after register() arrives live, an older one through history, and each in exactly one file.

import type { ClockSetBack } from './timeline.js';

/** A changelog that cannot be read: what it told is lost. */
export interface ChangelogLoss {
  readonly path: string;
  readonly reason: string;
  /** Seconds between which the changes were made. */
  readonly from: number;
  readonly to: number;
}

export interface HistoryResult {
  /** `ok`: every changelog of the range will be delivered. `partial`: recording of changes was off for a part of it; all
   *  changelogs that exist are delivered, before and after, and the caller must crawl for the rest.
   *  `unavailable`: the range starts before the oldest changelog; nothing is delivered. */
  readonly status: 'ok' | 'partial' | 'unavailable';
  /** Seconds. Up to this time the history is whole: for `ok` at least the time of registration, for `partial` the
   *  start of the first gap, for `unavailable` 0. */
  readonly actualEnd: number;
  /** The brick's clock was set back then: what is delivered ends there. When it is synced and the marks are of the time
   *  after, passSetBack() is due, and another history for the rest. */
  readonly setBack: ClockSetBack | null;
}

/** Paths are absolute, in the string form of names.ts. Files are in the text form of text.ts, named
 *  `CHANGELOG.<seconds>`; lists of them are in order of time. */
export interface ChangelogSource {
  /** Starts live consumption from now on and drops what an earlier run left undone (history brings it again).
   *  @returns the time of registration, seconds
   *  @throws GsyncdError('changelog') when the brick keeps no changelogs */
  register(): Promise<number>;

  /** Makes newly closed changelogs ready, a bounded number at a time. @returns how many became ready
   *  @throws GsyncdError('partial-history'), again at each call, when they do not simply go on from register(): recording of changes
   *  was off, the clock was set back, or a changelog cannot be read. Then register() and history() are due. */
  scan(): Promise<number>;
  /** When the last changelog closed that scan() has read, seconds; changelogs without changes count, too. 0 before the first. */
  reached(): number;
  /** Changelogs that are ready and not done. */
  getchanges(): Promise<string[]>;
  done(path: string): Promise<void>;

  /** Prepares the changelogs that closed at or after `startTime` (seconds) and before register(). */
  history(startTime: number): Promise<HistoryResult>;
  /** Notes durably that everything before the place is synced. */
  passSetBack(setBack: ClockSetBack): Promise<void>;
  /** Since when changelogs are kept without a gap, seconds; null when they are not. */
  historyBegin(): Promise<number | null>;
  /** Makes the next part of the history ready. @returns how many became ready, 0 when the history is finished */
  historyScan(): Promise<number>;
  /** Changelogs that historyScan() met since the last call and could not read. It passes over them. */
  historyLosses(): ChangelogLoss[];
  historyGetchanges(): Promise<string[]>;
  historyDone(path: string): Promise<void>;

  /** Resolves when scan() has something to do, at once when that is so already, and when the source is closed.
   *  Concurrent calls share one wait; nothing needs to be undone when the result is not awaited. */
  news(): Promise<void>;
  /** Ends watching. */
  close(): void;
}
