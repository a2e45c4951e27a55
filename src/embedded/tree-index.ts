// The tree of an embedded primary as its changelogs have told it so far: inodes by gfid, their names, and how they
// looked when they were last recorded. Invariant: applying the records of the changelogs in order to an empty index
// gives this index's names; so it is what a consumer of the changelogs knows, and the difference between it and the
// directory is what has to be recorded next. It answers the worker's lookups, which therefore agree with the
// changelogs. Names are in the form of names.ts.

import type { ChangeRecord } from '../changelog/record.js';
import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { ZERO_XTIME, type Xtime } from '../gluster/xtime.js';
import { fileKind, S_IFDIR, S_IFLNK } from '../protocol/view.js';

export interface Place {
  readonly parent: Gfid;
  readonly name: string;
}

/** How an inode looked when it was last scanned. */
export interface InodeLook {
  readonly ino: bigint;
  /** 0 where the file system does not tell. */
  readonly birthNs: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** The number of a device node. */
  readonly rdev: number;
  readonly mtimeNs: bigint;
  /** See isOutdated(). */
  readonly ctimeNs: bigint;
  readonly atimeNs: bigint;
  /** Digest of the user's xattrs and ACLs, '' when there are none. */
  readonly xattrs: string;
  readonly target: string | null;
  /** Set where the last change of its ctime was the brick's own: its link under `.gfid`, or its gfid. */
  readonly isMarked?: true;
  /** Set where it may have changed once more without another ctime: what else is compared decides. */
  readonly isUnsure?: true;
}

export interface IndexNode {
  readonly gfid: Gfid;
  /** st_mode. */
  mode: number;
  /** null when only a changelog has told of it, or of a change of it. */
  look: InodeLook | null;
  xtime: Xtime;
  readonly names: Map<string, Place>;
  /** null for all but directories. */
  readonly children: Map<string, Gfid> | null;
}

/** ctime of an inode of which a changelog has told a change since it was scanned, but not what it became. */
const TOLD_NS = 0n;

/** Whether the changelogs have told more of an inode than its look says. */
export function isOutdated(look: InodeLook): boolean {
  return look.ctimeNs === TOLD_NS;
}

export function placeKey({ parent, name }: Place): string {
  return `${parent}/${name}`;
}

export function isDirectory(mode: number): boolean {
  return fileKind(mode) === 'dir';
}

export class TreeIndex {
  readonly nodes = new Map<Gfid, IndexNode>();
  readonly #byIno = new Map<bigint, Gfid>();
  #dropped: Gfid[] = [];

  constructor() {
    this.add(ROOT_GFID, S_IFDIR | 0o755);
  }

  get root(): IndexNode {
    return this.require(ROOT_GFID);
  }

  require(gfid: Gfid): IndexNode {
    const node = this.nodes.get(gfid);
    if (node === undefined) throw new Error(`embedded brick: no inode ${gfid}`);
    return node;
  }

  /** The inode at a name. */
  at(parent: Gfid, name: string): Gfid | undefined {
    return this.nodes.get(parent)?.children?.get(name);
  }

  ofIno(ino: bigint): IndexNode | undefined {
    const gfid = this.#byIno.get(ino);
    return gfid === undefined ? undefined : this.nodes.get(gfid);
  }

  /** Path of a directory relative to the root ('.' of the root), null when it is none. */
  pathOf(gfid: Gfid): string | null {
    const parts: string[] = [];
    for (let at = gfid; at !== ROOT_GFID; ) {
      const place = placeOf(this.nodes.get(at));
      if (place === undefined) return null;
      parts.unshift(place.name);
      at = place.parent;
    }
    return parts.length === 0 ? '.' : parts.join('/');
  }

  /** The inode at a relative path; undefined when there is none. */
  walk(path: string): IndexNode | undefined {
    let node: IndexNode | undefined = this.root;
    if (path === '.') return node;
    for (const name of path.split('/')) {
      const gfid: Gfid | undefined = node.children?.get(name);
      node = gfid === undefined ? undefined : this.nodes.get(gfid);
      if (node === undefined) return undefined;
    }
    return node;
  }

  add(gfid: Gfid, mode: number): IndexNode {
    const node: IndexNode = { gfid, mode, look: null, xtime: ZERO_XTIME, names: new Map(), children: isDirectory(mode) ? new Map() : null };
    this.nodes.set(gfid, node);
    return node;
  }

  setLook(node: IndexNode, look: InodeLook | null): void {
    if (node.look !== null && this.#byIno.get(node.look.ino) === node.gfid) this.#byIno.delete(node.look.ino);
    node.look = look;
    if (look === null) return;
    node.mode = look.mode;
    this.#byIno.set(look.ino, node.gfid);
  }

  attach(place: Place, gfid: Gfid): void {
    this.require(place.parent).children?.set(place.name, gfid);
    this.require(gfid).names.set(placeKey(place), place);
  }

  /** Takes a name away, and the inode with its last name. */
  detach(place: Place): void {
    const gfid = this.at(place.parent, place.name);
    if (gfid === undefined) return;
    this.nodes.get(place.parent)?.children?.delete(place.name);
    const node = this.require(gfid);
    node.names.delete(placeKey(place));
    if (node.names.size > 0) return;
    this.setLook(node, null);
    this.nodes.delete(gfid);
    this.#dropped.push(gfid);
  }

  /** Inodes that lost their last name since the last call. */
  takeDropped(): Gfid[] {
    const dropped = this.#dropped;
    this.#dropped = [];
    return dropped;
  }

  /** Follows a record. Of one that does not fit, such as one that was applied before, what fits is applied. */
  apply(record: ChangeRecord): void {
    if (record.type !== 'entry') {
      const node = this.nodes.get(record.gfid);
      if (node !== undefined) node.look = node.look === null ? null : { ...node.look, ctimeNs: TOLD_NS };
      return;
    }
    const { gfid, parent, name, newParent, newName } = record;
    const place = { parent, name };
    switch (record.fop) {
      case 'UNLINK':
      case 'RMDIR':
        if (this.at(parent, name) === gfid) this.detach(place);
        return;
      case 'RENAME':
        if (newParent === undefined || newName === undefined || this.at(parent, name) !== gfid) return;
        this.#take({ parent: newParent, name: newName }, gfid);
        this.nodes.get(parent)?.children?.delete(name);
        this.nodes.get(gfid)?.names.delete(placeKey(place));
        return;
      default:
        // Changelogs have modes with higher bits set: see changelog-format.ts.
        if (!this.nodes.has(gfid)) this.add(gfid, (record.mode ?? S_IFLNK | 0o777) & 0o177777);
        this.#take(place, gfid);
    }
  }

  #take(place: Place, gfid: Gfid): void {
    if (this.nodes.get(place.parent)?.children === undefined || this.at(place.parent, place.name) === gfid) return;
    this.detach(place);
    this.attach(place, gfid);
  }
}

/** The name of a directory, or one of a file's. */
export function placeOf(node: IndexNode | undefined): Place | undefined {
  return node?.names.values().next().value;
}
