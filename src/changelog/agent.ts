// The changelog agent of a real brick. It reads changelogs and their index directly from the brick, without
// libgfchangelog and its socket. It hands them to crawls as text files in libgfchangelog's working directories. The
// register cursor, a position in the index, separates live changelogs from history. Live are the entries after the
// cursor, and unlisted changelogs that precede one of these entries. All others are history. A scan makes a bounded
// number of changelogs ready, so memory and disk use do not grow with the backlog.

import { basename, join } from 'node:path';
import { errnoCode, GsyncdError, isGsyncdError } from '../errors.js';
import { isThere } from '../native/if-there.js';
import { OPEN_CHANGELOG } from './changelog-files.js';
import { loadClockNote, saveClockNote } from './clock-note.js';
import { DirectoryWatch } from './directory-watch.js';
import type { HtimeEntry } from './htime.js';
import { OpenChangelog } from './open-changelog.js';
import type { ChangeRecord } from './record.js';
import { Stage } from './stage.js';
import type { ChangelogLoss, ChangelogSource, HistoryResult, OpenChangelogSource } from './source.js';
import { MAX_CLOCK_SKEW_S, Timeline, type ClockSetBack, type Cursor, type TimelineStep } from './timeline.js';

/** Interval of wake-ups for lost events of the kernel. */
const OPEN_CHANGELOG_INTERVAL_MS = 60_000;
/** A rollover leaves the brick without an open changelog for a moment. */
const ROLLOVER_TIMEOUT_MS = 1000;

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
  unlistedTail: readonly HtimeEntry[];
  /** Seconds: when the changelog before the first pending one closed. */
  time: number;
  /** The error that stopped the walk. */
  error: GsyncdError | null;
  isEnded: boolean;
}

export class ChangelogAgent implements ChangelogSource {
  readonly #options: ChangelogAgentOptions;
  readonly #timeline: Timeline;
  readonly #liveStage: Stage;
  readonly #historyStage: Stage;
  #registered: { readonly time: number; readonly cursor: Cursor } | null = null;
  /** The position up to which live consumption has read the index. */
  #liveCursor: Cursor | null = null;
  #liveWalk: Walk | null = null;
  #historyWalk: Walk | null = null;
  #losses: ChangelogLoss[] = [];
  #watch: DirectoryWatch | null = null;
  /** Notices records in the open changelog. Set by the first call of grown(). */
  #openWatch: DirectoryWatch | null = null;
  readonly #openChangelog: OpenChangelog;
  /** Numbers of records of ready changelogs, by name, that were taken while the changelog was open. */
  readonly #takenRecords = new Map<string, number>();
  #pendingNews: Promise<void> | null = null;
  #lastCall: Promise<unknown> = Promise.resolve();

  constructor(options: ChangelogAgentOptions) {
    this.#options = options;
    this.#timeline = new Timeline(options.changelogDir);
    this.#liveStage = new Stage(options.workingDir);
    this.#historyStage = new Stage(join(options.workingDir, '.history'));
    this.#openChangelog = new OpenChangelog(options.changelogDir);
  }

