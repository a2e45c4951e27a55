// Reader of a brick's changelog index: `<changelogs>/htime/HTIME.<seconds>`, one file for each time that recording of changes was switched
// on, holding NUL-terminated changelog paths that are appended at rollover. A path in lower case (`changelog.<seconds>`) stands
// for an interval without changes and has no file. An entry whose NUL is not there yet is still being written: it is not read,
// and reading goes on from its first byte. The index is not complete: see changelog-files.ts.

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
  /** Nothing was changed in the interval: there is no file. */
  readonly empty: boolean;
}

/** A place between two entries. */
export interface HtimePosition {
  /** The file, by the time in its name. */
  readonly created: number;
  /** Bytes. */
  readonly offset: number;
}

export interface HtimeGap {
  /** Seconds: recording of changes was switched off after the one, on again at the other, which is the earlier one when the
   *  clock was set back in between. */
  readonly from: number;
  readonly to: number;
}

export interface HtimeFile {
  readonly path: string;
  readonly created: number;
}

const FILE = /^HTIME\.(\d+)$/;
const ENTRY = /(?:^|\/)(CHANGELOG|changelog)\.(\d+)$/;
const CHUNK_BYTES = 64 * 1024;
const TAIL_BYTES = 16 * 1024;
/** On the directory: the name of the file that is appended to. */
const CURRENT_XATTR = 'trusted.glusterfs.current_htime';

/** The index files of an htime directory, oldest first: the one that is appended to is the last, also when the clock
 *  was set back before it was made. @throws the error of readdir */
export async function listHtime(dir: string): Promise<{ path: string; created: number }[]> {
  const files: { path: string; created: number }[] = [];
  for (const bytes of await readdir(fsEncode(dir), { encoding: 'buffer' })) {
    const match = FILE.exec(fsDecode(bytes));
    if (match !== null) files.push({ path: join(dir, match[0]), created: Number(match[1]) });
  }
  const current = currentFile(dir);
  return files.sort((a, b) => Number(a.path === current) - Number(b.path === current) || a.created - b.created);
}

function currentFile(dir: string): string | null {
  try {
    return join(dir, lgetxattr(dir, CURRENT_XATTR).toString('latin1').replace(/\0.*$/, ''));
  } catch {
    return null;
  }
}

/** The whole index. */
export async function readHtime(dir: string): Promise<{ files: HtimeFile[]; entries: HtimeEntry[]; gaps: HtimeGap[] }> {
  const files: HtimeFile[] = [];
  const entries: HtimeEntry[] = [];
  const gaps: HtimeGap[] = [];
  let time: number | undefined;
  for (const file of await listHtime(dir)) {
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

/** The gap, if any, between the last entry of an index file and the creation of the next one. Within a second
 *  both may belong to one moment. */
export function gapBetween(lastTime: number, created: number): HtimeGap | undefined {
  return Math.abs(created - lastTime) > 1 ? { from: lastTime, to: created } : undefined;
}

/** Complete entries of one index file from `offset` up to `endOffset` or its present end, in parts of bounded
 *  size. `ends` are the offsets right behind each entry; the last one is where reading goes on. What is no path of a changelog
 *  is passed over, such as zeros that a crash of the system left: the changelog that it stood for is an unlisted one then.
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
    let at = offset;
    let rest: Buffer = Buffer.alloc(0);
    for (;;) {
      const readAt = at + rest.length;
      const wanted = Math.min(CHUNK_BYTES, endOffset - readAt);
      if (wanted <= 0) return;
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(wanted), 0, wanted, readAt);
      if (bytesRead === 0) return;
      const bytes = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
      const entries: HtimeEntry[] = [];
      const ends: number[] = [];
      let start = 0;
      for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, start)) {
        const entry = parseEntry(bytes.subarray(start, end));
        start = end + 1;
        if (entry === null) continue;
        entries.push(entry);
        ends.push(at + start);
      }
      at += start;
      rest = bytes.subarray(start);
      if (entries.length > 0) yield { entries, ends };
    }
  } finally {
    await file.close();
  }
}

/** Where the index ends now, and the time of its last complete entry (that of the file's creation when it has
 *  none). Reads the end of the newest file only. null when there is no index file. */
export async function htimeEnd(dir: string): Promise<(HtimePosition & { time: number }) | null> {
  const newest = (await listHtime(dir)).at(-1);
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
    for (let last = end; last >= 0; ) {
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
  const match = ENTRY.exec(path);
  return match === null ? null : { path, time: Number(match[2]), empty: match[1] === 'changelog' };
}

function indexError(path: string, offset: number, state: string): GsyncdError {
  return new GsyncdError(`read changelog index: ${path}: byte ${offset}: ${state}`, { code: 'changelog' });
}
