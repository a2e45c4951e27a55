// Scans the directory of a plain-directory primary: names, the inode of each name, and attributes. The scan gives each new
// inode a gfid, and each new file a hard link under `.gfid`, before a changelog records it. The link also keeps the inode
// number of a deleted file from reuse until its deletion is recorded. Programs may change the tree during a scan, so a scan
// may see a state that never existed. The same changes trigger the next scan, which finds the rest.

import { randomUUID } from 'node:crypto';
import { readdirSync, readlinkSync, unlinkSync } from 'node:fs';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errnoCode } from '../errors.js';
import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import type { Log } from '../log.js';
import { statOf, type InodeStats } from '../native/beneath.js';
import { fsDecode, fsEncode } from '../names.js';
import { fileKind } from '../protocol/view.js';
import { ownSpot, type OpenDirectory, type Spot } from './beneath.js';
import { handlePath, INTERNAL_NAME, tryStampGfid, type BrickLayout } from './layout.js';
import { isDirectory, type InodeLook, type TreeIndex } from './tree-index.js';
import { xattrDigest } from './user-xattrs.js';

/** Upper bound of the step of the kernel clock that sets file times. */
export const CLOCK_TICK_MS = 12;
const MAX_HOLD_MS = 20;
const MAX_PASSES = 3;

export interface Found {
  /** Names in each directory that was read. */
  readonly dirs: Map<Gfid, Map<string, Gfid>>;
  /** Attributes of every inode that was seen. */
  readonly looks: Map<Gfid, InodeLook>;
}

export interface ScannerOptions {
  readonly layout: BrickLayout;
  readonly index: TreeIndex;
  readonly log: Log;
  /** Called for each directory before it is read. The path leads to it until this returns. */
  readonly onDirectory: (gfid: Gfid, path: string) => void;
}

interface Pass extends Found {
  readonly newInodes: Map<bigint, Gfid>;
  readonly dev: number;
  /** The tree changed during the pass. */
  torn: boolean;
}

export class Scanner {
  readonly #options: ScannerOptions;
  /** Inodes with a link under `.gfid` whose attributes are not in the index: from an earlier pass, or from before a crash. */
  readonly #linked: Map<bigint, Gfid>;
  readonly #warned = new Set<string>();
  #lastTurnMs = performance.now();

  constructor(options: ScannerOptions, linked: Map<bigint, Gfid>) {
    this.#options = options;
    this.#linked = linked;
  }

  /** @param which directories that may have changed; new directories below them are read, too */
  async scan(which: 'all' | ReadonlySet<Gfid>): Promise<Found> {
    for (let passes = 1, wanted = which; ; passes += 1) {
      const pass = await this.#pass(wanted);
      const isWhole = !pass.torn && !this.#misses(pass);
      if (isWhole || (wanted === 'all' && passes >= MAX_PASSES)) return pass;
      wanted = 'all';
    }
  }

