// What the secondary's handlers need of a volume: every file-system access by path, and nothing else. The real one
// is a mount with gfid access (mount-volume.ts); an embedded one can be plain directories. Handlers decide, this
// only does. Paths are relative to the volume's root, in the form of names.ts, and have passed path-guard.ts:
// `.`, `.gfid/<gfid>`, `.gfid/<parent gfid>/<name>`, or a plain relative path.
// Invariant: no method follows a symlink, neither at the end of a path nor inside it, and none leaves the volume.
// Every failure is an Error with an errno (NativeError, or Node's own: native/libc.ts errnoNumber); a moment's
// trouble (ESTALE and the like) is thrown too, the handlers repeat the call.

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
  /** How many calls are quicker side by side than one after the other; DEFAULT_LANES where left out. */
  readonly lanes?: number;
  /** @throws ENOENT, … */
  lstat(path: string): Promise<VolumeStat>;
  /** To be called before a primary is answered; left out where an ENOENT is always to be believed. @throws ENOTCONN when what
   *  was said not to be there may be there, since a part of the volume is down */
  confirm?(): Promise<void>;
  /** gfid of what the path names. @throws ENOENT, … */
  gfidOf(path: string): Promise<Gfid>;
  /** Where a directory is, as an entryPath (`.gfid/<parent>/<name>`); null when it is not there, is no directory, or
   *  is the root. Slow: only for conflicts. */
  directoryEntry(gfid: Gfid): Promise<string | null>;

  /** A regular file, device, fifo or socket under `parent`, with the given gfid.
   *  @throws EEXIST the name is taken; ENOENT, ENOTDIR, EOPNOTSUPP no such directory `parent`; others when the gfid
   *  is in use elsewhere */
  createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void>;
  /** As createNode. */
  createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void>;
  /** As createNode; `target` in the form of names.ts. */
  createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void>;
  /** A directory or symlink with a gfid of the volume's own choice. */
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
  /** Target of a symlink. @throws EINVAL when it is none */
  readlink(path: string): Promise<string>;

  /** Changes the inode itself, also a symlink. */
  chown(path: string, uid: number, gid: number): Promise<void>;
  /** @param mode permission bits. @throws ELOOP or EOPNOTSUPP for a symlink */
  chmod(path: string, mode: number): Promise<void>;
  /** Seconds, with a fraction; of the inode itself, also of a symlink. */
  utimes(path: string, atime: number, mtime: number): Promise<void>;
  /** Gives a regular file that is there its content and attributes; left out where rsync and tar do. @throws EINVAL for what
   *  is no regular file */
  putFile?(path: string, file: FileToPut): Promise<void>;

  /** @throws ENODATA, ENOENT, … */
  getXattr(path: string, name: string): Promise<Buffer>;
  setXattr(path: string, name: string, value: Buffer): Promise<void>;
  removeXattr(path: string, name: string): Promise<void>;
  listXattrs(path: string): Promise<string[]>;
}
