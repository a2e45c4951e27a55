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
import { stateEntry, type OpenDirectory, type EntryRef } from './beneath.js';
import { handlePath, INTERNAL_NAME, trySetGfid, type BrickLayout } from './layout.js';
import { isDirectory, type InodeAttributes, type TreeIndex } from './tree-index.js';
import { xattrDigest } from './user-xattrs.js';

/** Upper bound of the step of the kernel clock that sets file times. */
export const CLOCK_TICK_MS = 12;
const MAX_BLOCK_MS = 20;
const MAX_PASSES = 3;

export interface ScanResult {
  /** Names in each directory that was read. */
  readonly dirs: Map<Gfid, Map<string, Gfid>>;
  /** Attributes of every inode that was seen. */
  readonly attributes: Map<Gfid, InodeAttributes>;
}

export interface ScannerOptions {
  readonly layout: BrickLayout;
  readonly index: TreeIndex;
  readonly log: Log;
  /** Called for each directory before it is read. The path leads to it until this returns. */
  readonly onDirectory: (gfid: Gfid, path: string) => void;
}

interface Pass extends ScanResult {
  readonly newInodes: Map<bigint, Gfid>;
  readonly dev: number;
  /** The tree changed during the pass. */
  isInconsistent: boolean;
}

export class Scanner {
  readonly #options: ScannerOptions;
  /** Inodes with a link under `.gfid` whose attributes are not in the index: from an earlier pass, or from before a crash. */
  readonly #unindexedLinks: Map<bigint, Gfid>;
  readonly #warned = new Set<string>();
  #lastYieldMs = performance.now();

  constructor(options: ScannerOptions, linked: Map<bigint, Gfid>) {
    this.#options = options;
    this.#unindexedLinks = linked;
  }

  /** @param scope directories that may have changed; new directories below them are read, too */
  async scan(scope: 'all' | ReadonlySet<Gfid>): Promise<ScanResult> {
    for (let passes = 1, passScope = scope; ; passes += 1) {
      const pass = await this.#runPass(passScope);
      const isComplete = !pass.isInconsistent && !this.#missesInode(pass);
      if (isComplete || (passScope === 'all' && passes >= MAX_PASSES)) return pass;
      passScope = 'all';
    }
  }

  async #runPass(scope: 'all' | ReadonlySet<Gfid>): Promise<Pass> {
    const { layout, index } = this.#options;
    const pass = layout.beneath.withDirectory(layout.root, (root): Pass => {
      const stats = root.stat();
      const attributes = new Map([[ROOT_GFID, this.#readAttributes(ROOT_GFID, root.path, stats)]]);
      return { dirs: new Map(), attributes, newInodes: new Map(), dev: stats.dev, isInconsistent: false };
    });
    const stack: { gfid: Gfid; path: string }[] = [];
    if (scope === 'all') stack.push({ gfid: ROOT_GFID, path: layout.root });
    else {
      for (const gfid of scope) {
        const path = index.pathOf(gfid);
        if (path !== null && index.nodes.get(gfid)?.children !== null)
          stack.push({ gfid, path: path === '.' ? layout.root : `${layout.root}/${path}` });
      }
    }
    for (let dir = stack.pop(); dir !== undefined; dir = stack.pop()) {
      for (const child of await this.#scanDirectory(pass, dir.gfid, dir.path)) {
        if (scope === 'all' || !index.nodes.has(child.gfid)) stack.push(child);
      }
    }
    return pass;
  }

  /** @returns the child directories */
  async #scanDirectory(pass: Pass, gfid: Gfid, path: string): Promise<{ gfid: Gfid; path: string }[]> {
    if (pass.dirs.has(gfid)) {
      pass.isInconsistent = true;
      return [];
    }
    const dir = this.#unlessGone(pass, path, () => this.#options.layout.beneath.open(path));
    try {
      const names = dir && this.#unlessGone(pass, path, () => this.#readNames(pass, gfid, dir));
      return dir && names ? await this.#scanEntries(pass, gfid, dir, path, names) : [];
    } finally {
      dir?.close();
    }
  }

  /** @returns the names in the directory; null if `dir` is another directory than `gfid` */
  #readNames(pass: Pass, gfid: Gfid, dir: OpenDirectory): string[] | null {
    if (gfid !== ROOT_GFID && !this.#isSameDirectory(gfid, dir, pass)) {
      pass.isInconsistent = true;
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
      if (code === 'EACCES' || code === 'EPERM')
        this.#warn('cannot read directory: leaving its copy as it is', path, code);
      else if (code === 'ENOENT' || code === 'ENOTDIR') pass.isInconsistent = true;
      else throw error;
      return null;
    }
  }

