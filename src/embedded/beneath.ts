// Opens paths below a plain directory, for a process that works on other users' files. Each call opens its directory
// without following symlinks and uses names relative to that descriptor. So a user's rename or symlink cannot lead out of
// the tree. `/proc/self/fd/N/`, with its slash, is the open directory itself, even for calls that do not follow symlinks. A
// name behind it may be a symlink, so only calls that do not follow symlinks may use it. Other users cannot change the
// state directory (own-state.ts): its paths are used unchanged.

import { closeSync, constants as fsConstants, openSync } from 'node:fs';
import { constants } from 'node:os';
import { fsEncode } from '../names.js';
import { AT_FDCWD, linkAt, openBeneath, statAt, type InodeStats } from '../native/beneath.js';
import { NativeError } from '../native/libc.js';

const O_PATH = 0o10000000;

/** A name in an open directory; the name need not exist. Valid until the callback that received it returns. */
export class EntryRef {
  /** Use it only in calls that do not follow symlinks. */
  readonly path: string;
  readonly #dir: number;
  readonly #name: string;

  constructor(dir: number, name: string, path: string) {
    this.#dir = dir;
    this.#name = name;
    this.path = path;
  }

  /** @returns null if the name does not exist. @throws NativeError EACCES, … */
  stat(): InodeStats | null {
    return statAt(this.#dir, this.#name);
  }

  /** Links the inode of this name to `other`. @throws NativeError EEXIST, EPERM, … */
  linkTo(other: EntryRef): void {
    linkAt(this.#dir, this.#name, other.#dir, other.#name);
  }
}

/** A path in a directory that other users cannot change. */
export function stateEntry(path: string): EntryRef {
  return new EntryRef(AT_FDCWD, path, path);
}

/** An open directory. The caller closes it. */
export class OpenDirectory {
  /** Path of the directory itself, with a final slash. For names behind it, see EntryRef.path. */
  readonly path: string;
  readonly #fd: number;

  constructor(fd: number) {
    this.#fd = fd;
    this.path = `/proc/self/fd/${fd}/`;
  }

  stat(): InodeStats {
    const stats = statAt(this.#fd, '');
    if (stats === null) throw new NativeError('lstat', this.path, constants.errno.ENOENT);
    return stats;
  }

  /** @returns null if the name does not exist. @throws NativeError EACCES, … */
  lookUp(name: string): InodeStats | null {
    return statAt(this.#fd, name);
  }

  entry(name: string): EntryRef {
    return new EntryRef(this.#fd, name, `${this.path}${name}`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

export class BeneathRoot {
  readonly #root: string;
  readonly #internalPrefix: string;
  readonly #rootDir: OpenDirectory;
  readonly #rootFd: number;

  /** Both paths are absolute, without symlinks.
   *  @param root stays open until the process ends @param internalDir `.glusterfs`
   *  @throws Node system errors */
  constructor(root: string, internalDir: string) {
    this.#root = root;
    this.#internalPrefix = `${internalDir}/`;
    this.#rootFd = openSync(fsEncode(root), O_PATH | fsConstants.O_DIRECTORY | fsConstants.O_NOFOLLOW);
    this.#rootDir = new OpenDirectory(this.#rootFd);
  }

  /** Opens a directory; the caller closes it. @param path absolute
   *  @throws NativeError ENOTDIR if a symlink is in the path, ENOENT, EACCES, … */
  open(path: string): OpenDirectory {
    return new OpenDirectory(openBeneath(this.#rootFd, this.#relative(path)));
  }

  /** Calls `use` with the open directory. @throws as open(), and errors of `use` with `path` in their messages */
  withDirectory<T>(path: string, use: (dir: OpenDirectory) => T): T {
    if (path === this.#root) return withRealPathInErrors(this.#rootDir.path, path, () => use(this.#rootDir));
    const dir = this.open(path);
    try {
      return withRealPathInErrors(dir.path, path, () => use(dir));
    } finally {
      dir.close();
    }
  }

  /** Calls `use` with the name at `path`, which need not exist. @throws as withDirectory() */
  withEntry<T>(path: string, use: (entry: EntryRef) => T): T {
    if (path.startsWith(this.#internalPrefix)) return use(stateEntry(path));
    if (path === this.#root) return this.withDirectory(path, (dir) => use(dir.entry('')));
    const slash = path.lastIndexOf('/');
    return this.withDirectory(path.slice(0, slash) || '/', (dir) => use(dir.entry(path.slice(slash + 1))));
  }

  /** Calls `use` with a safe path of an inode: the directory at `path`, or any inode of the state directory.
   *  @throws as withDirectory() */
  withInode<T>(path: string, use: (path: string) => T): T {
    return path.startsWith(this.#internalPrefix) ? use(path) : this.withDirectory(path, (dir) => use(dir.path));
  }

  #relative(path: string): string {
    if (path === this.#root) return '.';
    const below = path.slice(this.#root === '/' ? 0 : this.#root.length);
    if (!path.startsWith(this.#root) || !below.startsWith('/')) throw new Error(`${path}: not below ${this.#root}`);
    return below.replace(/^\/+/, '');
  }
}

/** Replaces the descriptor path in error messages by the real path. */
function withRealPathInErrors<T>(fdPath: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && error.message.includes(fdPath))
      error.message = error.message.replaceAll(fdPath, `${path}/`);
    throw error;
  }
}
