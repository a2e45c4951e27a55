// Looks at the directory of an embedded primary: which names there are now, which inode each is, and how it looks.
// New inodes get their gfid here, and files their hard link under `.gfid`, before any journal tells of them; the
// link keeps a deleted file's inode number from being used again until its deletion is recorded. Used by the
// recorder. Any program may change the tree while it is looked at: what is seen is a state that may never have
// been, and the next scan, which the same changes bring about, finds the rest.

import { randomUUID } from 'node:crypto';
import { linkSync, lstatSync, readdirSync, readlinkSync, unlinkSync, type BigIntStats } from 'node:fs';
import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errnoCode } from '../errors.js';
import { ROOT_GFID, type Gfid } from '../gluster/gfid.js';
import type { Log } from '../log.js';
import { errnoNumber } from '../native/libc.js';
import { fsDecode, fsEncode } from '../names.js';
import { fileKind } from '../primary/view.js';
import { handlePath, INTERNAL_NAME, stampGfid, type BrickLayout } from './layout.js';
import { isDirectory, type InodeLook, type TreeIndex } from './tree-index.js';
import { xattrDigest } from './user-xattrs.js';

/** The kernel's clock of file times advances in steps of at most this. */
export const CLOCK_TICK_MS = 12;
const MAX_HOLD_MS = 20;
const MAX_PASSES = 3;

/** What a scan saw. */
export interface Found {
  /** Names of each directory that was looked into. */
  readonly dirs: Map<Gfid, Map<string, Gfid>>;
  /** Every inode that was seen. */
  readonly looks: Map<Gfid, InodeLook>;
}

export interface ScannerOptions {
  readonly layout: BrickLayout;
  readonly index: TreeIndex;
  readonly log: Log;
  /** Told of each directory before it is read. */
  readonly onDirectory: (gfid: Gfid, path: string) => void;
}

interface Pass extends Found {
  readonly newInodes: Map<bigint, Gfid>;
  readonly dev: bigint;
  /** The tree moved while it was looked at. */
  torn: boolean;
}

export class Scanner {
  readonly #options: ScannerOptions;
  /** Inodes that have a link under `.gfid` and no look in the index: of a pass before, or from before a crash. */
  readonly #linked: Map<bigint, Gfid>;
  readonly #warned = new Set<string>();
  #lastTurnMs = performance.now();

  constructor(options: ScannerOptions, linked: Map<bigint, Gfid>) {
    this.#options = options;
    this.#linked = linked;
  }

  /** @param which directories in which something may have changed; what is new in them is looked into as well */
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
    const root = lstatSync(fsEncode(layout.root), { bigint: true });
    const pass: Pass = { dirs: new Map(), looks: new Map(), newInodes: new Map(), dev: root.dev, torn: false };
    pass.looks.set(ROOT_GFID, this.#look(ROOT_GFID, layout.root, root));
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

  /** @returns its directories */
  async #directory(pass: Pass, gfid: Gfid, path: string): Promise<{ gfid: Gfid; path: string }[]> {
    const below: { gfid: Gfid; path: string }[] = [];
    if (pass.dirs.has(gfid)) {
      pass.torn = true;
      return below;
    }
    let names: string[];
    try {
      if (gfid !== ROOT_GFID && !this.#isStill(gfid, path, pass)) {
        pass.torn = true;
        return below;
      }
      this.#options.onDirectory(gfid, path);
      names = readdirSync(fsEncode(path), { encoding: 'buffer' }).map(fsDecode);
    } catch (error) {
      const code = errnoCode(error);
      if (code === 'EACCES' || code === 'EPERM') this.#warn('a directory cannot be read, and is left as it was', path, code);
      else if (code === 'ENOENT' || code === 'ENOTDIR') pass.torn = true;
      else throw error;
      return below;
    }
    const children = new Map<string, Gfid>();
    pass.dirs.set(gfid, children);
    for (const name of names) {
      if (gfid === ROOT_GFID && name === INTERNAL_NAME) continue;
      await this.#yieldIfHeld();
      let child: Gfid | null;
      try {
        child = this.#entry(pass, gfid, name, `${path}/${name}`);
      } catch (error) {
        if (errnoCode(error) !== 'EACCES') throw error;
        this.#warn('a directory cannot be searched, and is left as it was', path, 'EACCES');
        pass.dirs.delete(gfid);
        return [];
      }
      if (child === null) continue;
      children.set(name, child);
      if (isDirectory(pass.looks.get(child)?.mode ?? 0)) below.push({ gfid: child, path: `${path}/${name}` });
    }
    return below;
  }

