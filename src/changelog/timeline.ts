// The changelogs of a brick in the order in which they closed: the index files one after the other, unlisted
// changelogs in their places, and the gaps between index files. Live and history consumption both walk it, between
// different cursors. A cursor stands right behind a listed entry; what is unlisted after that entry belongs to
// whoever starts there, so that two walks that meet at a cursor share no changelog and miss none.
// Order is that of the index. Times follow it until the brick's clock is set back: there a range of history ends, and
// the next one begins.

import { join } from 'node:path';
import { gapBetween, htimeEnd, listHtime, readEntries, readHtime, type HtimeEntry, type HtimeGap, type HtimePosition } from './htime.js';
import { ChangelogFiles } from './changelog-files.js';

export interface Cursor extends HtimePosition {
  /** Seconds: the last listed entry before the cursor, or the creation of the index file when there is none. */
  readonly time: number;
}

/** A place in the index behind which the times are earlier than before it. */
export interface ClockSetBack {
  /** Times of the changelogs on its two sides, seconds. */
  readonly from: number;
  readonly to: number;
  readonly at: HtimePosition;
}

export type TimelineStep =
  | { readonly kind: 'changelogs'; readonly changelogs: readonly HtimeEntry[]; readonly cursor: Cursor }
  | { readonly kind: 'gap'; readonly gap: HtimeGap }
  | { readonly kind: 'set back'; readonly setBack: ClockSetBack };

/** Marks that another node's clock made may be ahead by this much. */
export const CLOCK_SKEW_S = 120;

/** Facts about a range of history that are known before its first changelog is read. */
export interface RangeSurvey {
  /** Start of the walk: right before the first listed entry at or after the start time; null when there is none. */
  readonly from: Cursor | null;
  readonly to: Cursor;
  /** The clock was set back at the end of the range, and the index goes on. */
  readonly setBack: ClockSetBack | null;
  /** Gaps that reach into the range. */
  readonly gaps: readonly HtimeGap[];
  /** First changelog of the range, and the last one before it, of those that are not empty. */
  readonly first: HtimeEntry | null;
  readonly previous: HtimeEntry | null;
}

export class Timeline {
  readonly files: ChangelogFiles;
  readonly #htimeDir: string;
  /** Times of the changelogs that the index lists, as far as it was read for them. */
  readonly #listed = new Set<number>();
  readonly #listedUpTo = new Map<string, number>();

  /** @param dir the changelog directory, `<brick>/.glusterfs/changelogs` */
  constructor(dir: string) {
    this.files = new ChangelogFiles(dir);
    this.#htimeDir = join(dir, 'htime');
  }

  get htimeDir(): string {
    return this.#htimeDir;
  }

