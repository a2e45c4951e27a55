// The changelog agent of a real brick. It reads changelogs and their index directly from the brick, without
// libgfchangelog and its socket. It hands them to crawls as text files in libgfchangelog's working directories. The
// register cursor, a position in the index, separates live changelogs from history. Live are the entries after the
// cursor, and unlisted changelogs that precede one of these entries. All others are history. A scan makes a bounded
// number of changelogs ready, so memory and disk use do not grow with the backlog.

import { join } from 'node:path';
import { errnoCode, GsyncdError, isGsyncdError } from '../errors.js';
import { isThere } from '../native/if-there.js';
import { loadClockNote, saveClockNote } from './clock-note.js';
import { DirectoryWatch } from './directory-watch.js';
import type { HtimeEntry } from './htime.js';
import { Stage } from './stage.js';
import type { ChangelogSource, HistoryResult, ChangelogLoss } from './source.js';
import { CLOCK_SKEW_S, Timeline, type ClockSetBack, type Cursor, type TimelineStep } from './timeline.js';

const OPEN_CHANGELOG = 'CHANGELOG';
/** A rollover leaves the brick without an open changelog for a moment. */
const ROLLOVER_MS = 1000;

export interface ChangelogAgentOptions {
  /** `<brick>/.glusterfs/changelogs` */
  readonly changelogDir: string;
  /** The brick's working directory. `.processing` and its siblings are created in it. */
  readonly workingDir: string;
  /** Longest time between two checks of the index, even if the kernel reports no change. */
  readonly changeIntervalMs: number;
  /** Limits of one scan, which ends when it reaches either. Defaults: 1000 changelogs, 32 MiB of text. */
  readonly maxChangelogs?: number;
  readonly maxBytes?: number;
}

interface Walk {
  readonly steps: AsyncGenerator<TimelineStep>;
  readonly stage: Stage;
  /** Index entries that are not ready yet. */
  pending: HtimeEntry[];
  /** Unlisted changelogs that follow the last step. */
  tail: readonly HtimeEntry[];
  /** Seconds: when the changelog before the first pending one closed. */
  time: number;
  /** The error that stopped the walk. */
  halt: GsyncdError | null;
  ended: boolean;
}

