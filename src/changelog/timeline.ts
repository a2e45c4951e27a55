// The journals of a brick in the order in which they closed: the index files one after the other, unlisted
// journals in their places, and the gaps between index files. Live and history consumption both walk it, between
// different cursors. A cursor stands right behind a listed entry; what is unlisted after that entry belongs to
// whoever starts there, so that two walks that meet at a cursor share no journal and miss none.

import { join } from 'node:path';
import { gapBetween, htimeEnd, listHtime, readEntries, type HtimeEntry, type HtimeGap, type HtimePosition } from './htime.js';
import { JournalFiles } from './journal-files.js';

export interface Cursor extends HtimePosition {
  /** Seconds: the last listed entry before the cursor, or the creation of the index file when there is none. */
  readonly time: number;
}

export type TimelineStep =
  | { readonly kind: 'journals'; readonly journals: readonly HtimeEntry[]; readonly cursor: Cursor }
  | { readonly kind: 'gap'; readonly gap: HtimeGap };

/** What a range of history needs to know before its first journal is read. */
export interface RangeSurvey {
  /** Start of the walk: right before the first listed entry at or after the start time. */
  readonly from: Cursor;
  readonly to: Cursor;
  /** Gaps that reach into the range. */
  readonly gaps: readonly HtimeGap[];
  /** First journal of the range, and the last one before it, of those that are not empty. */
  readonly first: HtimeEntry | null;
  readonly previous: HtimeEntry | null;
}

export class Timeline {
  readonly files: JournalFiles;
  readonly #htimeDir: string;

  /** @param dir the changelog directory, `<brick>/.glusterfs/changelogs` */
  constructor(dir: string) {
    this.files = new JournalFiles(dir);
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
    for (const file of await listHtime(this.#htimeDir)) {
      if (file.created < from.created || (to !== undefined && file.created > to.created)) continue;
      const resumed = file.created === from.created;
      const gap = resumed ? undefined : gapBetween(time, file.created);
      if (gap !== undefined) yield { kind: 'gap', gap };
      const endOffset = file.created === to?.created ? to.offset : undefined;
      for await (const part of readEntries(file.path, resumed ? from.offset : 0, endOffset)) {
        const journals = await this.files.withUnlisted(time, part.entries);
        time = part.entries.at(-1)?.time ?? time;
        yield { kind: 'journals', journals, cursor: { created: file.created, offset: part.ends.at(-1) ?? 0, time } };
      }
    }
  }

  /** Whether a walk from `cursor` would yield anything. */
  async hasMore(cursor: Cursor): Promise<boolean> {
    for (const { path, created } of await listHtime(this.#htimeDir)) {
      if (created < cursor.created) continue;
      if (created > cursor.created && gapBetween(cursor.time, created) !== undefined) return true;
      const parts = readEntries(path, created === cursor.created ? cursor.offset : 0);
      const first = await parts.next();
      await parts.return(undefined);
      if (first.done !== true) return true;
    }
    return false;
  }

  /** Finds the range of the journals that closed at or after `startTime`, up to the one in which `endTime` falls,
   *  and never beyond `limit`. null when the index starts later than `startTime`. */
  async survey(startTime: number, endTime: number, limit: Cursor): Promise<RangeSurvey | null> {
    const files = (await listHtime(this.#htimeDir)).filter(({ created }) => created <= limit.created);
    const oldest = files[0];
    if (oldest === undefined || startTime < oldest.created) return null;
    const gaps: HtimeGap[] = [];
    let from: Cursor | null = null;
    let first: HtimeEntry | null = null;
    let previous: HtimeEntry | null = null;
    let time = oldest.created;
    for (const file of files) {
      const gap = gapBetween(time, file.created);
      if (gap !== undefined && gap.to > startTime) gaps.push(gap);
      let offset = 0;
      const endOffset = file.created === limit.created ? limit.offset : undefined;
      for await (const { entries, ends } of readEntries(file.path, 0, endOffset)) {
        for (const [i, entry] of entries.entries()) {
          // Unlisted journals before the start have been consumed: the cursor's time keeps them out.
          if (entry.time >= startTime) from ??= { created: file.created, offset, time: Math.max(time, startTime - 1) };
          offset = ends[i] ?? offset;
          time = entry.time;
          if (from === null) previous = entry.empty ? previous : entry;
          else if (!entry.empty) first ??= entry;
          if (from !== null && time >= endTime) {
            return { from, to: { created: file.created, offset, time }, gaps, first, previous };
          }
        }
      }
    }
    return { from: from ?? limit, to: limit, gaps, first, previous };
  }
}