  async #scanEntries(
    pass: Pass,
    gfid: Gfid,
    dir: OpenDirectory,
    path: string,
    names: readonly string[],
  ): Promise<{ gfid: Gfid; path: string }[]> {
    const subdirectories: { gfid: Gfid; path: string }[] = [];
    const children = new Map<string, Gfid>();
    pass.dirs.set(gfid, children);
    for (const name of names) {
      if (gfid === ROOT_GFID && name === INTERNAL_NAME) continue;
      await this.#yieldIfDue();
      let child: Gfid | null;
      try {
        child = this.#scanEntry(pass, gfid, name, dir, path);
      } catch (error) {
        if (errnoCode(error) !== 'EACCES') throw error;
        this.#warn('cannot search directory: leaving its copy as it is', path, 'EACCES');
        pass.dirs.delete(gfid);
        return [];
      }
      if (child === null) continue;
      children.set(name, child);
      if (isDirectory(pass.attributes.get(child)?.mode ?? 0))
        subdirectories.push({ gfid: child, path: `${path}/${name}` });
    }
    return subdirectories;
  }

  /** Whether `dir` is still the directory `gfid`, by its inode number in this pass or in the index. Stores its attributes. */
  #isSameDirectory(gfid: Gfid, dir: OpenDirectory, pass: Pass): boolean {
    const known = pass.attributes.get(gfid) ?? this.#options.index.nodes.get(gfid)?.look;
    const stats = dir.stat();
    if (stats.dev !== pass.dev) return false;
    if (known !== undefined && known !== null && known.ino !== stats.ino) return false;
    pass.attributes.set(gfid, this.#readAttributes(gfid, dir.path, stats));
    return true;
  }

  /** @param path of the directory, for the log @returns null if the name is gone, another inode, or on another file system */
  #scanEntry(pass: Pass, parent: Gfid, name: string, dir: OpenDirectory, path: string): Gfid | null {
    const stats = dir.lookUp(name);
    // Another file system is mounted there.
    if (stats === null || stats.dev !== pass.dev) return null;
    const entryPath = `${dir.path}${name}`;
    const known = this.#identify(pass, parent, name, stats);
    if (known !== undefined) {
      if (!pass.attributes.has(known)) pass.attributes.set(known, this.#readAttributes(known, entryPath, stats));
      return known;
    }
    const gfid = randomUUID() as Gfid;
    const adopted = isDirectory(stats.mode)
      ? dir.lookUp(name)
      : this.#link(gfid, dir.entry(name), `${path}/${name}`, stats);
    if (adopted?.ino !== stats.ino) {
      pass.isInconsistent = true;
      return null;
    }
    pass.newInodes.set(stats.ino, gfid);
    const attributes = this.#readAttributes(gfid, entryPath, this.#setGfid(gfid, dir, name, adopted));
    const isSettled = stats.ctimeNs < BigInt(Date.now() - CLOCK_TICK_MS) * 1_000_000n;
    pass.attributes.set(
      gfid,
      isSettled && attributes.mtimeNs === stats.mtimeNs && attributes.ctimeNs !== stats.ctimeNs
        ? { ...attributes, isOwnCtime: true }
        : attributes,
    );
    return gfid;
  }

  #identify(pass: Pass, parent: Gfid, name: string, stats: InodeStats): Gfid | undefined {
    const { index } = this.#options;
    const seen = pass.newInodes.get(stats.ino);
    if (seen !== undefined) return seen;
    const node = index.nodeOfIno(stats.ino);
    if (
      node !== undefined &&
      node.look !== null &&
      fileKind(node.mode) === fileKind(stats.mode) &&
      isSameBirthTime(node.look.birthNs, stats.birthtimeNs)
    )
      return node.gfid;
    const linked = isDirectory(stats.mode) ? undefined : this.#gfidOfLink(stats.ino);
    if (linked !== undefined) return linked;
    // The index has this directory from a changelog alone, without an inode number: identify it by its name.
    const gfidByName = index.gfidAt(parent, name);
    const nodeByName = gfidByName === undefined ? undefined : index.nodes.get(gfidByName);
    if (
      nodeByName?.look === null &&
      isDirectory(stats.mode) &&
      isDirectory(nodeByName.mode) &&
      !pass.attributes.has(nodeByName.gfid)
    )
      return nodeByName.gfid;
    return undefined;
  }

  /** Links a new file under its gfid. @param path for the log
   *  @returns its attributes now; undefined if the name has another inode meanwhile */
  #link(gfid: Gfid, entry: EntryRef, path: string, stats: InodeStats): InodeStats | undefined {
    const linked = this.#tryLink(gfid, entry, stats.ino);
    if (typeof linked !== 'string') return linked;
    this.#warn('cannot link file under its gfid: its data is not sent', path, linked);
    return stats;
  }

  /** Retries to link a file that could not be linked. @param path absolute @returns the name of the errno if it fails again */
  relink(gfid: Gfid, path: string, ino: bigint): string | null {
    const { layout } = this.#options;
    try {
      const linked = layout.beneath.withEntry(path, (entry) => this.#tryLink(gfid, entry, ino));
      if (typeof linked === 'string') return linked;
      if (linked !== undefined) this.#setGfidOfHandle(gfid);
      return null;
    } catch (error) {
      const code = errnoCode(error);
      return code === 'ENOENT' || code === 'ENOTDIR' ? null : (code ?? '');
    }
  }

  /** @returns as #link, or the name of the errno. For another user's file the kernel may refuse (fs.protected_hardlinks). */
  #tryLink(gfid: Gfid, entry: EntryRef, ino: bigint): InodeStats | string | undefined {
    const handle = handlePath(this.#options.layout, gfid);
    try {
      entry.linkTo(stateEntry(handle));
    } catch (error) {
      const code = errnoCode(error) ?? '';
      return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : code;
    }
    const linked = statOf(handle);
    if (linked?.ino !== ino) {
      unlinkSync(fsEncode(handle));
      return undefined;
    }
    this.#unindexedLinks.set(ino, gfid);
    return linked;
  }

  #gfidOfLink(ino: bigint): Gfid | undefined {
    const gfid = this.#unindexedLinks.get(ino);
    if (gfid === undefined) return undefined;
    return statOf(handlePath(this.#options.layout, gfid))?.ino === ino ? gfid : undefined;
  }

  /** Forgets links that the index holds now. Removes links of files that were deleted before the index could hold them. */
  pruneLinks(): void {
    const { index, layout } = this.#options;
    for (const [ino, gfid] of this.#unindexedLinks) {
      if (index.nodes.has(gfid)) {
        if (index.nodes.get(gfid)?.look !== null) this.#unindexedLinks.delete(ino);
        continue;
      }
      const handle = handlePath(layout, gfid);
      const stats = statOf(handle);
      if (stats !== null && stats.nlink > 1) continue;
      this.#unindexedLinks.delete(ino);
      if (stats !== null) unlinkSync(fsEncode(handle));
    }
  }

  #setGfid(gfid: Gfid, dir: OpenDirectory, name: string, stats: InodeStats): InodeStats {
    const { layout } = this.#options;
    if (layout.xattrs === 'none') return stats;
    if (!isDirectory(stats.mode)) return this.#setGfidOfHandle(gfid) ?? stats;
    return trySetGfid(layout, `${dir.path}${name}`, gfid) ? (dir.lookUp(name) ?? stats) : stats;
  }

  #setGfidOfHandle(gfid: Gfid): InodeStats | null {
    const { layout } = this.#options;
    const handle = handlePath(layout, gfid);
    return trySetGfid(layout, handle, gfid) ? statOf(handle) : null;
  }

  #readAttributes(gfid: Gfid, path: string, stats: InodeStats): InodeAttributes {
    const before = this.#options.index.nodes.get(gfid)?.look ?? null;
    const isUnchanged =
      before !== null &&
      before.ino === stats.ino &&
      before.ctimeNs === stats.ctimeNs &&
      before.hasAmbiguousCtime !== true;
    const { ino, mode, uid, gid, size, rdev, birthtimeNs: birthNs, mtimeNs, ctimeNs, atimeNs } = stats;
    const xattrs = isUnchanged ? before.xattrs : this.#xattrs(gfid, path, mode);
    const target = fileKind(mode) === 'symlink' ? (before?.target ?? readTargetOrNull(path)) : null;
    return { ino, birthNs, mode, uid, gid, size, rdev, mtimeNs, ctimeNs, atimeNs, xattrs, target };
  }

  /** Reads a file's xattrs by its link under `.gfid` if there is one, since that path is shorter. */
  #xattrs(gfid: Gfid, path: string, mode: number): string {
    const byLink = isDirectory(mode) ? null : xattrDigest(handlePath(this.#options.layout, gfid), mode);
    return byLink ?? xattrDigest(path, mode) ?? '';
  }

  /** Whether the pass misses an indexed inode that may still exist. */
  #missesInode({ dirs, attributes }: Pass): boolean {
    const { index } = this.#options;
    for (const [dir, children] of dirs) {
      for (const [name, gfid] of index.nodes.get(dir)?.children ?? []) {
        if (children.get(name) === gfid || attributes.has(gfid)) continue;
        if (this.#isStillNamed(gfid)) return true;
      }
    }
    return false;
  }

  /** Whether an inode, or a file below it, still has a name outside of `.gfid`. An inode without one is deleted. A
   *  directory without files is treated as deleted, too: if it was moved, a scan finds it as a new one. */
  #isStillNamed(gfid: Gfid): boolean {
    const { index, layout } = this.#options;
    const node = index.nodes.get(gfid);
    if (node === undefined) return false;
    if (node.children !== null) return [...node.children.values()].some((child) => this.#isStillNamed(child));
    return (statOf(handlePath(layout, gfid))?.nlink ?? 0) > 1;
  }

  #warn(message: string, path: string, error: string): void {
    if (this.#warned.has(path)) return;
    this.#warned.add(path);
    this.#options.log.warn(message, { path, error });
  }

  async #yieldIfDue(): Promise<void> {
    if (performance.now() - this.#lastYieldMs < MAX_BLOCK_MS) return;
    await nextTurn();
    this.#lastYieldMs = performance.now();
  }
}

function isSameBirthTime(known: bigint, now: bigint): boolean {
  return known === now || known === 0n || now === 0n;
}

function readTargetOrNull(path: string): string | null {
  try {
    return fsDecode(readlinkSync(fsEncode(path), { encoding: 'buffer' }));
  } catch {
    return null;
  }
}
