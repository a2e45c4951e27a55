// The inodes of an embedded secondary by gfid, and back. Files, symlinks and special files have a hard link `.gfid/<gfid>`; a
// directory has a symlink `.gfid/<gfid>` to `<parent gfid>/<name>`, so that `.gfid/<gfid>` leads to it from link to link. What
// is in memory is read from these links at the start. Invariant: a link is made before its inode gets its first name and
// removed after its last one is gone, so that being killed at any instruction leaves nothing with a name and no gfid; what is
// left over is removed at the next start. What somebody else puts into the directory is adopted when it is looked up.

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
import { ownSpot, type Spot } from './beneath.js';
import { handlePath, stampGfid, type BrickLayout } from './layout.js';
import { isDirectory, placeKey, type Place } from './tree-index.js';

const { ENOENT, ENOTDIR } = constants.errno;
/** A directory is about to move: its link-to-be. */
const MOVING = '.moving';

interface Directory extends Place {
  readonly ino: bigint;
}

export class SecondaryTree {
  readonly #layout: BrickLayout;
  readonly #dirs = new Map<Gfid, Directory>();
  /** By placeKey. */
  readonly #places = new Map<string, Gfid>();
  readonly #inos = new Map<bigint, Gfid>();
  readonly newDir: string;

  constructor(layout: BrickLayout) {
    this.#layout = layout;
    this.newDir = join(layout.stateDir, 'new');
    rmSync(fsEncode(this.newDir), { recursive: true, force: true });
    mkdirSync(fsEncode(this.newDir), { mode: 0o700 });
    this.#inos.set(layout.beneath.inside(layout.root, (dir) => dir.stat()).ino, ROOT_GFID);
    this.#load();
    const root = handlePath(layout, ROOT_GFID);
    if (statOf(root) === null) symlinkSync('../..', fsEncode(root));
  }

  isDirectory(gfid: Gfid): boolean {
    return gfid === ROOT_GFID || this.#dirs.has(gfid);
  }

  placeOf(dir: Gfid): Place | null {
    return this.#dirs.get(dir) ?? null;
  }

