// Resolves paths of the volume interface in a plain-directory secondary. No resolved path goes through a symlink or leaves
// the tree. If a directory lacks permissions for its owner, and this is an ordinary user, they are added during the call.

import { chmodSync, closeSync, constants as fsConstants, fstatSync, openSync } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname } from 'node:path';
import { GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import type { InodeStats } from '../native/beneath.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import { fsEncode } from '../names.js';
import { PERMISSIONS } from '../protocol/view.js';
import { parseInode } from '../secondary/path-guard.js';
import type { OpenDirectory, EntryRef } from './beneath.js';
import { INTERNAL_NAME, type BrickLayout } from './layout.js';
import type { SecondaryTree } from './secondary-tree.js';
import { isDirectory, type Place } from './tree-index.js';

const { EACCES, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM } = constants.errno;
const OWNER_ACCESS = 0o700;
const O_PATH = 0o10000000;

/** An EntryRef or an OpenDirectory. */
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
    if (!isDirectory(stats.mode)) return this.withEntry(path, (entry) => this.#tree.adoptFile(entry));
    const parent = this.gfidAt(dirname(path));
    return this.withEntry(path, (entry) =>
      this.#tree.adoptDirectory(entry, { parent, name: basename(path) }, stats.ino),
    );
  }

  /** @returns the absolute path. @throws NativeError ENOENT; ENOTDIR if a plain path leads through a symlink */
  resolve(path: string): string {
    if (path === '.') return this.#layout.root;
    if (path.startsWith(GFID_PREFIX)) {
      const rest = path.slice(GFID_PREFIX.length);
      const gfid = rest.slice(0, 36);
      if (!isGfid(gfid)) throw new NativeError('lookup', path, ENOENT);
      return rest.length === 36
        ? this.#tree.inodePath(gfid)
        : this.#resolveBelow(this.#tree.directoryPath(gfid), rest.slice(37));
    }
    return this.#resolveBelow(this.#layout.root, path);
  }

  #resolveBelow(dir: string, path: string): string {
    const names = path.split('/');
    let target = dir;
    for (const name of names.slice(0, -1)) {
      target = `${target}/${name}`;
      if (!isDirectory(this.stats(target).mode)) throw new NativeError('lookup', target, ENOTDIR);
    }
    if (dir === this.#layout.root && names[0] === INTERNAL_NAME) throw new NativeError('lookup', path, EPERM);
    return `${target}/${names.at(-1) ?? ''}`;
  }

  /** Parent and name of a path of the volume interface. @throws NativeError ENOENT */
  placeAt(path: string): Place {
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
      return this.withEntry(path, (entry) => entry.stat());
    } catch (error) {
      if (![ENOENT, ENOTDIR].includes(errnoNumber(error) ?? 0)) throw error;
      return null;
    }
  }

  /** @throws NativeError ENOENT */
  stats(path: string): InodeStats {
    return this.withEntry(path, requireStats);
  }

  /** Calls `use` with the inode of a path of the volume interface: an OpenDirectory if the tree knows it as a directory. */
  withInode<T>(path: string, use: (inode: Inode) => T): T {
    const target = this.resolve(path);
    const gfid = parseInode(path);
    if (gfid === null || !this.#tree.isDirectory(gfid)) return this.withEntry(target, use);
    return this.#withOwnerAccess(dirname(target), () =>
      this.#layout.beneath.withDirectory(target, (dir) => {
        // A user may have moved another user's directory to this place.
        const found = this.#tree.gfidOfIno(dir.stat().ino);
        if (found !== undefined && found !== gfid) throw new NativeError('lookup', path, ENOENT);
        return use(dir);
      }),
    );
  }

  /** Calls `use` with the name at an absolute path, which need not exist. @throws as BeneathRoot.withEntry() */
  withEntry<T>(path: string, use: (entry: EntryRef) => T): T {
    return this.#withOwnerAccess(dirname(path), () => this.#layout.beneath.withEntry(path, use));
  }

  /** Calls `use` with the open directory at an absolute path. @throws as BeneathRoot.withDirectory() */
  withDirectory<T>(path: string, use: (dir: OpenDirectory) => T): T {
    return this.#withOwnerAccess(path, () => this.#layout.beneath.withDirectory(path, use));
  }

  /** Makes a call in the directory `dir`. If that fails since `dir` lacks permissions for its owner, adds them for a second
   *  try. */
  #withOwnerAccess<T>(dir: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      if (
        errnoNumber(error) !== EACCES ||
        process.geteuid?.() === 0 ||
        dir === '/' ||
        dir === dirname(this.#layout.root)
      )
        throw error;
      const { mode } = this.stats(dir);
      if ((mode & OWNER_ACCESS) === OWNER_ACCESS) throw error;
      this.withEntry(dir, ({ path }) => changeMode(path, (mode & PERMISSIONS) | OWNER_ACCESS));
      try {
        return call();
      } finally {
        this.withEntry(dir, ({ path }) => changeMode(path, mode & PERMISSIONS));
      }
    }
  }
}

/** @throws NativeError ENOENT */
export function requireStats(inode: Inode): InodeStats {
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
