// Maps gfids to inodes of a plain-directory secondary, and back. A file, symlink or special file has a hard link
// `.gfid/<gfid>`. A directory has a symlink `.gfid/<gfid>` to `<parent gfid>/<name>`; the kernel resolves it from link to
// link. The constructor reads these links into memory. Invariant: an inode gets its link before its first name, and loses
// it after its last one. So a kill at any instruction leaves no name without a gfid, and the next start removes unused
// links. Inodes that users put into the directory get a gfid when they are looked up.

import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, unlinkSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { isGfid, ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { statOf, type InodeStats } from '../native/beneath.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import { fsDecode, fsEncode } from '../names.js';
import { fileKind } from '../protocol/view.js';
import { isEntryName } from '../secondary/path-guard.js';
import { stateEntry, type EntryRef } from './beneath.js';
import { handlePath, setGfid, type BrickLayout } from './layout.js';
import { isDirectory, placeKey, type Place } from './tree-index.js';

const { ENOENT, ENOTDIR } = constants.errno;
/** Suffix of the new link of a directory, while it moves. */
const MOVING_SUFFIX = '.moving';

interface Directory extends Place {
  readonly ino: bigint;
}

export class SecondaryTree {
  readonly #layout: BrickLayout;
  readonly #dirs = new Map<Gfid, Directory>();
  /** Key: placeKey(). */
  readonly #gfidByPlace = new Map<string, Gfid>();
  readonly #gfidByIno = new Map<bigint, Gfid>();
  readonly newDir: string;

  constructor(layout: BrickLayout) {
    this.#layout = layout;
    this.newDir = join(layout.stateDir, 'new');
    rmSync(fsEncode(this.newDir), { recursive: true, force: true });
    mkdirSync(fsEncode(this.newDir), { mode: 0o700 });
    this.#gfidByIno.set(layout.beneath.withDirectory(layout.root, (dir) => dir.stat()).ino, ROOT_GFID);
    this.#loadLinks();
    const root = handlePath(layout, ROOT_GFID);
    if (statOf(root) === null) symlinkSync('../..', fsEncode(root));
  }

  isDirectory(gfid: Gfid): boolean {
    return gfid === ROOT_GFID || this.#dirs.has(gfid);
  }

  placeOf(dir: Gfid): Place | null {
    return this.#dirs.get(dir) ?? null;
  }

  /** Absolute path of an inode, which may not exist. */
  inodePath(gfid: Gfid): string {
    return this.isDirectory(gfid) ? this.directoryPath(gfid) : handlePath(this.#layout, gfid);
  }

  /** Absolute path of a directory. @throws NativeError ENOENT */
  directoryPath(gfid: Gfid): string {
    const parts: string[] = [];
    for (let at = gfid; at !== ROOT_GFID;) {
      const place = this.#dirs.get(at);
      if (place === undefined) throw new NativeError('directory', gfid, ENOENT);
      parts.unshift(place.name);
      at = place.parent;
    }
    return [this.#layout.root, ...parts].join('/');
  }

  gfidOfIno(ino: bigint): Gfid | undefined {
    return this.#gfidByIno.get(ino);
  }

  addFile(gfid: Gfid, ino: bigint): void {
    this.#gfidByIno.set(ino, gfid);
  }

  /** Gives a gfid to a file that a user put there. @throws as link(2) does */
  adoptFile(file: EntryRef): Gfid {
    const gfid = randomUUID() as Gfid;
    const link = handlePath(this.#layout, gfid);
    file.linkTo(stateEntry(link));
    const stats = statOf(link);
    if (stats !== null) this.addFile(gfid, stats.ino);
    setGfid(this.#layout, link, gfid);
    return gfid;
  }

  /** Gives a gfid to a directory that a user made. If it replaces a known directory, it takes over that one's gfid, as it
   *  would at the next start. */
  adoptDirectory({ path }: EntryRef, place: Place, ino: bigint): Gfid {
    const replaced = this.#gfidByPlace.get(placeKey(place));
    const gfid = replaced ?? (randomUUID() as Gfid);
    const before = this.#dirs.get(gfid);
    if (before !== undefined) this.#gfidByIno.delete(before.ino);
    this.addDirectory(gfid, place, ino);
    setGfid(this.#layout, path, gfid);
    return gfid;
  }

  /** Makes the link of a directory that is about to appear at `place`, or that did. */
  addDirectory(gfid: Gfid, place: Place, ino: bigint): void {
    const link = handlePath(this.#layout, gfid);
    rmSync(fsEncode(link), { force: true });
    symlinkSync(linkTarget(place), fsEncode(link));
    this.#setDirectory(gfid, place, ino);
  }

  /** Moves a directory by calling `rename`. If a crash interrupts it, the next start finds the directory at either place. */
  moveDirectory(gfid: Gfid, to: Place, rename: () => void): void {
    const link = handlePath(this.#layout, gfid);
    rmSync(fsEncode(`${link}${MOVING_SUFFIX}`), { force: true });
    symlinkSync(linkTarget(to), fsEncode(`${link}${MOVING_SUFFIX}`));
    try {
      rename();
    } catch (error) {
      unlinkSync(fsEncode(`${link}${MOVING_SUFFIX}`));
      throw error;
    }
    renameSync(fsEncode(`${link}${MOVING_SUFFIX}`), fsEncode(link));
    const before = this.#dirs.get(gfid);
    if (before !== undefined) this.#setDirectory(gfid, to, before.ino);
  }

  dropDirectory(gfid: Gfid, ino: bigint): void {
    this.#gfidByIno.delete(ino);
    this.#removeDirectory(gfid);
  }

  /** Removes the link of a file after one of its names was removed, if that was the last one. */
  dropIfNameless(gfid: Gfid, ino: bigint): void {
    const link = handlePath(this.#layout, gfid);
    const stats = statOf(link);
    if (stats !== null && stats.nlink > 1) return;
    this.#gfidByIno.delete(ino);
    if (stats !== null) unlinkSync(fsEncode(link));
  }

  #loadLinks(): void {
    const moving: { gfid: Gfid; place: Place }[] = [];
    for (const name of readdirSync(fsEncode(this.#layout.gfidDir), { encoding: 'utf8' })) {
      const path = join(this.#layout.gfidDir, name);
      const gfid = name.replace(MOVING_SUFFIX, '');
      const stats = statOf(path);
      if (stats === null || !isGfid(gfid) || gfid === ROOT_GFID) continue;
      const place = parseDirectoryLink(path, stats);
      if (place === null) {
        if (stats.nlink === 1) unlinkSync(fsEncode(path));
        else this.#gfidByIno.set(stats.ino, gfid);
      } else if (name.endsWith(MOVING_SUFFIX)) moving.push({ gfid, place });
      else this.#dirs.set(gfid, { ...place, ino: 0n });
    }
    for (const { gfid, place } of moving) this.#finishMove(gfid, place);
    for (const [gfid, place] of [...this.#dirs]) {
      const stats = this.#directoryStats(gfid);
      if (stats !== null) this.#setDirectory(gfid, place, stats.ino);
    }
    for (const gfid of [...this.#dirs.keys()]) if (this.#directoryStats(gfid) === null) this.#removeDirectory(gfid);
  }

  /** Finishes an interrupted rename: the directory is at its new place unless it is still at the old one. */
  #finishMove(gfid: Gfid, to: Place): void {
    const old = this.#dirs.get(gfid);
    const link = handlePath(this.#layout, gfid);
    const isMoved = old !== undefined && this.#directoryStats(gfid) === null;
    if (isMoved) this.#dirs.set(gfid, { ...to, ino: 0n });
    if (isMoved) renameSync(fsEncode(`${link}${MOVING_SUFFIX}`), fsEncode(link));
    else unlinkSync(fsEncode(`${link}${MOVING_SUFFIX}`));
  }

  #setDirectory(gfid: Gfid, { parent, name }: Place, ino: bigint): void {
    this.#unsetDirectory(gfid);
    this.#dirs.set(gfid, { parent, name, ino });
    this.#gfidByPlace.set(placeKey({ parent, name }), gfid);
    this.#gfidByIno.set(ino, gfid);
  }

  #unsetDirectory(gfid: Gfid): void {
    const place = this.#dirs.get(gfid);
    if (place !== undefined && this.#gfidByPlace.get(placeKey(place)) === gfid)
      this.#gfidByPlace.delete(placeKey(place));
    this.#dirs.delete(gfid);
  }

  #removeDirectory(gfid: Gfid): void {
    this.#unsetDirectory(gfid);
    rmSync(fsEncode(handlePath(this.#layout, gfid)), { force: true });
  }

  #directoryStats(gfid: Gfid): InodeStats | null {
    try {
      const stats = this.#layout.beneath.withEntry(this.directoryPath(gfid), (entry) => entry.stat());
      return stats !== null && isDirectory(stats.mode) ? stats : null;
    } catch (error) {
      if (![ENOENT, ENOTDIR].includes(errnoNumber(error) ?? 0)) throw error;
      return null;
    }
  }
}

/** Tells a directory's link from a user's symlink, which may have any target: it has one name only, and this user owns it.
 *  The owner matters, since users can remove the other names of their own symlinks. */
function parseDirectoryLink(path: string, stats: InodeStats): Place | null {
  if (fileKind(stats.mode) !== 'symlink' || stats.nlink !== 1 || stats.uid !== process.geteuid?.()) return null;
  const text = fsDecode(readlinkSync(fsEncode(path), { encoding: 'buffer' }));
  const [parent, name] = [text.slice(0, 36), text.slice(37)];
  return isGfid(parent) && text[36] === '/' && isEntryName(name) ? { parent, name } : null;
}

function linkTarget(place: Place): Buffer {
  return fsEncode(placeKey(place));
}