  /** Whether the directory `gfid` is at `path` as far as that was seen in this pass or before. */
  #isStill(gfid: Gfid, path: string, pass: Pass): boolean {
    const known = pass.looks.get(gfid) ?? this.#options.index.nodes.get(gfid)?.look;
    const stats = statsOf(path);
    if (stats === undefined || !stats.isDirectory()) return false;
    if (known !== undefined && known !== null && known.ino !== stats.ino) return false;
    pass.looks.set(gfid, this.#look(gfid, path, stats));
    return true;
  }

  #entry(pass: Pass, parent: Gfid, name: string, path: string): Gfid | null {
    const stats = statsOf(path);
    // What is mounted below is another file system's.
    if (stats === undefined || stats.dev !== pass.dev) return null;
    const known = this.#identify(pass, parent, name, stats);
    if (known !== undefined) {
      if (!pass.looks.has(known)) pass.looks.set(known, this.#look(known, path, stats));
      return known;
    }
    const gfid = randomUUID() as Gfid;
    const adopted = stats.isDirectory() ? statsOf(path) : this.#link(gfid, path, stats);
    if (adopted === undefined || adopted.ino !== stats.ino) {
      pass.torn = true;
      return null;
    }
    pass.newInodes.set(stats.ino, gfid);
    const look = this.#look(gfid, path, this.#stamp(gfid, path, adopted));
    const isSettled = stats.ctimeNs < BigInt(Date.now() - CLOCK_TICK_MS) * 1_000_000n;
    pass.looks.set(gfid, isSettled && look.mtimeNs === stats.mtimeNs && look.ctimeNs !== stats.ctimeNs ? { ...look, isMarked: true } : look);
    return gfid;
  }

