// Lookups on the primary for planning and conflict resolution: the whole volume through its aux-gfid-mount (PrimaryView) and
// this worker's brick (BrickView). Answers are the present state, not the state at the time of a record.

import type { Gfid } from './gfid.js';
import type { OpStat } from './secondary.js';

export const S_IFMT = 0o170000;
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;
export const S_IFCHR = 0o020000;
export const S_IFBLK = 0o060000;
/** Permission bits of an st_mode, with set-id and sticky bits. */
export const PERMISSIONS = 0o7777;
/** The sticky bit. */
export const S_ISVTX = 0o1000;

export type FileKind = 'dir' | 'file' | 'symlink' | 'device' | 'special';

/** File kind of an st_mode. `special` are fifos and sockets. */
export function fileKind(mode: number): FileKind {
  switch (mode & S_IFMT) {
    case S_IFDIR:
      return 'dir';
    case S_IFREG:
      return 'file';
    case S_IFLNK:
      return 'symlink';
    case S_IFCHR:
    case S_IFBLK:
      return 'device';
    default:
      return 'special';
  }
}

export interface ViewStat extends OpStat {
  readonly size: number;
  /** Less than the size if the file has holes. */
  readonly allocatedBytes?: number;
  readonly nlink: number;
  /** Number of a device node. */
  readonly rdev?: number;
}

/** Reduces a stat to the attributes that are sent. */
export function toOpStat(stat: OpStat): OpStat {
  return { uid: stat.uid, gid: stat.gid, mode: stat.mode, atime: stat.atime, mtime: stat.mtime };
}

/** The primary volume. Paths are relative to the mount, in the form of names.ts. Calls have deadlines. */
export interface PrimaryView {
  /** null when it does not exist. */
  lstat(path: string): Promise<ViewStat | null>;
  /** Target of a symlink; null when it does not exist. */
  readlink(path: string): Promise<string | null>;
  /** gfid of a path; null when the path does not exist. */
  gfidOf(path: string): Promise<Gfid | null>;
}

export interface Location {
  readonly parent: Gfid;
  readonly name: string;
}

/** This worker's brick: the paths of gfids. */
export interface BrickView {
  /** Every brick has every directory. null when the directory does not exist. */
  dirLocation(gfid: Gfid): Promise<Location | null>;
  /** All hard links of a file that this brick holds; empty when it holds none. */
  fileLocations(gfid: Gfid): Promise<Location[]>;
  /** Names in a directory on this brick, without GlusterFS's internal ones. */
  childNames(gfid: Gfid): Promise<string[]>;
}