  /** Absolute path of an inode. It may not exist. */
  inodePath(gfid: Gfid): string {
    return this.isDirectory(gfid) ? this.directoryPath(gfid) : handlePath(this.#layout, gfid);
  }

  /** Absolute path of a directory. @throws NativeError ENOENT */
  directoryPath(gfid: Gfid): string {
    const parts: string[] = [];
    for (let at = gfid; at !== ROOT_GFID; ) {
      const place = this.#dirs.get(at);
      if (place === undefined) throw new NativeError('directory', gfid, ENOENT);
      parts.unshift(place.name);
      at = place.parent;
    }
    return [this.#layout.root, ...parts].join('/');
  }

  gfidOfIno(ino: bigint): Gfid | undefined {
    return this.#inos.get(ino);
  }

  addFile(gfid: Gfid, ino: bigint): void {
    this.#inos.set(ino, gfid);
  }

  /** Gives a gfid to a file that was not replicated. @throws as link(2) does */
  adoptFile(file: Spot): Gfid {
    const gfid = randomUUID() as Gfid;
    const link = handlePath(this.#layout, gfid);
    file.linkTo(ownSpot(link));
    const stats = statOf(link);
    if (stats !== null) this.addFile(gfid, stats.ino);
    stampGfid(this.#layout, link, gfid);
    return gfid;
  }

  /** As adoptFile() for a directory. A directory that a user made in place of a known one counts as the known one from now on, as it
   *  would after the next start. */
  adoptDirectory({ path }: Spot, place: Place, ino: bigint): Gfid {
    const replaced = this.#places.get(placeKey(place));
    const gfid = replaced ?? (randomUUID() as Gfid);
    const before = this.#dirs.get(gfid);
    if (before !== undefined) this.#inos.delete(before.ino);
    this.addDirectory(gfid, place, ino);
    stampGfid(this.#layout, path, gfid);
    return gfid;
  }

  /** Makes the link of a directory that is about to appear at `place`, or notes that it did. */
  addDirectory(gfid: Gfid, place: Place, ino: bigint): void {
    const link = handlePath(this.#layout, gfid);
    rmSync(fsEncode(link), { force: true });
    symlinkSync(linkText(place), fsEncode(link));
    this.#put(gfid, place, ino);
  }

  /** Moves a directory by `rename`, which is called when a start after a crash would find it at either place. */
  moveDirectory(gfid: Gfid, to: Place, rename: () => void): void {
    const link = handlePath(this.#layout, gfid);
    rmSync(fsEncode(`${link}${MOVING}`), { force: true });
    symlinkSync(linkText(to), fsEncode(`${link}${MOVING}`));
    try {
      rename();
    } catch (error) {
      unlinkSync(fsEncode(`${link}${MOVING}`));
      throw error;
    }
    renameSync(fsEncode(`${link}${MOVING}`), fsEncode(link));
    const before = this.#dirs.get(gfid);
    if (before !== undefined) this.#put(gfid, to, before.ino);
  }

  dropDirectory(gfid: Gfid, ino: bigint): void {
    this.#inos.delete(ino);
    this.#forget(gfid);
  }

  /** After a name of a file was taken away: removes its link when that was the last one. */
  dropIfNameless(gfid: Gfid, ino: bigint): void {
    const link = handlePath(this.#layout, gfid);
    const stats = statOf(link);
    if (stats !== null && stats.nlink > 1) return;
    this.#inos.delete(ino);
    if (stats !== null) unlinkSync(fsEncode(link));
  }

  #load(): void {
    const moving: { gfid: Gfid; place: Place }[] = [];
    for (const name of readdirSync(fsEncode(this.#layout.gfidDir), { encoding: 'utf8' })) {
      const path = join(this.#layout.gfidDir, name);
      const gfid = name.replace(MOVING, '');
      const stats = statOf(path);
      if (stats === null || !isGfid(gfid) || gfid === ROOT_GFID) continue;
      const place = directoryLink(path, stats);
      if (place === null) {
        if (stats.nlink === 1) unlinkSync(fsEncode(path));
        else this.#inos.set(stats.ino, gfid);
      } else if (name.endsWith(MOVING)) moving.push({ gfid, place });
      else this.#dirs.set(gfid, { ...place, ino: 0n });
    }
    for (const { gfid, place } of moving) this.#finishMove(gfid, place);
    for (const [gfid, place] of [...this.#dirs]) {
      const stats = this.#directoryStats(gfid);
      if (stats !== null) this.#put(gfid, place, stats.ino);
    }
    for (const gfid of [...this.#dirs.keys()]) if (this.#directoryStats(gfid) === null) this.#forget(gfid);
  }

  /** A rename was under way: the directory is at its new place, or, when there is none, still at its old one. */
  #finishMove(gfid: Gfid, to: Place): void {
    const old = this.#dirs.get(gfid);
    const link = handlePath(this.#layout, gfid);
    const isMoved = old !== undefined && this.#directoryStats(gfid) === null;
    if (isMoved) this.#dirs.set(gfid, { ...to, ino: 0n });
    if (isMoved) renameSync(fsEncode(`${link}${MOVING}`), fsEncode(link));
    else unlinkSync(fsEncode(`${link}${MOVING}`));
  }

  #put(gfid: Gfid, { parent, name }: Place, ino: bigint): void {
    this.#vacate(gfid);
    this.#dirs.set(gfid, { parent, name, ino });
    this.#places.set(placeKey({ parent, name }), gfid);
    this.#inos.set(ino, gfid);
  }

  #vacate(gfid: Gfid): void {
    const place = this.#dirs.get(gfid);
    if (place !== undefined && this.#places.get(placeKey(place)) === gfid) this.#places.delete(placeKey(place));
    this.#dirs.delete(gfid);
  }

  #forget(gfid: Gfid): void {
    this.#vacate(gfid);
    rmSync(fsEncode(handlePath(this.#layout, gfid)), { force: true });
  }

  #directoryStats(gfid: Gfid): InodeStats | null {
    try {
      const stats = this.#layout.beneath.at(this.directoryPath(gfid), (spot) => spot.stat());
      return stats !== null && isDirectory(stats.mode) ? stats : null;
    } catch (error) {
      if (![ENOENT, ENOTDIR].includes(errnoNumber(error) ?? 0)) throw error;
      return null;
    }
  }
}

/** A directory's link is told from a symlink of the tree by its single name, and by its owner: a user can take away the
 *  other name of his own symlink, which may say anything. */
function directoryLink(path: string, stats: InodeStats): Place | null {
  if (fileKind(stats.mode) !== 'symlink' || stats.nlink !== 1 || stats.uid !== process.geteuid?.()) return null;
  const text = fsDecode(readlinkSync(fsEncode(path), { encoding: 'buffer' }));
  const [parent, name] = [text.slice(0, 36), text.slice(37)];
  return isGfid(parent) && text[36] === '/' && isEntryName(name) ? { parent, name } : null;
}

function linkText(place: Place): Buffer {
  return fsEncode(placeKey(place));
}