  #identify(pass: Pass, parent: Gfid, name: string, stats: BigIntStats): Gfid | undefined {
    const { index } = this.#options;
    const seen = pass.newInodes.get(stats.ino);
    if (seen !== undefined) return seen;
    const node = index.ofIno(stats.ino);
    if (node !== undefined && node.look !== null && fileKind(node.mode) === fileKind(Number(stats.mode)) && isSameBirth(node.look.birthNs, stats.birthtimeNs)) return node.gfid;
    const linked = stats.isDirectory() ? undefined : this.#linkedAs(stats.ino);
    if (linked !== undefined) return linked;
    // A directory that only a journal has told of is the one at that name.
    const told = index.at(parent, name);
    const toldNode = told === undefined ? undefined : index.nodes.get(told);
    if (toldNode?.look === null && stats.isDirectory() && isDirectory(toldNode.mode) && !pass.looks.has(toldNode.gfid)) return toldNode.gfid;
    return undefined;
  }

  /** Links a new file under its gfid. @returns how it looks now, undefined when another one got the name meanwhile */
  #link(gfid: Gfid, path: string, stats: BigIntStats): BigIntStats | undefined {
    const linked = this.#tryLink(gfid, path, stats.ino);
    if (typeof linked !== 'string') return linked;
    this.#warn('a file cannot be linked under its gfid: its data cannot be sent', path, linked);
    return stats;
  }

  /** Tries it again with a file that could not be linked. @returns the errno's name when it still cannot be */
  relink(gfid: Gfid, path: string, ino: bigint): string | null {
    const linked = this.#tryLink(gfid, path, ino);
    if (typeof linked === 'string') return linked;
    if (linked !== undefined) this.#stamp(gfid, path, linked);
    return null;
  }

  /** @returns as #link, or the errno's name. Another user's file: the kernel lets nobody but its owner link it
   *  (fs.protected_hardlinks). */
  #tryLink(gfid: Gfid, path: string, ino: bigint): BigIntStats | string | undefined {
    const handle = handlePath(this.#options.layout, gfid);
    try {
      linkSync(fsEncode(path), fsEncode(handle));
    } catch (error) {
      const code = errnoCode(error) ?? '';
      return code === 'ENOENT' || code === 'ENOTDIR' ? undefined : code;
    }
    const linked = lstatSync(fsEncode(handle), { bigint: true });
    if (linked.ino !== ino) {
      unlinkSync(fsEncode(handle));
      return undefined;
    }
    this.#linked.set(ino, gfid);
    return linked;
  }

  #linkedAs(ino: bigint): Gfid | undefined {
    const gfid = this.#linked.get(ino);
    if (gfid === undefined) return undefined;
    const stats = statsOf(handlePath(this.#options.layout, gfid));
    return stats?.ino === ino ? gfid : undefined;
  }

  /** Forgets the links that the index has taken up, and removes those of files that were gone before it could. */
  settleLinks(): void {
    const { index, layout } = this.#options;
    for (const [ino, gfid] of this.#linked) {
      if (index.nodes.has(gfid)) {
        if (index.nodes.get(gfid)?.look !== null) this.#linked.delete(ino);
        continue;
      }
      const handle = handlePath(layout, gfid);
      const stats = lstatSync(fsEncode(handle), { throwIfNoEntry: false });
      if (stats !== undefined && stats.nlink > 1) continue;
      this.#linked.delete(ino);
      if (stats !== undefined) unlinkSync(fsEncode(handle));
    }
  }

  #stamp(gfid: Gfid, path: string, stats: BigIntStats): BigIntStats {
    const { layout } = this.#options;
    if (layout.xattrs === 'none') return stats;
    try {
      const target = stats.isDirectory() ? path : handlePath(layout, gfid);
      stampGfid(layout, target, gfid);
      return statsOf(target) ?? stats;
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno !== constants.errno.ENOENT && errno !== constants.errno.ENOTDIR && errno !== constants.errno.ENOSPC && errno !== constants.errno.ENOTSUP) throw error;
      return stats;
    }
  }

  #look(gfid: Gfid, path: string, stats: BigIntStats): InodeLook {
    const before = this.#options.index.nodes.get(gfid)?.look ?? null;
    const isUnchanged = before !== null && before.ino === stats.ino && before.ctimeNs === stats.ctimeNs && before.isUnsure !== true;
    return {
      ino: stats.ino,
      birthNs: stats.birthtimeNs,
      mode: Number(stats.mode),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      size: Number(stats.size),
      rdev: Number(stats.rdev),
      mtimeNs: stats.mtimeNs,
      ctimeNs: stats.ctimeNs,
      atimeNs: stats.atimeNs,
      xattrs: isUnchanged ? before.xattrs : xattrDigest(path, Number(stats.mode)),
      target: stats.isSymbolicLink() ? (before?.target ?? readTarget(path)) : null,
    };
  }

  /** Whether something that the index has is missing here, and not certainly gone. */
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

  /** Whether a file that is no longer at its place, or one of a directory that is not, still has a name somewhere. What
   *  has none is gone; a directory without files counts as gone too, for if it was moved it is found as a new one. */
  #holdsNamed(gfid: Gfid): boolean {
    const { index, layout } = this.#options;
    const node = index.nodes.get(gfid);
    if (node === undefined) return false;
    if (node.children !== null) return [...node.children.values()].some((child) => this.#holdsNamed(child));
    const handle = lstatSync(fsEncode(handlePath(layout, gfid)), { throwIfNoEntry: false });
    return handle !== undefined && handle.nlink > 1;
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

/** undefined when there is nothing at the path, or no way to it any more. */
export function statsOf(path: string): BigIntStats | undefined {
  try {
    return lstatSync(fsEncode(path), { bigint: true });
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ELOOP') return undefined;
    throw error;
  }
}

function readTarget(path: string): string | null {
  try {
    return fsDecode(readlinkSync(fsEncode(path), { encoding: 'buffer' }));
  } catch {
    return null;
  }
}
