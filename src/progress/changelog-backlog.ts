// The backlog of a brick: its closed changelogs that are not synced, and whether the open one holds records. The probe
// reads the brick's changelogs and needs no worker. So the backlog of a stopped session shows, and a worker has no
// extra work. Invariant: each call reads only new index entries. The first call reads the index from its end, as far
// back as needed.

import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OPEN_CHANGELOG } from '../changelog/changelog-files.js';
import { MAX_CLOCK_SKEW_S } from '../changelog/timeline.js';
import { listHtimeFiles, readEntries, type HtimeFile } from '../changelog/htime.js';
import { fsDecode, fsEncode } from '../names.js';

/** The header of a changelog ends with its first line break; records follow. */
const HEADER_BYTES = 256;
/** First distance from the end of the index at which to look for an older entry. It doubles until one is found. */
const FIRST_TAIL_BYTES = 64 << 10;

export interface ChangelogBacklog {
  /** Closed changelogs with changes that are not synced. */
  readonly changelogs: number;
  /** The open changelog holds changes. */
  readonly hasOpenChanges: boolean;
  /** Seconds: no change that is not synced is older than this; null when there is none. */
  readonly oldestSince: number | null;
}

interface Interval {
  readonly since: number;
  readonly until: number;
  /** The interval follows a clock that was set back, and the stime still belongs to the old clock. */
  readonly isAfterSetBack: boolean;
}

export class ChangelogProbe {
  readonly #dir: string;
  /** Intervals with changes, in order, from `#knownFrom` on. */
  #intervals: Interval[] = [];
  #knownFrom = Number.POSITIVE_INFINITY;
  #isAfterSetBack = false;
  #position: { path: string; offset: number; time: number } | null = null;

  /** @param dir the changelog directory of a brick */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /**
   * @param synced seconds: changelogs that closed up to then are synced
   * @returns null when the brick has no changelogs that can be read here
   */
  async readBacklog(synced: number): Promise<ChangelogBacklog | null> {
    try {
      if (synced < this.#knownFrom) await this.#readFromScratch(synced);
      else await this.#readNewEntries(synced);
      const hasOpenChanges = await this.#hasOpenRecords();
      const pending = this.#intervals.filter((interval) => interval.isAfterSetBack || interval.until > synced);
      this.#intervals = pending;
      this.#knownFrom = synced;
      const oldest = pending[0]?.since ?? (hasOpenChanges ? (this.#position?.time ?? synced) : null);
      return { changelogs: pending.length, hasOpenChanges, oldestSince: oldest };
    } catch {
      this.#position = null;
      this.#knownFrom = Number.POSITIVE_INFINITY;
      this.#intervals = [];
      return null;
    }
  }

  /** Reads the index entries since the last call. */
  async #readNewEntries(synced: number): Promise<void> {
    const files = await listHtimeFiles(join(this.#dir, 'htime'));
    for (const { path, created } of files.slice(
      Math.max(
        0,
        files.findIndex((file) => file.path === this.#position?.path),
      ),
    )) {
      const resumed = path === this.#position?.path ? this.#position : { offset: 0, time: created };
      await this.#readIndexFile(path, resumed.offset, resumed.time, synced);
    }
  }

  /** Reads all entries after `synced`, from scratch. */
  async #readFromScratch(synced: number): Promise<void> {
    this.#intervals = [];
    this.#isAfterSetBack = false;
    this.#position = null;
    for (const { path, created } of await this.#indexFilesSince(synced)) {
      const offset = created > synced ? 0 : await findEntryBefore(path, synced);
      await this.#readIndexFile(path, offset, created, synced);
    }
    this.#knownFrom = synced;
  }

  async #indexFilesSince(synced: number): Promise<HtimeFile[]> {
    const files = await listHtimeFiles(join(this.#dir, 'htime'));
    const later = files.findIndex(({ created }) => created > synced);
    return files.slice(Math.max(0, (later < 0 ? files.length : later) - 1));
  }

  async #readIndexFile(path: string, offset: number, since: number, synced: number): Promise<void> {
    let time = since;
    for await (const { entries, ends } of readEntries(path, offset)) {
      for (const entry of entries) {
        const isSetBack = entry.time < time;
        // An stime that is clearly below the old clock is taken as one of the new clock.
        if (isSetBack) this.#isAfterSetBack = synced > entry.time && synced > time - MAX_CLOCK_SKEW_S;
        if (isSetBack && !this.#isAfterSetBack) this.#intervals = [];
        if (!entry.isEmpty)
          this.#intervals.push({
            since: Math.min(time, entry.time),
            until: entry.time,
            isAfterSetBack: this.#isAfterSetBack,
          });
        time = entry.time;
      }
      offset = ends.at(-1) ?? offset;
    }
    this.#position = { path, offset, time };
  }

  async #hasOpenRecords(): Promise<boolean> {
    const path = fsEncode(join(this.#dir, OPEN_CHANGELOG));
    const { size } = await stat(path).catch(() => ({ size: 0 }));
    if (size === 0) return false;
    if (size > HEADER_BYTES) return true;
    const file = await open(path, 'r');
    try {
      const { bytesRead, buffer } = await file.read(Buffer.alloc(HEADER_BYTES), 0, HEADER_BYTES, 0);
      return buffer.subarray(0, bytesRead).indexOf('\n') + 1 < bytesRead;
    } finally {
      await file.close();
    }
  }
}

/** Offset of an entry that is not later than `time`, or 0. Reading from there finds all later entries. */
async function findEntryBefore(path: string, time: number): Promise<number> {
  const { size } = await stat(fsEncode(path));
  const file = await open(fsEncode(path), 'r');
  try {
    for (let bytes = FIRST_TAIL_BYTES; bytes < size; bytes *= 2) {
      const { buffer } = await file.read(Buffer.alloc(8 << 10), 0, 8 << 10, size - bytes);
      const start = buffer.indexOf(0) + 1;
      const end = buffer.indexOf(0, start);
      const found = /\.(\d+)$/.exec(fsDecode(buffer.subarray(start, end)))?.[1];
      if (start > 0 && end > 0 && found !== undefined && Number(found) <= time) return size - bytes + start;
    }
    return 0;
  } finally {
    await file.close();
  }
}
