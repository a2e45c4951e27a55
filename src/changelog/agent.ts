// The changelog agent of a real brick: reads journals and their index directly from the brick, without the C
// library and its socket, and hands them to crawls as text files in the same working directories. The register
// cursor, a place in the index, parts live from history: everything listed after it, and everything unlisted that
// precedes a listed one after it, is live; the rest is history. Memory and disk stay bounded whatever the backlog,
// since journals are made ready a chunk at a time.

import { join } from 'node:path';
import { errnoCode, GsyncdError } from '../errors.js';
import { isThere } from '../native/if-there.js';
import { DirectoryWatch } from './directory-watch.js';
import type { HtimeEntry, HtimeGap } from './htime.js';
import { Stage } from './stage.js';
import type { ChangelogSource, HistoryResult } from './source.js';
import { Timeline, type Cursor, type TimelineStep } from './timeline.js';

const OPEN_JOURNAL = 'CHANGELOG';
/** A rollover leaves the brick without an open journal for a moment. */
const ROLLOVER_MS = 1000;

export interface ChangelogAgentOptions {
  /** `<brick>/.glusterfs/changelogs` */
  readonly changelogDir: string;
  /** The brick's working directory: `.processing` and the others are made in it. */
  readonly workingDir: string;
  /** Longest time between two looks at the index, whether or not the system reports a change of it. */
  readonly changeIntervalMs: number;
  /** How much one scan makes ready: it ends when one of them is reached. Default 1000 and 32 MiB of text. */
  readonly maxJournals?: number;
  readonly maxBytes?: number;
}

interface Walk {
  readonly steps: AsyncGenerator<TimelineStep>;
  readonly stage: Stage;
  readonly gaps: 'fail' | 'pass';
  /** What was read from the index and is not ready yet. */
  pending: HtimeEntry[];
  gap: HtimeGap | null;
  ended: boolean;
}

