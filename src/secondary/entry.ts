// Parses and checks an entry operation from the RPC, and keeps its dict, which a failure returns. Also builds failures, in
// the form from which stock primaries resolve conflicts. Pure.

import { gfidPath, isGfid, type Gfid } from '../protocol/gfid.js';
import { isPyDict, isPyInt, pyTuple, type PyDict, type PyTuple, type PyValue } from '../rpc/pickle-values.js';
import { parseEntry } from './path-guard.js';
import type { EntryOp, EntryOpName, OpStat } from '../protocol/secondary.js';

/** A valid operation. Numbers that the peer did not send are 0. */
export interface Entry extends EntryOp {
  readonly dict: PyDict;
  readonly index: number;
  readonly parent: Gfid;
  readonly name: string;
  /** `.gfid/<gfid>` */
  readonly inode: string;
  /** Parts of `entry1`. */
  readonly to: { readonly path: string; readonly parent: Gfid; readonly name: string } | null;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly rdev: number;
  readonly stat: OpStat | null;
  readonly link: string | null;
}

const NAMES: ReadonlySet<string> = new Set<EntryOpName>(['CREATE', 'MKNOD', 'MKDIR', 'LINK', 'SYMLINK', 'RENAME', 'UNLINK', 'RMDIR']);

/** @returns the operation; null if it is unknown or malformed, or if it names an entry outside of the volume */
export function parseEntryOp(dict: PyDict, index: number): Entry | null {
  const { op, gfid, entry, entry1, stat, link } = dict;
  const place = parseEntry(entry);
  const to = entry1 === undefined ? null : parseEntry(entry1);
  if (typeof op !== 'string' || !isName(op) || typeof gfid !== 'string' || !isGfid(gfid) || place === null) return null;
  if ((op === 'RENAME' || entry1 !== undefined) && to === null) return null;
  if (typeof link === 'string' && (link === '' || link.includes('\0'))) return null;
  const numbers = { mode: u32(dict['mode']), uid: u32(dict['uid']), gid: u32(dict['gid']), rdev: u32(dict['rdev']) };
  const attributes = parseStat(stat);
  const { mode, uid, gid, rdev } = numbers;
  if (mode === null || uid === null || gid === null || rdev === null || attributes === undefined) return null;
  return {
    dict,
    index,
    op,
    gfid,
    entry: entry as string,
    ...place,
    inode: gfidPath(gfid),
    ...(to === null ? {} : { entry1: entry1 as string }),
    to: to === null ? null : { path: entry1 as string, ...to },
    mode,
    uid,
    gid,
    rdev,
    stat: attributes,
    link: typeof link === 'string' ? link : null,
  };
}

/** @returns null if there are none, undefined if they are malformed */
export function parseStat(value: PyValue | undefined): OpStat | null | undefined {
  if (value === undefined || value === null) return null;
  if (!isPyDict(value)) return undefined;
  if (Object.keys(value).length === 0) return null;
  const [mode, uid, gid] = [u32(value['mode']), u32(value['uid']), u32(value['gid'])];
  const [atime, mtime] = [time(value['atime']), time(value['mtime'])];
  if (mode === null || uid === null || gid === null || atime === null || mtime === null) return undefined;
  return { mode, uid, gid, atime, mtime };
}

function isName(op: string): op is EntryOpName {
  return NAMES.has(op);
}

/** @returns 0 if the value is missing, null if it is malformed */
function u32(value: PyValue | undefined): number | null {
  if (value === undefined) return 0;
  return isPyInt(value) && value >= 0 && value <= 0xffff_ffff ? value : null;
}

function time(value: PyValue | undefined): number | null {
  if (value === undefined) return 0;
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The inode that made an operation fail. */
export interface Found {
  readonly gfidMismatch?: true;
  readonly nameMismatch?: true;
  readonly dst?: boolean;
  readonly isDirectory?: boolean;
  readonly gfid?: Gfid | null;
  /** Path of the directory, as entryPath() writes it. */
  readonly place?: string | null;
}

export interface Failure {
  readonly index: number;
  /** `(entry, errno, info)` */
  readonly value: PyTuple;
}

/** Writes each key in both spellings, since old primaries read `slave_*`. */
export function failure(dict: PyDict, index: number, errno: number, found: Found = {}): Failure {
  const info: Record<string, PyValue> = {
    gfid_mismatch: found.gfidMismatch === true,
    name_mismatch: found.nameMismatch === true,
    dst: found.dst === true,
  };
  // Stock calls the directory's path `_entry` if its name differs, and `_name` otherwise.
  const place = found.nameMismatch === true ? 'entry' : 'name';
  const theirs = { isdir: found.isDirectory === true, gfid: found.gfid ?? null, [place]: found.place ?? null };
  for (const [key, value] of Object.entries(theirs)) {
    info[`secondary_${key}`] = value;
    info[`slave_${key}`] = value;
  }
  return { index, value: pyTuple([dict, errno, info]) };
}