  register(): Promise<number> {
    return this.#serialize(async () => {
      this.#watch?.close();
      this.#watch = null;
      const cursor = await this.#findIndexEnd();
      // The time is never below the cursor's. Otherwise a changelog before the cursor whose name has a later time
      // would belong neither to history nor to live.
      const time = Math.max(Math.floor(Date.now() / 1000), cursor.time);
      await this.#requireOpenChangelog();
      await this.#liveStage.prepare();
      await this.#historyStage.prepare();
      this.#registered = { time, cursor };
      this.#liveCursor = cursor;
      await this.#dropWalks('live', 'history');
      await this.#openChangelog.close();
      this.#takenRecords.clear();
      this.#watch = new DirectoryWatch(this.#timeline.htimeDir, this.#options.changeIntervalMs);
      return time;
    });
  }

  scan(): Promise<number> {
    return this.#serialize(async () => {
      const cursor = this.#requireRegistered(this.#liveCursor);
      if (this.#liveWalk === null || this.#liveWalk.isEnded) {
        this.#liveWalk = newWalk(this.#timeline.walk(cursor), this.#liveStage, cursor.time);
      }
      return this.#makeReady(this.#liveWalk, (readCursor) => {
        this.#liveCursor = readCursor;
      });
    });
  }

  reached(): number {
    return this.#liveWalk?.time ?? 0;
  }

  getchanges(): Promise<string[]> {
    return this.#liveStage.list();
  }

  done(path: string): Promise<void> {
    this.#takenRecords.delete(basename(path));
    return this.#liveStage.done(path);
  }

  readonly open: OpenChangelogSource = {
    grown: () => {
      this.#openWatch ??= new DirectoryWatch(this.#options.changelogDir, OPEN_CHANGELOG_INTERVAL_MS);
      return this.#openWatch.next();
    },
    take: () => this.#serialize(() => this.#takeOpen()),
    taken: (path) => this.#takenRecords.get(basename(path)) ?? 0,
  };

  history(startTime: number): Promise<HistoryResult> {
    return this.#serialize(async () => {
      const { time, cursor } = this.#requireRegistered(this.#registered);
      await this.#dropWalks('history');
      await this.#historyStage.prepare();
      this.#losses = [];
      const note = await loadClockNote(this.#options.workingDir);
      const resumeAt = note !== null && startTime >= note.time ? note : null;
      const range = await this.#timeline.survey(startTime, cursor, resumeAt);
      // An stime from the future matches no changelog here, so its position in the history is unknown.
      if (range === null || (range.from === null && startTime > time + MAX_CLOCK_SKEW_S)) return UNAVAILABLE;
      const { from, to, first, previous } = range;
      const unlisted = range.setBack === null ? null : await this.#timeline.unlistedAtSetBack(range.setBack);
      const setBack =
        range.setBack === null ? null : { ...range.setBack, to: unlisted?.after[0]?.time ?? range.setBack.to };
      if (first !== null && (await this.#timeline.files.locate(first)) === null) {
        // The oldest changelogs are removed first. If the previous changelog still exists, this one is lost, not
        // removed.
        const isPreviousPresent = previous !== null && (await this.#timeline.files.locate(previous)) !== null;
        if (!isPreviousPresent) return UNAVAILABLE;
      }
      this.#historyWalk = newWalk(this.#timeline.walk(from ?? to, to), this.#historyStage, from?.time ?? to.time);
      this.#historyWalk.unlistedTail = (unlisted?.before ?? []).filter((changelog) => changelog.time >= startTime);
      if (resumeAt !== null && from?.created === resumeAt.created && from.offset === resumeAt.offset) {
        this.#historyWalk.pending = (
          await this.#timeline.unlistedAtSetBack({ from: resumeAt.time, at: resumeAt })
        ).after;
      }
      const gap = range.gaps[0];
      if (gap !== undefined)
        return { status: 'partial', actualEnd: gap.to < gap.from ? 0 : Math.max(startTime, gap.from), setBack };
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
    return this.#serialize(async () => (this.#historyWalk === null ? 0 : this.#makeReady(this.#historyWalk)));
  }

  historyLosses(): ChangelogLoss[] {
    return this.#losses.splice(0);
  }

  historyGetchanges(): Promise<string[]> {
    return this.#historyStage.list();
  }

  historyDone(path: string): Promise<void> {
    return this.#historyStage.done(path);
  }

  news(): Promise<void> {
    this.#pendingNews ??= this.#waitForNews().finally(() => {
      this.#pendingNews = null;
    });
    return this.#pendingNews;
  }

  close(): void {
    this.#watch?.close();
    this.#openWatch?.close();
    void this.#serialize(async () => {
      await this.#openChangelog.close();
      await this.#dropWalks('live', 'history');
    });
  }

  async #waitForNews(): Promise<void> {
    const watch = this.#requireRegistered(this.#watch);
    while (!watch.closed) {
      const changed = watch.next();
      if (await this.#hasNews()) return;
      await changed;
    }
  }

  async #hasNews(): Promise<boolean> {
    const walk = this.#liveWalk;
    if (walk !== null && (walk.pending.length > 0 || walk.error !== null)) return true;
    return this.#timeline.hasMore(this.#requireRegistered(this.#liveCursor));
  }

  /** A walk keeps an index file open. */
  async #dropWalks(...kinds: readonly ('live' | 'history')[]): Promise<void> {
    if (kinds.includes('live')) {
      await this.#liveWalk?.steps.return(undefined);
      this.#liveWalk = null;
    }
    if (kinds.includes('history')) {
      await this.#historyWalk?.steps.return(undefined);
      this.#historyWalk = null;
    }
  }

  /** Makes changelogs of a walk ready until a limit is reached or the walk ends. A history walk continues past gaps, a
   *  clock that was set back and unreadable changelogs.
   *  @throws GsyncdError('partial-history') in a live walk, when it meets one of these; each later call throws it
   *  again */
  async #makeReady(walk: Walk, onCursor?: (cursor: Cursor) => void): Promise<number> {
    const { maxChangelogs = 1000, maxBytes = 32 * 1024 * 1024 } = this.#options;
    let readyCount = 0;
    let bytes = 0;
    while (readyCount < maxChangelogs && bytes < maxBytes) {
      if (walk.error !== null) throw walk.error;
      const changelog = walk.pending[0];
      if (changelog === undefined) {
        const step = await walk.steps.next();
        if (step.done === true) {
          walk.pending = [...walk.unlistedTail];
          walk.unlistedTail = [];
          walk.isEnded = walk.pending.length === 0;
          if (walk.isEnded) break;
          continue;
        }
        if (step.value.kind === 'changelogs') {
          walk.pending = [...step.value.changelogs];
          onCursor?.(step.value.cursor);
        } else if (walk.stage === this.#liveStage) walk.error = this.#walkError(interruptionReason(step.value));
        continue;
      }
      const size = changelog.isEmpty ? 0 : await this.#stageChangelog(walk, changelog);
      if (size === null) break;
      walk.pending.shift();
      walk.time = changelog.time;
      bytes += size;
      if (size > 0) readyCount += 1;
    }
    return readyCount;
  }

  /** @returns bytes of text; null if the changelog has to wait
   *  @throws GsyncdError('partial-history') in a live walk, if the changelog cannot be read */
  async #stageChangelog(walk: Walk, changelog: HtimeEntry): Promise<number | null> {
    const path = await this.#timeline.files.locate(changelog);
    try {
      if (path === null) throw missingChangelog(changelog);
      const size = await walk.stage.put(path, changelog.time);
      if (walk.stage === this.#liveStage && size !== null) await this.#noteTaken(path, changelog.time);
      return size;
    } catch (error) {
      const reason = lossReason(error, changelog);
      if (reason === null) throw error;
      if (walk.stage === this.#liveStage) {
        walk.error = this.#walkError(reason);
        throw walk.error;
      }
      if (path !== null) await walk.stage.keepDamagedCopy(path, changelog.time);
      this.#losses.push({
        path: path ?? changelog.path,
        reason,
        from: Math.min(walk.time, changelog.time),
        to: changelog.time,
      });
      return 0;
    }
  }

  async #takeOpen(): Promise<readonly ChangeRecord[]> {
    const cursor = this.#requireRegistered(this.#liveCursor);
    // An earlier worker may have sent a part of the first changelog.
    if (cursor === this.#registered?.cursor || (await this.#hasNews())) return [];
    const isBehind = async (): Promise<boolean> =>
      (await this.#hasNews()) || this.#timeline.files.existAfter(cursor.time);
    try {
      return await this.#openChangelog.read({ time: cursor.time, isBehind });
    } catch (error) {
      // The changelog is read once more when it is closed.
      if (errnoCode(error) === undefined) throw error;
      return [];
    }
  }

  async #noteTaken(path: string, time: number): Promise<void> {
    const taken = await this.#openChangelog.closed(path);
    if (taken > 0) this.#takenRecords.set(`CHANGELOG.${time}`, taken);
  }

  async #findIndexEnd(): Promise<Cursor> {
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
    const watch = new DirectoryWatch(this.#options.changelogDir, ROLLOVER_TIMEOUT_MS);
    const deadlineMs = performance.now() + ROLLOVER_TIMEOUT_MS;
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

  #walkError(reason: string): GsyncdError {
    return new GsyncdError(`scan changelogs: ${this.#timeline.htimeDir}: ${reason}`, { code: 'partial-history' });
  }

  #requireRegistered<T>(value: T | null): T {
    if (value === null) throw new Error('changelog agent: not registered');
    return value;
  }

  /** Runs one call at a time, in the order of the calls. */
  #serialize<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#lastCall.then(call);
    this.#lastCall = result.catch(() => undefined);
    return result;
  }
}

const UNAVAILABLE: HistoryResult = { status: 'unavailable', actualEnd: 0, setBack: null };

function newWalk(steps: AsyncGenerator<TimelineStep>, stage: Stage, time: number): Walk {
  return { steps, stage, pending: [], unlistedTail: [], time, error: null, isEnded: false };
}

function interruptionReason(step: Exclude<TimelineStep, { kind: 'changelogs' }>): string {
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
