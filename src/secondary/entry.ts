// Parses and checks an entry operation from the RPC, and keeps its dict, which a failure returns. Also builds failures, in
// the form from which stock primaries resolve conflicts. Pure.

import { gfidPath, isGfid, type Gfid } from '../protocol/gfid.js';
import { isPyDict, isPyInt, pyTuple, type PyDict, type PyTuple, type PyValue } from '../rpc/pickle-values.js';
import { parseEntry } from './path-guard.js';
import type { EntryOp, EntryOpName, OpStat } from '../protocol/secondary.js';

/** A valid operation. Numbers that the peer did not send are 0. */
export interface ParsedEntryOp extends EntryOp {
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

const ENTRY_OP_NAMES: ReadonlySet<string> = new Set<EntryOpName>([
  'CREATE',
  'MKNOD',
  'MKDIR',
  'LINK',
  'SYMLINK',
  'RENAME',
  'UNLINK',
  'RMDIR',
]);

/** @returns the operation; null if it is unknown or malformed, or if it names an entry outside of the volume */
export function parseEntryOp(dict: PyDict, index: number): ParsedEntryOp | null {
  const { op, gfid, entry, entry1, stat, link } = dict;
  const place = parseEntry(entry);
  const to = entry1 === undefined ? null : parseEntry(entry1);
  if (typeof op !== 'string' || !isEntryOpName(op) || typeof gfid !== 'string' || !isGfid(gfid) || place === null)
    return null;
  if ((op === 'RENAME' || entry1 !== undefined) && to === null) return null;
  if (typeof link === 'string' && (link === '' || link.includes('\0'))) return null;
  const [mode, uid, gid, rdev] = [
    parseU32(dict['mode']),
    parseU32(dict['uid']),
    parseU32(dict['gid']),
    parseU32(dict['rdev']),
  ];
  const attributes = parseStat(stat);
  if (mode === null || uid === null || gid === null || rdev === null || attributes === undefined) return null;
  return {
    dict,
    index,
    op,
    gfid,
    entry: entry as string,
    ...place,
    inode: gfidPath(gfid),
    entry1: entry1 as string | undefined,
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
  const [mode, uid, gid] = [parseU32(value['mode']), parseU32(value['uid']), parseU32(value['gid'])];
  const [atime, mtime] = [parseTime(value['atime']), parseTime(value['mtime'])];
  if (mode === null || uid === null || gid === null || atime === null || mtime === null) return undefined;
  return { mode, uid, gid, atime, mtime };
}

function isEntryOpName(op: string): op is EntryOpName {
  return ENTRY_OP_NAMES.has(op);
}

/** @returns 0 if the value is missing, null if it is malformed */
function parseU32(value: PyValue | undefined): number | null {
  if (value === undefined) return 0;
  return isPyInt(value) && value >= 0 && value <= 0xffff_ffff ? value : null;
}

function parseTime(value: PyValue | undefined): number | null {
  if (value === undefined) return 0;
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The inode that made an operation fail. */
export interface FailureDetails {
  readonly gfidMismatch?: true;
  readonly nameMismatch?: true;
  readonly dst?: boolean;
  readonly isDirectory?: boolean;
  readonly gfid?: Gfid | null;
  /** Path of the directory, as entryPath() writes it. */
  readonly place?: string | null;
}

export interface IndexedFailure {
  readonly index: number;
  /** `(entry, errno, info)` */
  readonly value: PyTuple;
}

/** Writes each key in both spellings, since old primaries read `slave_*`. */
export function makeFailure(dict: PyDict, index: number, errno: number, details: FailureDetails = {}): IndexedFailure {
  const info: Record<string, PyValue> = {
    gfid_mismatch: details.gfidMismatch === true,
    name_mismatch: details.nameMismatch === true,
    dst: details.dst === true,
  };
  // Stock calls the directory's path `_entry` if its name differs, and `_name` otherwise.
  const placeKey = details.nameMismatch === true ? 'entry' : 'name';
  const secondaryFields = {
    isdir: details.isDirectory === true,
    gfid: details.gfid ?? null,
    [placeKey]: details.place ?? null,
  };
  for (const [key, value] of Object.entries(secondaryFields)) {
    info[`secondary_${key}`] = value;
    info[`slave_${key}`] = value;
  }
  return { index, value: pyTuple([dict, errno, info]) };
}
