// Interface of the secondary's handlers to a volume: every file-system access by path. Implementations are a mount with
// gfid access (mount-volume.ts) and a plain directory. Handlers decide; a volume only executes.
//
// Paths are relative to the root of the volume, in the form of names.ts, and have passed path-guard.ts: `.`,
// `.gfid/<gfid>`, `.gfid/<parent gfid>/<name>`, or a plain relative path.
//
// Invariant: no method follows a symlink, neither at the end of a path nor inside it, and none leaves the volume. Every
// failure is an Error with an errno (NativeError or a Node error, see errnoNumber in native/libc.ts). Transient errors
// (ESTALE and the like) are thrown, too; the handlers repeat the call.

import type { Gfid } from '../protocol/gfid.js';
import type { FileToPut } from '../native/put-file.js';

export interface VolumeStat {
  /** Type and permission bits. */
  readonly mode: number;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Seconds, with a fraction. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime: number;
}

/** A new inode; `mode` has type and permission bits. */
export interface NewInode {
  readonly gfid: Gfid;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
}

export interface SecondaryVolume {
  /** Maximum number of concurrent operations of one call. Default: DEFAULT_LANES. */
  readonly lanes?: number;
  /** @throws ENOENT, … */
  lstat(path: string): Promise<VolumeStat>;
  /** Call it before answering a primary. Absent if an ENOENT of this volume is always reliable.
   *  @throws ENOTCONN if an earlier ENOENT may be wrong, since a part of the volume is down */
  confirm?(): Promise<void>;
  /** @returns the gfid of the inode at `path`. @throws ENOENT, … */
  gfidOf(path: string): Promise<Gfid>;
  /** @returns the path of a directory, as entryPath() writes it (`.gfid/<parent>/<name>`). null if it does not exist, is
   *  not a directory, or is the root. Slow: use it only for conflicts. */
  directoryEntry(gfid: Gfid): Promise<string | null>;

  /** Creates a regular file, device, fifo or socket under `parent`, with the given gfid.
   *  @throws EEXIST if the name is taken; ENOENT, ENOTDIR or EOPNOTSUPP if the directory `parent` does not exist; others if
   *  the gfid is in use elsewhere */
  createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void>;
  /** As createNode. */
  createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void>;
  /** As createNode; `target` in the form of names.ts. */
  createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void>;
  /** Creates a directory or symlink with a new gfid. */
  mkdir(path: string): Promise<void>;
  symlink(target: string, path: string): Promise<void>;

  link(existing: string, path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** @throws EISDIR for a directory */
  unlink(path: string): Promise<void>;
  /** @throws ENOTEMPTY, ENOTDIR, … */
  rmdir(path: string): Promise<void>;
  /** Names in a directory, without `.` and `..`. Works for `.gfid/<gfid>` too. */
  readdir(path: string): Promise<string[]>;
  /** @returns the target of a symlink. @throws EINVAL if the inode is not a symlink */
  readlink(path: string): Promise<string>;

  /** Changes the inode at `path` itself, even if it is a symlink. */
  chown(path: string, uid: number, gid: number): Promise<void>;
  /** @param mode permission bits. @throws ELOOP or EOPNOTSUPP for a symlink */
  chmod(path: string, mode: number): Promise<void>;
  /** Times in seconds, with a fraction. Changes the inode at `path` itself, even if it is a symlink. */
  utimes(path: string, atime: number, mtime: number): Promise<void>;
  /** Writes content and attributes of an existing regular file. Absent if only rsync and tar write files.
   *  @throws EINVAL if the inode is not a regular file */
  putFile?(gfid: Gfid, file: FileToPut): Promise<void>;

  /** @throws ENODATA, ENOENT, … */
  getXattr(path: string, name: string): Promise<Buffer>;
  setXattr(path: string, name: string, value: Buffer): Promise<void>;
  removeXattr(path: string, name: string): Promise<void>;
  listXattrs(path: string): Promise<string[]>;
}
