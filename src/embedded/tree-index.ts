// The tree of a plain-directory primary as its changelogs have recorded it: inodes by gfid, their names, and their
// attributes at the last record. Invariant: replaying all changelogs into an empty index gives the names of this index. So
// it holds what a consumer of the changelogs knows, and its difference to the directory must be recorded next. It also
// answers the lookups of the worker, which therefore agree with the changelogs. Names are in the form of names.ts.

import type { ChangeRecord } from '../changelog/record.js';
import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { ZERO_XTIME, type Xtime } from '../gluster/xtime.js';
import { fileKind, S_IFDIR, S_IFLNK } from '../protocol/view.js';

export interface Place {
  readonly parent: Gfid;
  readonly name: string;
}

/** Attributes of an inode at its last scan. */
export interface InodeAttributes {
  readonly ino: bigint;
  /** 0 if the file system does not report it. */
  readonly birthNs: bigint;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  /** Device number of a device node. */
  readonly rdev: number;
  readonly mtimeNs: bigint;
  /** See isOutdated(). */
  readonly ctimeNs: bigint;
  readonly atimeNs: bigint;
  /** Digest of users' xattrs and ACLs; '' if there are none. */
  readonly xattrs: string;
  readonly target: string | null;
  /** This program made the last change of the ctime, by the link under `.gfid` or the gfid xattr. */
  readonly isOwnCtime?: true;
  /** The inode may have changed again within the same ctime: compare the other attributes. */
  readonly hasAmbiguousCtime?: true;
}

export interface IndexNode {
  readonly gfid: Gfid;
  /** st_mode. */
  mode: number;
  /** null if only a changelog reported the inode. */
  look: InodeAttributes | null;
  xtime: Xtime;
  readonly names: Map<string, Place>;
  /** null if it is not a directory. */
  readonly children: Map<string, Gfid> | null;
}

/** ctime of an inode that has changed since its scan according to a changelog. Its new attributes are unknown. */
const UNKNOWN_CTIME_NS = 0n;

/** Whether a changelog reported a later change than this scan. */
export function isOutdated(attributes: InodeAttributes): boolean {
  return attributes.ctimeNs === UNKNOWN_CTIME_NS;
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
  #removed: Gfid[] = [];

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

  gfidAt(parent: Gfid, name: string): Gfid | undefined {
    return this.nodes.get(parent)?.children?.get(name);
  }

  nodeOfIno(ino: bigint): IndexNode | undefined {
    const gfid = this.#byIno.get(ino);
    return gfid === undefined ? undefined : this.nodes.get(gfid);
  }

  /** Path of a directory relative to the root; '.' is the root. null if the path is unknown. */
  pathOf(gfid: Gfid): string | null {
    const parts: string[] = [];
    for (let ancestor = gfid; ancestor !== ROOT_GFID;) {
      const place = placeOf(this.nodes.get(ancestor));
      if (place === undefined) return null;
      parts.unshift(place.name);
      ancestor = place.parent;
    }
    return parts.length === 0 ? '.' : parts.join('/');
  }

  nodeAt(path: string): IndexNode | undefined {
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
    const node: IndexNode = {
      gfid,
      mode,
      look: null,
      xtime: ZERO_XTIME,
      names: new Map(),
      children: isDirectory(mode) ? new Map() : null,
    };
    this.nodes.set(gfid, node);
    return node;
  }

  setAttributes(node: IndexNode, attributes: InodeAttributes | null): void {
    if (node.look !== null && this.#byIno.get(node.look.ino) === node.gfid) this.#byIno.delete(node.look.ino);
    node.look = attributes;
    if (attributes === null) return;
    node.mode = attributes.mode;
    this.#byIno.set(attributes.ino, node.gfid);
  }

  attach(place: Place, gfid: Gfid): void {
    this.require(place.parent).children?.set(place.name, gfid);
    this.require(gfid).names.set(placeKey(place), place);
  }

  /** Removes a name, and the inode if that was its last one. */
  detach(place: Place): void {
    const gfid = this.gfidAt(place.parent, place.name);
    if (gfid === undefined) return;
    this.nodes.get(place.parent)?.children?.delete(place.name);
    const node = this.require(gfid);
    node.names.delete(placeKey(place));
    if (node.names.size > 0) return;
    this.setAttributes(node, null);
    this.nodes.delete(gfid);
    this.#removed.push(gfid);
  }

  /** Inodes that lost their last name since the last call. */
  takeRemoved(): Gfid[] {
    const removed = this.#removed;
    this.#removed = [];
    return removed;
  }

  /** Applies a record. If a record does not fit, for example since it was applied before, the fitting part is applied. */
  apply(record: ChangeRecord): void {
    if (record.type !== 'entry') {
      const node = this.nodes.get(record.gfid);
      if (node !== undefined) node.look = node.look === null ? null : { ...node.look, ctimeNs: UNKNOWN_CTIME_NS };
      return;
    }
    const { gfid, parent, name, newParent, newName } = record;
    const place = { parent, name };
    switch (record.fop) {
      case 'UNLINK':
      case 'RMDIR':
        if (this.gfidAt(parent, name) === gfid) this.detach(place);
        return;
      case 'RENAME':
        if (newParent === undefined || newName === undefined || this.gfidAt(parent, name) !== gfid) return;
        this.#attachReplacing({ parent: newParent, name: newName }, gfid);
        this.nodes.get(parent)?.children?.delete(name);
        this.nodes.get(gfid)?.names.delete(placeKey(place));
        return;
      default:
        // Modes in changelogs may have higher bits set: see changelog-format.ts.
        if (!this.nodes.has(gfid)) this.add(gfid, (record.mode ?? S_IFLNK | 0o777) & 0o177777);
        this.#attachReplacing(place, gfid);
    }
  }

  #attachReplacing(place: Place, gfid: Gfid): void {
    // A parent that is gone, or is no directory, has no place for it.
    if ((this.nodes.get(place.parent)?.children ?? null) === null || this.gfidAt(place.parent, place.name) === gfid)
      return;
    this.detach(place);
    this.attach(place, gfid);
  }
}

/** The name of a directory, or one of the names of another inode. */
export function placeOf(node: IndexNode | undefined): Place | undefined {
  return node?.names.values().next().value;
}