  async #pass(which: 'all' | ReadonlySet<Gfid>): Promise<Pass> {
    const { layout, index } = this.#options;
    const pass = layout.beneath.inside(layout.root, (root): Pass => {
      const stats = root.stat();
      const looks = new Map([[ROOT_GFID, this.#look(ROOT_GFID, root.path, stats)]]);
      return { dirs: new Map(), looks, newInodes: new Map(), dev: stats.dev, torn: false };
    });
    const stack: { gfid: Gfid; path: string }[] = [];
    if (which === 'all') stack.push({ gfid: ROOT_GFID, path: layout.root });
    else {
      for (const gfid of which) {
        const path = index.pathOf(gfid);
        if (path !== null && index.nodes.get(gfid)?.children !== null) stack.push({ gfid, path: path === '.' ? layout.root : `${layout.root}/${path}` });
      }
    }
    for (let dir = stack.pop(); dir !== undefined; dir = stack.pop()) {
      for (const child of await this.#directory(pass, dir.gfid, dir.path)) {
        if (which === 'all' || !index.nodes.has(child.gfid)) stack.push(child);
      }
    }
    return pass;
  }

  /** @returns the child directories */
  async #directory(pass: Pass, gfid: Gfid, path: string): Promise<{ gfid: Gfid; path: string }[]> {
    if (pass.dirs.has(gfid)) {
      pass.torn = true;
      return [];
    }
    const dir = this.#unlessGone(pass, path, () => this.#options.layout.beneath.open(path));
    try {
      const names = dir && this.#unlessGone(pass, path, () => this.#read(pass, gfid, dir));
      return dir && names ? await this.#names(pass, gfid, dir, path, names) : [];
    } finally {
      dir?.close();
    }
  }

  /** @returns the names in the directory; null if `dir` is another directory than `gfid` */
  #read(pass: Pass, gfid: Gfid, dir: OpenDirectory): string[] | null {
    if (gfid !== ROOT_GFID && !this.#isStill(gfid, dir, pass)) {
      pass.torn = true;
      return null;
    }
    this.#options.onDirectory(gfid, dir.path);
    return readdirSync(dir.path, { encoding: 'buffer' }).map(fsDecode);
  }

