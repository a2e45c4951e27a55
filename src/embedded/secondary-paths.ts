// Resolves paths of the volume interface in a plain-directory secondary. No resolved path goes through a symlink or leaves
// the tree. If a directory lacks permissions for its owner, and this is an ordinary user, they are added during the call.

import { chmodSync, closeSync, constants as fsConstants, fstatSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import type { InodeStats } from '../native/beneath.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import { fsEncode } from '../names.js';
import { parseInode } from '../secondary/path-guard.js';
import type { OpenDirectory, Spot } from './beneath.js';
import { INTERNAL_NAME, type BrickLayout } from './layout.js';
import type { SecondaryTree } from './secondary-tree.js';
import { isDirectory } from './tree-index.js';

const { EACCES, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM } = constants.errno;
const PERMISSIONS = 0o7777;
const OWNER_ACCESS = 0o700;
const O_PATH = 0o10000000;

/** A Spot or an OpenDirectory. */
export interface Inode {
  readonly path: string;
  stat(): InodeStats | null;
}

export class SecondaryPaths {
  readonly #layout: BrickLayout;
  readonly #tree: SecondaryTree;

  constructor(layout: BrickLayout, tree: SecondaryTree) {
    this.#layout = layout;
    this.#tree = tree;
  }

  /** Gfid of an absolute path. An inode without a gfid gets one, as when GlusterFS looks up a file that was put directly on
   *  a brick. Such an inode is not the primary's, so a replicated one may replace it. */
  gfidAt(path: string): Gfid {
    const stats = this.stats(path);
    const known = this.#tree.gfidOfIno(stats.ino);
    if (known !== undefined) return known;
    if (!isDirectory(stats.mode)) return this.at(path, (spot) => this.#tree.adoptFile(spot));
    const parent = this.gfidAt(dirname(path));
    return this.at(path, (spot) => this.#tree.adoptDirectory(spot, { parent, name: basename(path) }, stats.ino));
  }

  /** @returns the absolute path. @throws NativeError ENOENT; ENOTDIR if a plain path leads through a symlink */
  resolve(path: string): string {
    if (path === '.') return this.#layout.root;
    if (path.startsWith(GFID_PREFIX)) {
      const rest = path.slice(GFID_PREFIX.length);
      const gfid = rest.slice(0, 36);
      if (!isGfid(gfid)) throw new NativeError('lookup', path, ENOENT);
      return rest.length === 36 ? this.#tree.inodePath(gfid) : this.#below(this.#tree.directoryPath(gfid), rest.slice(37));
    }
    return this.#below(this.#layout.root, path);
  }

  #below(dir: string, path: string): string {
    const names = path.split('/');
    let at = dir;
    for (const name of names.slice(0, -1)) {
      at = `${at}/${name}`;
      if (!isDirectory(this.stats(at).mode)) throw new NativeError('lookup', at, ENOTDIR);
    }
    if (dir === this.#layout.root && names[0] === INTERNAL_NAME) throw new NativeError('lookup', path, EPERM);
    return `${at}/${names.at(-1) ?? ''}`;
  }

  /** Parent and name of a path of the volume interface. @throws NativeError ENOENT */
  parse(path: string): { parent: Gfid; name: string } {
    const slash = path.lastIndexOf('/');
    const dir = slash < 0 ? '.' : path.slice(0, slash);
    return { parent: this.gfidAt(this.resolve(dir)), name: path.slice(slash + 1) };
  }

  /** Takes an absolute path, as statsOrNull() and stats() do. */
  exists(path: string): boolean {
    return this.statsOrNull(path) !== null;
  }

  statsOrNull(path: string): InodeStats | null {
    try {
      return this.at(path, (spot) => spot.stat());
    } catch (error) {
      if (![ENOENT, ENOTDIR].includes(errnoNumber(error) ?? 0)) throw error;
      return null;
    }
  }

  /** @throws NativeError ENOENT */
  stats(path: string): InodeStats {
    return this.at(path, there);
  }

  /** Calls `use` with the inode of a path of the volume interface: an OpenDirectory if the tree knows it as a directory. */
  inode<T>(path: string, use: (inode: Inode) => T): T {
    const target = this.resolve(path);
    const gfid = parseInode(path);
    if (gfid === null || !this.#tree.isDirectory(gfid)) return this.at(target, use);
    return this.#accessible(dirname(target), () =>
      this.#layout.beneath.inside(target, (dir) => {
        // A user may have moved another user's directory to this place.
        const found = this.#tree.gfidOfIno(dir.stat().ino);
        if (found !== undefined && found !== gfid) throw new NativeError('lookup', path, ENOENT);
        return use(dir);
      }),
    );
  }

  /** Calls `call` with the name at an absolute path, which need not exist. @throws as Beneath.at() */
  at<T>(path: string, call: (spot: Spot) => T): T {
    return this.#accessible(dirname(path), () => this.#layout.beneath.at(path, call));
  }

  /** Calls `call` with the open directory at an absolute path. @throws as Beneath.inside() */
  in<T>(path: string, call: (dir: OpenDirectory) => T): T {
    return this.#accessible(path, () => this.#layout.beneath.inside(path, call));
  }

  /** Makes a call in the directory `dir`. If that fails since `dir` lacks permissions for its owner, adds them for a second
   *  try. */
  #accessible<T>(dir: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (errnoNumber(error) !== EACCES || process.geteuid?.() === 0 || dir === '/' || dir === dirname(this.#layout.root)) throw error;
      const { mode } = this.stats(dir);
      if ((mode & OWNER_ACCESS) === OWNER_ACCESS) throw error;
      this.at(dir, ({ path }) => changeMode(path, (mode & PERMISSIONS) | OWNER_ACCESS));
      try {
        return call();
      } finally {
        this.at(dir, ({ path }) => changeMode(path, mode & PERMISSIONS));
      }
    }
  }
}

/** @throws NativeError ENOENT */
export function there(inode: Inode): InodeStats {
  const stats = inode.stat();
  if (stats === null) throw new NativeError('lstat', inode.path, ENOENT);
  return stats;
}

/** @throws NativeError EOPNOTSUPP for a symlink */
export function changeMode(path: string, mode: number): void {
  const fd = openSync(fsEncode(path), O_PATH | fsConstants.O_NOFOLLOW);
  try {
    if (fstatSync(fd).isSymbolicLink()) throw new NativeError('chmod', path, EOPNOTSUPP);
    chmodSync(`/proc/self/fd/${fd}`, mode);
  } finally {
    closeSync(fd);
  }
}
