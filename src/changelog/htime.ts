// Reads a brick's changelog index, the files `<changelogs>/htime/HTIME.<seconds>`. GlusterFS starts a file each time
// recording of changes is switched on. At each rollover it appends a NUL-terminated changelog path. A path in lower
// case (`changelog.<seconds>`) stands for an interval without changes and has no file. An entry without its NUL is
// still being written: the reader leaves it out and resumes at its first byte. The index is not complete: see
// changelog-files.ts.

import { open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { GsyncdError } from '../errors.js';
import { lgetxattr } from '../native/libc.js';
import { fsDecode, fsEncode } from '../names.js';

export interface HtimeEntry {
  /** As listed: absolute, or relative to the changelog directory. */
  readonly path: string;
  /** Seconds: when the interval ended. */
  readonly time: number;
  /** The interval had no changes, so there is no file. */
  readonly isEmpty: boolean;
}

/** A place between two entries. */
export interface HtimePosition {
  /** Identifies the file by the time in its name, seconds. */
  readonly created: number;
  /** Bytes. */
  readonly offset: number;
}

export interface HtimeGap {
  /** Seconds: recording of changes was switched off after `from` and on again at `to`. `to` is the earlier one if the
   *  clock was set back in between. */
  readonly from: number;
  readonly to: number;
}

export interface HtimeFile {
  readonly path: string;
  readonly created: number;
}

const FILE_NAME = /^HTIME\.(\d+)$/;
const ENTRY_PATH = /(?:^|\/)(CHANGELOG|changelog)\.(\d+)$/;
const CHUNK_BYTES = 64 * 1024;
const TAIL_BYTES = 16 * 1024;
/** Xattr of the directory: the name of the file to which the brick appends. */
const CURRENT_XATTR = 'trusted.glusterfs.current_htime';

/** The index files of an htime directory, oldest first. The file to which the brick appends is the last one, even if
 *  the clock was set back before the brick created it.
 *  @throws the error of readdir */
export async function listHtimeFiles(dir: string): Promise<HtimeFile[]> {
  const files: HtimeFile[] = [];
  for (const bytes of await readdir(fsEncode(dir), { encoding: 'buffer' })) {
    const match = FILE_NAME.exec(fsDecode(bytes));
    if (match !== null) files.push({ path: join(dir, match[0]), created: Number(match[1]) });
  }
  const current = findCurrentFile(dir);
  return files.sort((a, b) => Number(a.path === current) - Number(b.path === current) || a.created - b.created);
}

function findCurrentFile(dir: string): string | null {
  try {
    return join(dir, lgetxattr(dir, CURRENT_XATTR).toString('latin1').replace(/\0.*$/, ''));
  } catch {
    return null;
  }
}

export async function readHtime(dir: string): Promise<{ files: HtimeFile[]; entries: HtimeEntry[]; gaps: HtimeGap[] }> {
  const files: HtimeFile[] = [];
  const entries: HtimeEntry[] = [];
  const gaps: HtimeGap[] = [];
  let time: number | undefined;
  for (const file of await listHtimeFiles(dir)) {
    files.push(file);
    const gap = time === undefined ? undefined : gapBetween(time, file.created);
    if (gap !== undefined) gaps.push(gap);
    time = file.created;
    for await (const part of readEntries(file.path, 0)) {
      for (const entry of part.entries) entries.push(entry);
      time = part.entries.at(-1)?.time ?? time;
    }
  }
  return { files, entries, gaps };
}

/** The gap between the last entry of an index file and the creation of the next one, if any. A difference of one
 *  second is no gap. */
export function gapBetween(lastTime: number, created: number): HtimeGap | undefined {
  return Math.abs(created - lastTime) > 1 ? { from: lastTime, to: created } : undefined;
}

/** Yields the complete entries of one index file from `offset` up to `endOffset` or its present end, in parts of
 *  bounded size. `ends` are the offsets after each entry; reading resumes at the last one. The reader skips anything
 *  that is no path of a changelog, such as zeros after a system crash. The changelog of a skipped entry is then an
 *  unlisted one.
 *  @throws GsyncdError('changelog') when `offset` is beyond the end */
export async function* readEntries(
  path: string,
  offset: number,
  endOffset = Number.POSITIVE_INFINITY,
): AsyncGenerator<{ entries: HtimeEntry[]; ends: number[] }> {
  const file = await open(fsEncode(path), 'r');
  try {
    const { size } = await file.stat();
    if (size < offset) throw indexError(path, offset, `the file is only ${size} bytes long`);
    let entryOffset = offset;
    let partialEntry: Buffer = Buffer.alloc(0);
    for (;;) {
      const readAt = entryOffset + partialEntry.length;
      const wanted = Math.min(CHUNK_BYTES, endOffset - readAt);
      if (wanted <= 0) return;
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, readAt);
      if (bytesRead === 0) return;
      const bytes = Buffer.concat([partialEntry, buffer.subarray(0, bytesRead)]);
      const entries: HtimeEntry[] = [];
      const ends: number[] = [];
      let start = 0;
      for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
        const entry = parseEntry(bytes.subarray(start, end));
        start = end + 1;
        if (entry === null) continue;
        entries.push(entry);
        ends.push(entryOffset + start);
      }
      entryOffset += start;
      partialEntry = bytes.subarray(start);
      if (entries.length > 0) yield { entries, ends };
    }
  } finally {
    await file.close();
  }
}

/** The present end of the index, and the time of its last complete entry, or of the file's creation if it has none.
 *  Reads only the end of the newest file.
 *  @returns null if there is no index file */
export async function findHtimeEnd(dir: string): Promise<(HtimePosition & { time: number }) | null> {
  const newest = (await listHtimeFiles(dir)).at(-1);
  if (newest === undefined) return null;
  const file = await open(fsEncode(newest.path), 'r');
  try {
    const { size } = await file.stat();
    const start = Math.max(0, size - TAIL_BYTES);
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(TAIL_BYTES), 0, size - start, start);
    const bytes = buffer.subarray(0, bytesRead);
    const end = bytes.lastIndexOf(0);
    if (end < 0) {
      if (start > 0) throw indexError(newest.path, start, 'an entry without end');
      return { created: newest.created, offset: 0, time: newest.created };
    }
    for (let last = end; last >= 0;) {
      const before = last === 0 ? -1 : bytes.lastIndexOf(0, last - 1);
      const entry = parseEntry(bytes.subarray(before + 1, last));
      if (entry !== null) return { created: newest.created, offset: start + end + 1, time: entry.time };
      last = before;
    }
    if (start > 0) throw indexError(newest.path, start, 'no path of a changelog from there on');
    return { created: newest.created, offset: end + 1, time: newest.created };
  } finally {
    await file.close();
  }
}

function parseEntry(bytes: Buffer): HtimeEntry | null {
  const path = fsDecode(bytes);
  const match = ENTRY_PATH.exec(path);
  return match === null ? null : { path, time: Number(match[2]), isEmpty: match[1] === 'changelog' };
}

function indexError(path: string, offset: number, state: string): GsyncdError {
  return new GsyncdError(`read changelog index: ${path}: byte ${offset}: ${state}`, { code: 'changelog' });
}
