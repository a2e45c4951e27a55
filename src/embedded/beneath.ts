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
export class Spot {
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
  linkTo(other: Spot): void {
    linkAt(this.#dir, this.#name, other.#dir, other.#name);
  }
}

/** A path in a directory that other users cannot change. */
export function ownSpot(path: string): Spot {
  return new Spot(AT_FDCWD, path, path);
}

/** An open directory. The caller closes it. */
export class OpenDirectory {
  /** Path of the directory itself, with a final slash. For names behind it, see Spot.path. */
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

  spot(name: string): Spot {
    return new Spot(this.#fd, name, `${this.path}${name}`);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

export class Beneath {
  readonly #root: string;
  readonly #own: string;
  readonly #top: OpenDirectory;
  readonly #topFd: number;

  /** Both paths are absolute, without symlinks.
   *  @param root stays open until the process ends @param own the state directory
   *  @throws Node system errors */
  constructor(root: string, own: string) {
    this.#root = root;
    this.#own = `${own}/`;
    this.#topFd = openSync(fsEncode(root), O_PATH | fsConstants.O_DIRECTORY | fsConstants.O_NOFOLLOW);
    this.#top = new OpenDirectory(this.#topFd);
  }

  /** Opens a directory; the caller closes it. @param path absolute
   *  @throws NativeError ENOTDIR if a symlink is in the path, ENOENT, EACCES, … */
  open(path: string): OpenDirectory {
    return new OpenDirectory(openBeneath(this.#topFd, this.#relative(path)));
  }

  /** Calls `use` with the open directory. @throws as open(), and errors of `use` with `path` in their messages */
  inside<T>(path: string, use: (dir: OpenDirectory) => T): T {
    if (path === this.#root) return withPath(this.#top.path, path, () => use(this.#top));
    const dir = this.open(path);
    try {
      return withPath(dir.path, path, () => use(dir));
    } finally {
      dir.close();
    }
  }

  /** Calls `use` with the name at `path`, which need not exist. @throws as inside() */
  at<T>(path: string, use: (spot: Spot) => T): T {
    if (path.startsWith(this.#own)) return use(ownSpot(path));
    if (path === this.#root) return this.inside(path, (dir) => use(dir.spot('')));
    const slash = path.lastIndexOf('/');
    return this.inside(path.slice(0, slash) || '/', (dir) => use(dir.spot(path.slice(slash + 1))));
  }

  /** Calls `use` with a safe path of an inode: the directory at `path`, or any inode of the state directory.
   *  @throws as inside() */
  inode<T>(path: string, use: (path: string) => T): T {
    return path.startsWith(this.#own) ? use(path) : this.inside(path, (dir) => use(dir.path));
  }

  #relative(path: string): string {
    if (path === this.#root) return '.';
    const below = path.slice(this.#root === '/' ? 0 : this.#root.length);
    if (!path.startsWith(this.#root) || !below.startsWith('/')) throw new Error(`${path}: not below ${this.#root}`);
    return below.replace(/^\/+/, '');
  }
}

/** Replaces the descriptor path in error messages by the real path. */
function withPath<T>(open: string, path: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (error instanceof Error && error.message.includes(open)) error.message = error.message.replaceAll(open, `${path}/`);
    throw error;
  }
}
