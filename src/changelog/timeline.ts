// The changelogs of a brick in the order in which they closed: the index files one after the other, unlisted
// changelogs in between, and the gaps between index files. Live and history consumption both walk it, between
// different cursors. A cursor stands directly after a listed entry. Unlisted changelogs after that entry belong to the
// walk that starts there. So two walks that meet at a cursor share no changelog and miss none.
//
// The index defines the order. Times ascend with it until the brick's clock is set back. There a range of history
// ends, and the next one begins.

import { join } from 'node:path';
import {
  gapBetween,
  findHtimeEnd,
  listHtimeFiles,
  readEntries,
  readHtime,
  type HtimeEntry,
  type HtimeFile,
  type HtimeGap,
  type HtimePosition,
} from './htime.js';
import { ChangelogFiles } from './changelog-files.js';

export interface Cursor extends HtimePosition {
  /** Seconds: the last listed entry before the cursor, or the creation of the index file if there is none. */
  readonly time: number;
}

/** A position in the index after which the times are earlier than before it. */
export interface ClockSetBack {
  /** Seconds: times of the changelogs before and after it. */
  readonly from: number;
  readonly to: number;
  readonly at: HtimePosition;
}

export type TimelineStep =
  | { readonly kind: 'changelogs'; readonly changelogs: readonly HtimeEntry[]; readonly cursor: Cursor }
  | { readonly kind: 'gap'; readonly gap: HtimeGap }
  | { readonly kind: 'set back'; readonly setBack: ClockSetBack };

/** An stime from another node's clock may be ahead by this much. */
export const MAX_CLOCK_SKEW_S = 120;

/** Facts about a range of history that are known before its first changelog is read. */
export interface RangeSurvey {
  /** Start of the walk: directly before the first listed entry at or after the start time; null if there is none. */
  readonly from: Cursor | null;
  readonly to: Cursor;
  /** Set if the clock was set back at the end of the range and the index goes on. */
  readonly setBack: ClockSetBack | null;
  /** Gaps that reach into the range. */
  readonly gaps: readonly HtimeGap[];
  /** The first changelog of the range that is not empty, and the last such one before the range. */
  readonly first: HtimeEntry | null;
  readonly previous: HtimeEntry | null;
}

export class Timeline {
  readonly files: ChangelogFiles;
  readonly #htimeDir: string;
  /** Times of the non-empty changelogs in the part of the index that was read for them. */
  readonly #listedTimes = new Set<number>();
  readonly #listedOffsets = new Map<string, number>();

  /** @param dir the changelog directory, `<brick>/.glusterfs/changelogs` */
  constructor(dir: string) {
    this.files = new ChangelogFiles(dir);
    this.#htimeDir = join(dir, 'htime');
  }

  get htimeDir(): string {
    return this.#htimeDir;
  }