  /** @returns null if the directory at `path` is gone or cannot be read */
  #unlessGone<T>(pass: Pass, path: string, call: () => T): T | null {
    try {
      return call();
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'EACCES' || code === 'EPERM') this.#warn('cannot read directory: leaving its copy as it is', path, code);
      else if (code === 'ENOENT' || code === 'ENOTDIR') pass.torn = true;
      else throw error;
      return null;
    }
  }

  async #names(pass: Pass, gfid: Gfid, dir: OpenDirectory, path: string, names: readonly string[]): Promise<{ gfid: Gfid; path: string }[]> {
    const below: { gfid: Gfid; path: string }[] = [];
    const children = new Map<string, Gfid>();
    pass.dirs.set(gfid, children);
    for (const name of names) {
      if (gfid === ROOT_GFID && name === INTERNAL_NAME) continue;
      await this.#yieldIfHeld();
      let child: Gfid | null;
      try {
        child = this.#entry(pass, gfid, name, dir, path);
      } catch (error) {
        if (errnoCode(error) !== 'EACCES') throw error;
        this.#warn('cannot search directory: leaving its copy as it is', path, 'EACCES');
        pass.dirs.delete(gfid);
        return [];
      }
      if (child === null) continue;
      children.set(name, child);
      if (isDirectory(pass.looks.get(child)?.mode ?? 0)) below.push({ gfid: child, path: `${path}/${name}` });
    }
    return below;
  }

  /** Whether `dir` is still the directory `gfid`, by its inode number in this pass or in the index. Stores its attributes. */
  #isStill(gfid: Gfid, dir: OpenDirectory, pass: Pass): boolean {
    const known = pass.looks.get(gfid) ?? this.#options.index.nodes.get(gfid)?.look;
    const stats = dir.stat();
    if (stats.dev !== pass.dev) return false;
    if (known !== undefined && known !== null && known.ino !== stats.ino) return false;
    pass.looks.set(gfid, this.#look(gfid, dir.path, stats));
    return true;
  }

  /** @param path of the directory, for the log @returns null if the name is gone, another inode, or on another file system */
  #entry(pass: Pass, parent: Gfid, name: string, dir: OpenDirectory, path: string): Gfid | null {
    const stats = dir.lookUp(name);
    // Another file system is mounted there.
    if (stats === null || stats.dev !== pass.dev) return null;
    const at = `${dir.path}${name}`;
    const known = this.#identify(pass, parent, name, stats);
    if (known !== undefined) {
      if (!pass.looks.has(known)) pass.looks.set(known, this.#look(known, at, stats));
      return known;
    }
    const gfid = randomUUID() as Gfid;
    const adopted = isDirectory(stats.mode) ? dir.lookUp(name) : this.#link(gfid, dir.spot(name), `${path}/${name}`, stats);
    if (adopted?.ino !== stats.ino) {
      pass.torn = true;
      return null;
    }
    pass.newInodes.set(stats.ino, gfid);
    const look = this.#look(gfid, at, this.#stamp(gfid, dir, name, adopted));
    const isSettled = stats.ctimeNs < BigInt(Date.now() - CLOCK_TICK_MS) * 1_000_000n;
    pass.looks.set(gfid, isSettled && look.mtimeNs === stats.mtimeNs && look.ctimeNs !== stats.ctimeNs ? { ...look, isMarked: true } : look);
    return gfid;
  }

  #identify(pass: Pass, parent: Gfid, name: string, stats: InodeStats): Gfid | undefined {
    const { index } = this.#options;
    const seen = pass.newInodes.get(stats.ino);
    if (seen !== undefined) return seen;
    const node = index.ofIno(stats.ino);
    if (node !== undefined && node.look !== null && fileKind(node.mode) === fileKind(stats.mode) && isSameBirth(node.look.birthNs, stats.birthtimeNs)) return node.gfid;
    const linked = isDirectory(stats.mode) ? undefined : this.#linkedAs(stats.ino);
    if (linked !== undefined) return linked;
    // The index has this directory from a changelog alone, without an inode number: identify it by its name.
    const told = index.at(parent, name);
    const toldNode = told === undefined ? undefined : index.nodes.get(told);
    if (toldNode?.look === null && isDirectory(stats.mode) && isDirectory(toldNode.mode) && !pass.looks.has(toldNode.gfid)) return toldNode.gfid;
    return undefined;
  }

  /** Links a new file under its gfid. @param path for the log
   *  @returns its attributes now; undefined if the name has another inode meanwhile */
  #link(gfid: Gfid, at: Spot, path: string, stats: InodeStats): InodeStats | undefined {
    const linked = this.#tryLink(gfid, at, stats.ino);
    if (typeof linked !== 'string') return linked;
    this.#warn('cannot link file under its gfid: its data is not sent', path, linked);
    return stats;
  }

  /** Retries to link a file that could not be linked. @param path absolute @returns the name of the errno if it fails again */
  relink(gfid: Gfid, path: string, ino: bigint): string | null {
    const { layout } = this.#options;
    try {
      const linked = layout.beneath.at(path, (spot) => this.#tryLink(gfid, spot, ino));
      if (typeof linked === 'string') return linked;
      if (linked !== undefined) this.#stampHandle(gfid);
      return null;
    } catch (error) {
      const code = errnoCode(error);
      return code === 'ENOENT' || code === 'ENOTDIR' ? null : (code ?? '');
    }
  }

  /** @returns as #link, or the name of the errno. For another user's file the kernel may refuse (fs.protected_hardlinks). */
  #tryLink(gfid: Gfid, at: Spot, ino: bigint): InodeStats | string | undefined {
    const handle = handlePath(this.#options.layout, gfid);
    try {
      at.linkTo(ownSpot(handle));
    } catch (error) {
      const code = errnoCode(error) ?? '';
      return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : code;
    }
    const linked = statOf(handle);
    if (linked?.ino !== ino) {
      unlinkSync(fsEncode(handle));
      return undefined;
    }
    this.#linked.set(ino, gfid);
    return linked;
  }

  #linkedAs(ino: bigint): Gfid | undefined {
    const gfid = this.#linked.get(ino);
    if (gfid === undefined) return undefined;
    return statOf(handlePath(this.#options.layout, gfid))?.ino === ino ? gfid : undefined;
  }

  /** Forgets links that the index holds now. Removes links of files that were deleted before the index could hold them. */
  settleLinks(): void {
    const { index, layout } = this.#options;
    for (const [ino, gfid] of this.#linked) {
      if (index.nodes.has(gfid)) {
        if (index.nodes.get(gfid)?.look !== null) this.#linked.delete(ino);
        continue;
      }
      const handle = handlePath(layout, gfid);
      const stats = statOf(handle);
      if (stats !== null && stats.nlink > 1) continue;
      this.#linked.delete(ino);
      if (stats !== null) unlinkSync(fsEncode(handle));
    }
  }

  #stamp(gfid: Gfid, dir: OpenDirectory, name: string, stats: InodeStats): InodeStats {
    const { layout } = this.#options;
    if (layout.xattrs === 'none') return stats;
    if (!isDirectory(stats.mode)) return this.#stampHandle(gfid) ?? stats;
    return tryStampGfid(layout, `${dir.path}${name}`, gfid) ? (dir.lookUp(name) ?? stats) : stats;
  }

  #stampHandle(gfid: Gfid): InodeStats | null {
    const { layout } = this.#options;
    const handle = handlePath(layout, gfid);
    return tryStampGfid(layout, handle, gfid) ? statOf(handle) : null;
  }

  #look(gfid: Gfid, at: string, stats: InodeStats): InodeLook {
    const before = this.#options.index.nodes.get(gfid)?.look ?? null;
    const isUnchanged = before !== null && before.ino === stats.ino && before.ctimeNs === stats.ctimeNs && before.isUnsure !== true;
    const { ino, mode, uid, gid, size, rdev, birthtimeNs: birthNs, mtimeNs, ctimeNs, atimeNs } = stats;
    const xattrs = isUnchanged ? before.xattrs : this.#xattrs(gfid, at, mode);
    const target = fileKind(mode) === 'symlink' ? (before?.target ?? readTarget(at)) : null;
    return { ino, birthNs, mode, uid, gid, size, rdev, mtimeNs, ctimeNs, atimeNs, xattrs, target };
  }

  /** Reads a file's xattrs by its link under `.gfid` if there is one, since that path is shorter. */
  #xattrs(gfid: Gfid, at: string, mode: number): string {
    const byLink = isDirectory(mode) ? null : xattrDigest(handlePath(this.#options.layout, gfid), mode);
    return byLink ?? xattrDigest(at, mode) ?? '';
  }

  /** Whether the pass misses an indexed inode that may still exist. */
  #misses({ dirs, looks }: Pass): boolean {
    const { index } = this.#options;
    for (const [dir, children] of dirs) {
      for (const [name, gfid] of index.nodes.get(dir)?.children ?? []) {
        if (children.get(name) === gfid || looks.has(gfid)) continue;
        if (this.#holdsNamed(gfid)) return true;
      }
    }
    return false;
  }

  /** Whether an inode, or a file below it, still has a name outside of `.gfid`. An inode without one is deleted. A
   *  directory without files is treated as deleted, too: if it was moved, a scan finds it as a new one. */
  #holdsNamed(gfid: Gfid): boolean {
    const { index, layout } = this.#options;
    const node = index.nodes.get(gfid);
    if (node === undefined) return false;
    if (node.children !== null) return [...node.children.values()].some((child) => this.#holdsNamed(child));
    return (statOf(handlePath(layout, gfid))?.nlink ?? 0) > 1;
  }

  #warn(message: string, path: string, error: string): void {
    if (this.#warned.has(path)) return;
    this.#warned.add(path);
    this.#options.log.warn(message, { path, error });
  }

  async #yieldIfHeld(): Promise<void> {
    if (performance.now() - this.#lastTurnMs < MAX_HOLD_MS) return;
    await nextTurn();
    this.#lastTurnMs = performance.now();
  }
}

function isSameBirth(known: bigint, now: bigint): boolean {
  return known === now || known === 0n || now === 0n;
}

function readTarget(path: string): string | null {
  try {
    return fsDecode(readlinkSync(fsEncode(path), { encoding: 'buffer' }));
  } catch {
    return null;
  }
}