  /** Where the timeline ends now; null when there is no index. */
  end(): Promise<Cursor | null> {
    return htimeEnd(this.#htimeDir);
  }

  /** Everything between two cursors, or from one to the present end. Each part of bounded size. */
  async *walk(from: Cursor, to?: Cursor): AsyncGenerator<TimelineStep> {
    let time = from.time;
    for (const file of await this.#filesBetween(from, to)) {
      const resumed = file.created === from.created;
      const gap = resumed ? undefined : gapBetween(time, file.created);
      if (gap !== undefined) yield { kind: 'gap', gap };
      let offset = resumed ? from.offset : 0;
      const endOffset = file.created === to?.created ? to.offset : undefined;
      for await (const part of readEntries(file.path, offset, endOffset)) {
        for (const run of risingRuns(part.entries, time)) {
          const first = part.entries[run.start];
          if (first !== undefined && first.time < time) {
            yield { kind: 'set back', setBack: { from: time, to: first.time, at: { created: file.created, offset } } };
            time = first.time - 1;
          }
          const entries = part.entries.slice(run.start, run.end);
          const changelogs = await this.files.withUnlisted(time, entries, () => this.#allListed());
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
      const resumed = created === cursor.created;
      if (!resumed && gapBetween(cursor.time, created) !== undefined) return true;
      const parts = readEntries(path, resumed ? cursor.offset : 0);
      const first = await parts.next();
      await parts.return(undefined);
      if (first.done !== true) return true;
    }
    return false;
  }

  /** Changelogs that are not listed and closed between the last entry before the clock was set back and the first one after,
   *  by the clock of before and by that of after. */
  async unlistedAtSetBack({ from, at }: Pick<ClockSetBack, 'from' | 'at'>): Promise<{ before: HtimeEntry[]; after: HtimeEntry[] }> {
    const parts = readEntries(join(this.#htimeDir, `HTIME.${at.created}`), at.offset);
    const part = await parts.next();
    await parts.return(undefined);
    const first = part.done === true ? undefined : part.value.entries[0];
    return this.files.unlistedAtSetBack(from, first?.time ?? from, await this.#allListed());
  }

  async #allListed(): Promise<ReadonlySet<number>> {
    for (const { path } of await listHtime(this.#htimeDir)) {
      for await (const { entries, ends } of readEntries(path, this.#listedUpTo.get(path) ?? 0)) {
        for (const { time, empty } of entries) if (!empty) this.#listed.add(time);
        this.#listedUpTo.set(path, ends.at(-1) ?? 0);
      }
    }
    return this.#listed;
  }

  /** When recording of changes began that goes on without a gap up to now, seconds; null when there is no index. */
  async begin(): Promise<number | null> {
    const { files, gaps } = await readHtime(this.#htimeDir);
    return gaps.at(-1)?.to ?? files[0]?.created ?? null;
  }

  /**
   * Finds the range of the changelogs that closed at or after `startTime`, up to `limit` or to where the clock was set back.
   * It is the first such range: what is before it in the index is from before `startTime` by any clock.
   * @param passed a place up to which everything is known to be from before, and a second that is before what follows it
   * @returns null when the index starts later than `startTime`
   */
  async survey(startTime: number, limit: Cursor, passed: Cursor | null = null): Promise<RangeSurvey | null> {
    const all = await this.#filesBetween(null, limit);
    const start = passed === null ? -1 : all.findIndex(({ created }) => created === passed.created);
    const files = all.slice(Math.max(start, 0));
    const [oldest] = files;
    if (oldest === undefined) return null;
    const resumed = start < 0 ? null : passed;
    const startsEarlier = resumed === null && startTime < oldest.created;
    // A mark that no entry reaches may be from the clock of before, or, where it is older than the index, from that of after.
    const mayBeFrom = (before: number, after: number): boolean =>
      startsEarlier ? after <= startTime + CLOCK_SKEW_S : after < startTime && startTime <= before + CLOCK_SKEW_S;
    const gaps: HtimeGap[] = [];
    let from: Cursor | null = null;
    let first: HtimeEntry | null = null;
    let previous: HtimeEntry | null = null;
    let time = resumed?.time ?? oldest.created;
    for (const file of files) {
      const gap = file === oldest ? undefined : gapBetween(time, file.created);
      if (gap !== undefined && (from !== null || gap.to > startTime || mayBeFrom(gap.from, gap.to))) gaps.push(gap);
      let offset = file === oldest ? (resumed?.offset ?? 0) : 0;
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
          // Unlisted changelogs before the start have been consumed: the cursor's time keeps them out.
          if (entry.time >= startTime && !startsEarlier) from ??= { created, offset, time: Math.max(time, startTime - 1) };
          offset = ends[i] ?? offset;
          time = entry.time;
          if (from === null) previous = entry.empty ? previous : entry;
          else if (!entry.empty) first ??= entry;
        }
      }
    }
    if (startsEarlier) return null;
    return { from, to: limit, setBack: null, gaps, first, previous };
  }

  /** The index files between two places, in order; a file that is gone leaves those that are younger. */
  async #filesBetween(from: HtimePosition | null, to?: HtimePosition): Promise<{ path: string; created: number }[]> {
    const files = await listHtime(this.#htimeDir);
    const place = (position: HtimePosition): number => files.findIndex(({ created }) => created === position.created);
    const last = to === undefined ? files.length : place(to) + 1;
    const first = from === null ? 0 : place(from);
    return first >= 0 ? files.slice(first, last) : files.slice(0, last).filter(({ created }) => created > (from?.created ?? 0));
  }
}

/** Bounds of the parts in which times rise, the first of which may begin below `time`. */
function* risingRuns(entries: readonly HtimeEntry[], time: number): Generator<{ start: number; end: number }> {
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