export class ChangelogAgent implements ChangelogSource {
  readonly #options: ChangelogAgentOptions;
  readonly #timeline: Timeline;
  readonly #live: Stage;
  readonly #past: Stage;
  #registered: { readonly time: number; readonly cursor: Cursor } | null = null;
  /** The position up to which live consumption has read the index. */
  #cursor: Cursor | null = null;
  #liveWalk: Walk | null = null;
  #pastWalk: Walk | null = null;
  #losses: ChangelogLoss[] = [];
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
      // The time is never below the cursor's. Otherwise a changelog before the cursor whose name has a later time
      // would belong neither to history nor to live.
      const time = Math.max(Math.floor(Date.now() / 1000), cursor.time);
      await this.#requireOpenChangelog();
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
        this.#liveWalk = newWalk(this.#timeline.walk(cursor), this.#live, cursor.time);
      }
      return this.#makeReady(this.#liveWalk, (reached) => {
        this.#cursor = reached;
      });
    });
  }

  reached(): number {
    return this.#liveWalk?.time ?? 0;
  }

  getchanges(): Promise<string[]> {
    return this.#live.list();
  }

  done(path: string): Promise<void> {
    return this.#live.done(path);
  }

  history(startTime: number): Promise<HistoryResult> {
    return this.#inTurn(async () => {
      const { time, cursor } = this.#requireRegistered(this.#registered);
      await this.#dropWalks('past');
      await this.#past.prepare();
      this.#losses = [];
      const note = await loadClockNote(this.#options.workingDir);
      const passed = note !== null && startTime >= note.time ? note : null;
      const range = await this.#timeline.survey(startTime, cursor, passed);
      // An stime from the future matches no changelog here, so its position in the history is unknown.
      if (range === null || (range.from === null && startTime > time + CLOCK_SKEW_S)) return UNAVAILABLE;
      const { from, to, first, previous } = range;
      const unlisted = range.setBack === null ? null : await this.#timeline.unlistedAtSetBack(range.setBack);
      const setBack = range.setBack === null ? null : { ...range.setBack, to: unlisted?.after[0]?.time ?? range.setBack.to };
      if (first !== null && (await this.#timeline.files.locate(first)) === null) {
        // The oldest changelogs are removed first. If the previous changelog still exists, this one is lost, not
        // removed.
        const kept = previous !== null && (await this.#timeline.files.locate(previous)) !== null;
        if (!kept) return UNAVAILABLE;
      }
      this.#pastWalk = newWalk(this.#timeline.walk(from ?? to, to), this.#past, from?.time ?? to.time);
      this.#pastWalk.tail = (unlisted?.before ?? []).filter((changelog) => changelog.time >= startTime);
      if (passed !== null && from?.created === passed.created && from.offset === passed.offset) {
        this.#pastWalk.pending = (await this.#timeline.unlistedAtSetBack({ from: passed.time, at: passed })).after;
      }
      const gap = range.gaps[0];
      if (gap !== undefined) return { status: 'partial', actualEnd: gap.to < gap.from ? 0 : Math.max(startTime, gap.from), setBack };
      return { status: 'ok', actualEnd: to === cursor ? Math.max(to.time, time) : to.time, setBack };
    });
  }

  async passSetBack(setBack: ClockSetBack): Promise<void> {
    await saveClockNote(this.#options.workingDir, setBack);
  }

  historyBegin(): Promise<number | null> {
    return this.#timeline.begin();
  }

  historyScan(): Promise<number> {
    return this.#inTurn(async () => (this.#pastWalk === null ? 0 : this.#makeReady(this.#pastWalk)));
  }

  historyLosses(): ChangelogLoss[] {
    return this.#losses.splice(0);
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
    if (walk !== null && (walk.pending.length > 0 || walk.halt !== null)) return true;
    return this.#timeline.hasMore(this.#requireRegistered(this.#cursor));
  }

  /** A walk keeps an index file open. */
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

  /** Makes changelogs of a walk ready until a limit is reached or the walk ends. A history walk continues past gaps, a
   *  clock that was set back and unreadable changelogs.
   *  @throws GsyncdError('partial-history') in a live walk, when it meets one of these; each later call throws it
   *  again */
  async #makeReady(walk: Walk, reached?: (cursor: Cursor) => void): Promise<number> {
    const { maxChangelogs = 1000, maxBytes = 32 * 1024 * 1024 } = this.#options;
    let ready = 0;
    let bytes = 0;
    while (ready < maxChangelogs && bytes < maxBytes) {
      if (walk.halt !== null) throw walk.halt;
      const changelog = walk.pending[0];
      if (changelog === undefined) {
        const step = await walk.steps.next();
        if (step.done === true) {
          walk.pending = [...walk.tail];
          walk.tail = [];
          walk.ended = walk.pending.length === 0;
          if (walk.ended) break;
          continue;
        }
        if (step.value.kind === 'changelogs') {
          walk.pending = [...step.value.changelogs];
          reached?.(step.value.cursor);
        } else if (walk.stage === this.#live) walk.halt = this.#haltError(haltReason(step.value));
        continue;
      }
      const size = changelog.empty ? 0 : await this.#put(walk, changelog);
      if (size === null) break;
      walk.pending.shift();
      walk.time = changelog.time;
      bytes += size;
      if (size > 0) ready += 1;
    }
    return ready;
  }

  /** @returns bytes of text; null if the changelog has to wait
   *  @throws GsyncdError('partial-history') in a live walk, if the changelog cannot be read */
  async #put(walk: Walk, changelog: HtimeEntry): Promise<number | null> {
    const path = await this.#timeline.files.locate(changelog);
    try {
      if (path === null) throw missingChangelog(changelog);
      return await walk.stage.put(path, changelog.time);
    } catch (error) {
      const reason = lossReason(error, changelog);
      if (reason === null) throw error;
      if (walk.stage === this.#live) {
        walk.halt = this.#haltError(reason);
        throw walk.halt;
      }
      if (path !== null) await walk.stage.keepAside(path, changelog.time);
      this.#losses.push({ path: path ?? changelog.path, reason, from: Math.min(walk.time, changelog.time), to: changelog.time });
      return 0;
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
    throw new GsyncdError(`register changelog consumer: ${dir}: no changelog index; is changelog.changelog on?`, {
      code: 'changelog',
    });
  }

  async #requireOpenChangelog(): Promise<void> {
    const path = join(this.#options.changelogDir, OPEN_CHANGELOG);
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
    throw new GsyncdError(`register changelog consumer: ${path}: no open changelog; is changelog.changelog on?`, {
      code: 'changelog',
    });
  }

  #haltError(reason: string): GsyncdError {
    return new GsyncdError(`scan changelogs: ${this.#timeline.htimeDir}: ${reason}`, { code: 'partial-history' });
  }

  #requireRegistered<T>(value: T | null): T {
    if (value === null) throw new Error('changelog agent: not registered');
    return value;
  }

  /** Runs one verb at a time, in the order of the calls. */
  #inTurn<T>(verb: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(verb);
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

const UNAVAILABLE: HistoryResult = { status: 'unavailable', actualEnd: 0, setBack: null };

function newWalk(steps: AsyncGenerator<TimelineStep>, stage: Stage, time: number): Walk {
  return { steps, stage, pending: [], tail: [], time, halt: null, ended: false };
}

function haltReason(step: Exclude<TimelineStep, { kind: 'changelogs' }>): string {
  if (step.kind === 'gap') return `recording of changes was off from ${step.gap.from} to ${step.gap.to}`;
  return `the clock was set back from ${step.setBack.from} to ${step.setBack.to}`;
}

/** @returns null if a retry may succeed */
function lossReason(error: unknown, changelog: HtimeEntry): string | null {
  if (errnoCode(error) === 'ENOENT') return missingChangelog(changelog).message;
  if (errnoCode(error) === 'EIO') return `read changelog: ${changelog.path}: input/output error`;
  return isGsyncdError(error, 'changelog') ? error.message : null;
}

function missingChangelog(changelog: HtimeEntry): GsyncdError {
  return new GsyncdError(`read changelog: ${changelog.path}: listed, but missing`, { code: 'changelog' });
}