  /** The present end of the index; null if there is no index. */
  end(): Promise<Cursor | null> {
    return findHtimeEnd(this.#htimeDir);
  }

  /** Yields everything between two cursors, or from one to the present end, in parts of bounded size. */
  async *walk(from: Cursor, to?: Cursor): AsyncGenerator<TimelineStep> {
    let time = from.time;
    for (const file of await this.#filesBetween(from, to)) {
      const isResumed = file.created === from.created;
      const gap = isResumed ? undefined : gapBetween(time, file.created);
      if (gap !== undefined) yield { kind: 'gap', gap };
      let offset = isResumed ? from.offset : 0;
      const endOffset = file.created === to?.created ? to.offset : undefined;
      for await (const part of readEntries(file.path, offset, endOffset)) {
        for (const run of ascendingRuns(part.entries, time)) {
          const first = part.entries[run.start];
          if (first !== undefined && first.time < time) {
            yield { kind: 'set back', setBack: { from: time, to: first.time, at: { created: file.created, offset } } };
            time = first.time - 1;
          }
          const entries = part.entries.slice(run.start, run.end);
          const changelogs = await this.files.mergeUnlisted(time, entries, () => this.#loadListedTimes());
          time = entries.at(-1)?.time ?? time;
          offset = part.ends[run.end - 1] ?? offset;
          yield { kind: 'changelogs', changelogs, cursor: { created: file.created, offset, time } };
        }
      }
    }
  }

  /** Whether a walk from `cursor` would yield anything. */
  async hasMore(cursor: Cursor): Promise<boolean> {
    for (const { path, created } of await this.#filesBetween(cursor)) {
      const isResumed = created === cursor.created;
      if (!isResumed && gapBetween(cursor.time, created) !== undefined) return true;
      const parts = readEntries(path, isResumed ? cursor.offset : 0);
      const first = await parts.next();
      await parts.return(undefined);
      if (first.done !== true) return true;
    }
    return false;
  }

  /** Unlisted changelogs that closed between the last entry before the clock was set back and the first one after:
   *  `before` by the old clock, `after` by the new one. */
  async unlistedAtSetBack({
    from,
    at,
  }: Pick<ClockSetBack, 'from' | 'at'>): Promise<{ before: HtimeEntry[]; after: HtimeEntry[] }> {
    const parts = readEntries(join(this.#htimeDir, `HTIME.${at.created}`), at.offset);
    const part = await parts.next();
    await parts.return(undefined);
    const first = part.done === true ? undefined : part.value.entries[0];
    return this.files.findUnlistedAtSetBack(from, first?.time ?? from, await this.#loadListedTimes());
  }

  async #loadListedTimes(): Promise<ReadonlySet<number>> {
    for (const { path } of await listHtimeFiles(this.#htimeDir)) {
      for await (const { entries, ends } of readEntries(path, this.#listedOffsets.get(path) ?? 0)) {
        for (const { time, isEmpty } of entries) if (!isEmpty) this.#listedTimes.add(time);
        this.#listedOffsets.set(path, ends.at(-1) ?? 0);
      }
    }
    return this.#listedTimes;
  }

  /** Seconds: since when changes are recorded without a gap; null if there is no index. */
  async begin(): Promise<number | null> {
    const { files, gaps } = await readHtime(this.#htimeDir);
    return gaps.at(-1)?.to ?? files[0]?.created ?? null;
  }

  /**
   * Finds the range of the changelogs that closed at or after `startTime`, up to `limit` or to where the clock was set
   * back. It returns the first such range: by any clock, everything before it in the index is older than `startTime`.
   * @param resumeAt a position that only older changelogs precede; its `time` is below the times that follow
   * @returns null when the index starts later than `startTime`
   */
  async survey(startTime: number, limit: Cursor, resumeAt: Cursor | null = null): Promise<RangeSurvey | null> {
    const allFiles = await this.#filesBetween(null, limit);
    const resumeIndex = resumeAt === null ? -1 : allFiles.findIndex(({ created }) => created === resumeAt.created);
    const files = allFiles.slice(Math.max(resumeIndex, 0));
    const [oldest] = files;
    if (oldest === undefined) return null;
    const resumedFrom = resumeIndex < 0 ? null : resumeAt;
    const isBeforeIndex = resumedFrom === null && startTime < oldest.created;
    // No entry reaches this stime: it may come from the old clock. If it is older than the index, it may come from the
    // new clock.
    const mayBeFrom = (before: number, after: number): boolean =>
      isBeforeIndex
        ? after <= startTime + MAX_CLOCK_SKEW_S
        : after < startTime && startTime <= before + MAX_CLOCK_SKEW_S;
    const gaps: HtimeGap[] = [];
    let from: Cursor | null = null;
    let first: HtimeEntry | null = null;
    let previous: HtimeEntry | null = null;
    let time = resumedFrom?.time ?? oldest.created;
    for (const file of files) {
      const gap = file === oldest ? undefined : gapBetween(time, file.created);
      if (gap !== undefined && (from !== null || gap.to > startTime || mayBeFrom(gap.from, gap.to))) gaps.push(gap);
      let offset = file === oldest ? (resumedFrom?.offset ?? 0) : 0;
      const endOffset = file.created === limit.created ? limit.offset : undefined;
      for await (const { entries, ends } of readEntries(file.path, offset, endOffset)) {
        for (const [i, entry] of entries.entries()) {
          const { created } = file;
          if (entry.time < time) {
            if (from === null && mayBeFrom(time, entry.time)) from = { created, offset, time };
            if (from !== null) {
              const setBack = { from: time, to: entry.time, at: { created, offset } };
              return { from, to: { created, offset, time }, setBack, gaps, first, previous };
            }
          }
          // The worker has consumed unlisted changelogs before the start time, so the cursor's time excludes them.
          if (entry.time >= startTime && !isBeforeIndex)
            from ??= { created, offset, time: Math.max(time, startTime - 1) };
          offset = ends[i] ?? offset;
          time = entry.time;
          if (from === null) previous = entry.isEmpty ? previous : entry;
          else if (!entry.isEmpty) first ??= entry;
        }
      }
    }
    if (isBeforeIndex) return null;
    return { from, to: limit, setBack: null, gaps, first, previous };
  }

  /** The index files between two positions, in order. If the file of `from` is gone, the list begins with the next
   *  younger file. */
  async #filesBetween(from: HtimePosition | null, to?: HtimePosition): Promise<HtimeFile[]> {
    const files = await listHtimeFiles(this.#htimeDir);
    const indexOf = (position: HtimePosition): number => files.findIndex(({ created }) => created === position.created);
    const last = to === undefined ? files.length : indexOf(to) + 1;
    const first = from === null ? 0 : indexOf(from);
    return first >= 0
      ? files.slice(first, last)
      : files.slice(0, last).filter(({ created }) => created > (from?.created ?? 0));
  }
}

/** Bounds of the runs in which times rise. The first run may begin below `time`. */
function* ascendingRuns(entries: readonly HtimeEntry[], time: number): Generator<{ start: number; end: number }> {
  let start = 0;
  let last = time;
  for (const [i, entry] of entries.entries()) {
    if (entry.time < last && i > start) {
      yield { start, end: i };
      start = i;
    }
    last = entry.time;
  }
  if (start < entries.length) yield { start, end: entries.length };
}