export class ChangelogAgent implements ChangelogSource {
  readonly #options: ChangelogAgentOptions;
  readonly #timeline: Timeline;
  readonly #live: Stage;
  readonly #past: Stage;
  #registered: { readonly time: number; readonly cursor: Cursor } | null = null;
  /** How far live consumption has read the index. */
  #cursor: Cursor | null = null;
  #liveWalk: Walk | null = null;
  #pastWalk: Walk | null = null;
  #watch: DirectoryWatch | null = null;
  #news: Promise<void> | null = null;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: ChangelogAgentOptions) {
    this.#options = options;
    this.#timeline = new Timeline(options.changelogDir);
    this.#live = new Stage(options.workingDir);
    this.#past = new Stage(join(options.workingDir, '.history'));
  }

  register(): Promise<number> {
    return this.#inTurn(async () => {
      this.#watch?.close();
      this.#watch = null;
      const cursor = await this.#findEnd();
      // History goes up to this time: a journal before the cursor that is named later would be nobody's.
      const time = Math.max(Math.floor(Date.now() / 1000), cursor.time);
      await this.#requireOpenJournal();
      await this.#live.prepare();
      await this.#past.prepare();
      this.#registered = { time, cursor };
      this.#cursor = cursor;
      await this.#dropWalks('live', 'past');
      this.#watch = new DirectoryWatch(this.#timeline.htimeDir, this.#options.changeIntervalMs);
      return time;
    });
  }

  scan(): Promise<number> {
    return this.#inTurn(async () => {
      const cursor = this.#requireRegistered(this.#cursor);
      if (this.#liveWalk === null || this.#liveWalk.ended) {
        this.#liveWalk = newWalk(this.#timeline.walk(cursor), this.#live, 'fail');
      }
      return this.#makeReady(this.#liveWalk, (reached) => {
        this.#cursor = reached;
      });
    });
  }

  getchanges(): Promise<string[]> {
    return this.#live.list();
  }

  done(path: string): Promise<void> {
    return this.#live.done(path);
  }

  history(startTime: number, endTime: number): Promise<HistoryResult> {
    return this.#inTurn(async () => {
      const { time, cursor } = this.#requireRegistered(this.#registered);
      await this.#dropWalks('past');
      await this.#past.prepare();
      const range = await this.#timeline.survey(startTime, endTime, cursor);
      if (range === null) return { status: 'unavailable', actualEnd: 0 };
      if (range.first !== null && (await this.#timeline.files.locate(range.first)) === null) {
        // Journals are removed from the oldest on: when one before this is still there, this one is a loss.
        const kept = range.previous !== null && (await this.#timeline.files.locate(range.previous)) !== null;
        if (kept) throw missingJournal(range.first);
        return { status: 'unavailable', actualEnd: 0 };
      }
      this.#pastWalk = newWalk(this.#timeline.walk(range.from, range.to), this.#past, 'pass');
      const gap = range.gaps[0];
      if (gap !== undefined) return { status: 'partial', actualEnd: Math.max(startTime, gap.from) };
      const whole = range.to === cursor ? Math.min(endTime, time) : 0;
      return { status: 'ok', actualEnd: Math.max(range.to.time, whole) };
    });
  }

  historyScan(): Promise<number> {
    return this.#inTurn(async () => (this.#pastWalk === null ? 0 : this.#makeReady(this.#pastWalk)));
  }

  historyGetchanges(): Promise<string[]> {
    return this.#past.list();
  }

  historyDone(path: string): Promise<void> {
    return this.#past.done(path);
  }

  news(): Promise<void> {
    this.#news ??= this.#untilNews().finally(() => {
      this.#news = null;
    });
    return this.#news;
  }

  close(): void {
    this.#watch?.close();
    void this.#inTurn(() => this.#dropWalks('live', 'past'));
  }

  async #untilNews(): Promise<void> {
    const watch = this.#requireRegistered(this.#watch);
    while (!watch.closed) {
      const changed = watch.next();
      if (await this.#hasNews()) return;
      await changed;
    }
  }

  async #hasNews(): Promise<boolean> {
    const walk = this.#liveWalk;
    if (walk !== null && (walk.pending.length > 0 || walk.gap !== null)) return true;
    return this.#timeline.hasMore(this.#requireRegistered(this.#cursor));
  }

  /** Walks hold a file of the index open. */
  async #dropWalks(...which: readonly ('live' | 'past')[]): Promise<void> {
    if (which.includes('live')) {
      await this.#liveWalk?.steps.return(undefined);
      this.#liveWalk = null;
    }
    if (which.includes('past')) {
      await this.#pastWalk?.steps.return(undefined);
      this.#pastWalk = null;
    }
  }

  /** Puts journals of a walk into its stage until a bound is reached or the walk ends. What cannot be read stays
   *  first in the queue, so that the next call meets it again. */
  async #makeReady(walk: Walk, reached?: (cursor: Cursor) => void): Promise<number> {
    const { maxJournals = 1000, maxBytes = 32 * 1024 * 1024 } = this.#options;
    let ready = 0;
    let bytes = 0;
    while (ready < maxJournals && bytes < maxBytes) {
      const journal = walk.pending[0];
      if (journal === undefined) {
        if (walk.gap !== null && walk.gaps === 'fail') throw this.#gapError(walk.gap);
        const step = await walk.steps.next();
        if (step.done === true) {
          walk.ended = true;
          break;
        }
        if (step.value.kind === 'gap') walk.gap = step.value.gap;
        else {
          walk.pending = step.value.journals.filter(({ empty }) => !empty);
          reached?.(step.value.cursor);
        }
        continue;
      }
      const size = await this.#put(walk.stage, journal);
      if (size === null) break;
      walk.pending.shift();
      bytes += size;
      if (size > 0) ready += 1;
    }
    return ready;
  }

  async #put(stage: Stage, journal: HtimeEntry): Promise<number | null> {
    const path = await this.#timeline.files.locate(journal);
    if (path === null) throw missingJournal(journal);
    try {
      return await stage.put(path, journal.time);
    } catch (error) {
      if (errnoCode(error) === 'ENOENT') throw missingJournal(journal, error);
      throw error;
    }
  }

  async #findEnd(): Promise<Cursor> {
    const dir = this.#timeline.htimeDir;
    try {
      const end = await this.#timeline.end();
      if (end !== null) return end;
    } catch (cause) {
      if (errnoCode(cause) !== 'ENOENT') throw cause;
    }
    throw new GsyncdError(`register changelog consumer: ${dir}: no journal index; is changelog.changelog on?`, {
      code: 'changelog',
    });
  }

  async #requireOpenJournal(): Promise<void> {
    const path = join(this.#options.changelogDir, OPEN_JOURNAL);
    const watch = new DirectoryWatch(this.#options.changelogDir, ROLLOVER_MS);
    const deadlineMs = performance.now() + ROLLOVER_MS;
    try {
      for (;;) {
        const changed = watch.next();
        if (await isThere(path)) return;
        if (performance.now() >= deadlineMs) break;
        await changed;
      }
    } finally {
      watch.close();
    }
    throw new GsyncdError(`register changelog consumer: ${path}: no open journal; is changelog.changelog on?`, {
      code: 'changelog',
    });
  }

  #gapError(gap: HtimeGap): GsyncdError {
    const dir = this.#timeline.htimeDir;
    return new GsyncdError(`scan changelogs: ${dir}: journaling was off from ${gap.from} to ${gap.to}`, {
      code: 'partial-history',
    });
  }

  #requireRegistered<T>(value: T | null): T {
    if (value === null) throw new Error('changelog agent: not registered');
    return value;
  }

  /** Runs one verb after the other. */
  #inTurn<T>(verb: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(verb);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

function newWalk(steps: AsyncGenerator<TimelineStep>, stage: Stage, gaps: Walk['gaps']): Walk {
  return { steps, stage, gaps, pending: [], gap: null, ended: false };
}

function missingJournal(journal: HtimeEntry, cause?: unknown): GsyncdError {
  return new GsyncdError(`read journal: ${journal.path}: listed, but missing`, { code: 'changelog', cause });
}
