// An in-memory volume with the semantics of a POSIX tree whose inodes have gfids: what both sides of a model
// session stand on. Paths are as on an aux-gfid-mount: `.gfid/<gfid>`, `.gfid/<parent>/<name>`, or relative to
// the root. Operations are atomic and throw FsError where a GlusterFS mount answers with an errno.

import { constants } from 'node:os';
import { entryPath, GFID_PREFIX, isGfid, ROOT_GFID, type Gfid } from '../../../src/protocol/gfid.js';
import { fsEncode } from '../../../src/names.js';
import { fileKind, S_IFDIR, S_IFLNK, S_IFMT, type FileKind } from '../../../src/protocol/view.js';

export type ErrnoName = keyof typeof constants.errno;

export class FsError extends Error {
  readonly code: ErrnoName;

  constructor(code: ErrnoName, what: string) {
    super(`${code}: ${what}`);
    this.code = code;
  }

  get errno(): number {
    return constants.errno[this.code];
  }
}

export interface Inode {
  readonly gfid: Gfid;
  mode: number;
  uid: number;
  gid: number;
  atime: number;
  mtime: number;
  content: string;
  xattr: string;
  readonly target: string;
  /** null for all but directories. */
  readonly entries: Map<string, Inode> | null;
  /** Its entry paths: one of a directory, none of the root. */
  readonly names: Set<string>;
}

export interface NewInode {
  readonly gfid: Gfid;
  /** Type and permission bits. */
  readonly mode: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly target?: string;
}

/** Told of each operation after it was done; `paths` are the names and `inodes` the inodes it touched. */
export interface VolumeObserver {
  created(fop: 'CREATE' | 'MKNOD' | 'MKDIR' | 'SYMLINK', path: string, inode: Inode): void;
  linked(path: string, inode: Inode): void;
  removed(fop: 'UNLINK' | 'RMDIR', path: string, inode: Inode): void;
  renamed(from: string, to: string, inode: Inode): void;
  wrote(inode: Inode): void;
  setAttributes(inode: Inode): void;
  setXattr(inode: Inode): void;
}

const MAX_NAME_BYTES = 255;

export class ModelVolume {
  readonly inodes = new Map<Gfid, Inode>();
  readonly root: Inode;
  observer: VolumeObserver | null = null;
  /** The errno with which each inode's lookup fails, on mounts and bricks. */
  readonly refused = new Map<Gfid, ErrnoName>();
  /** Inodes whose bricks have no room for another xattr. */
  readonly full = new Set<Gfid>();
  readonly #nowS: () => number;

  constructor(nowS: () => number) {
    this.#nowS = nowS;
    this.root = this.#newInode({ gfid: ROOT_GFID, mode: S_IFDIR | 0o755 });
  }

  /** @throws FsError ENOENT, ENOTDIR, ENAMETOOLONG */
  at(path: string): Inode {
    const { dir, names } = this.#start(path);
    let inode = dir;
    for (const name of names) inode = lookup(inode, name, path);
    return inode;
  }

  /** null where `at` throws ENOENT or ENOTDIR. */
  find(path: string): Inode | null {
    try {
      return this.at(path);
    } catch (error) {
      if (error instanceof FsError && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null;
      throw error;
    }
  }

  /** @throws FsError ENOSPC */
  checkRoom({ gfid }: Inode): void {
    if (this.full.has(gfid)) throw new FsError('ENOSPC', gfid);
  }

  /** A lookup through a mount or a brick: `find`, unless the inode is refused. @throws FsError of `refused` */
  lookUp(path: string): Inode | null {
    const inode = this.find(path);
    const errno = inode === null ? undefined : this.refused.get(inode.gfid);
    if (errno !== undefined) throw new FsError(errno, path);
    return inode;
  }

  create(path: string, spec: NewInode, fop: 'CREATE' | 'MKNOD' | 'MKDIR' | 'SYMLINK'): Inode {
    const { dir, name } = this.#place(path);
    if (dir.entries?.has(name) === true) throw new FsError('EEXIST', path);
    if (this.inodes.has(spec.gfid)) throw new FsError('ENODATA', path); // as a mount answers
    const inode = this.#newInode(spec);
    this.#attach(dir, name, inode);
    this.observer?.created(fop, entryPath(dir.gfid, name), inode);
    return inode;
  }

  link(source: string, path: string): void {
    const inode = this.at(source);
    const { dir, name } = this.#place(path);
    if (dir.entries?.has(name) === true) throw new FsError('EEXIST', path);
    if (inode.entries !== null) throw new FsError('EPERM', source);
    this.#attach(dir, name, inode);
    this.observer?.linked(entryPath(dir.gfid, name), inode);
  }

  unlink(path: string): void {
    const { dir, name } = this.#place(path);
    const inode = lookup(dir, name, path);
    if (inode.entries !== null) throw new FsError('EISDIR', path);
    this.#detach(dir, name, inode);
    this.observer?.removed('UNLINK', entryPath(dir.gfid, name), inode);
  }

  rmdir(path: string): void {
    const { dir, name } = this.#place(path);
    const inode = lookup(dir, name, path);
    if (inode.entries === null) throw new FsError('ENOTDIR', path);
    if (inode.entries.size > 0) throw new FsError('ENOTEMPTY', path);
    this.#detach(dir, name, inode);
    this.observer?.removed('RMDIR', entryPath(dir.gfid, name), inode);
  }

  rename(from: string, to: string): void {
    const source = this.#place(from);
    const dest = this.#place(to);
    const inode = lookup(source.dir, source.name, from);
    if (this.#isWithin(dest.dir, inode)) throw new FsError('EINVAL', to);
    const over = dest.dir.entries?.get(dest.name);
    if (over === inode) return;
    if (over !== undefined) {
      if (this.#isWithin(source.dir, over)) throw new FsError('ENOTEMPTY', to);
      if (inode.entries !== null && over.entries === null) throw new FsError('ENOTDIR', to);
      if (inode.entries === null && over.entries !== null) throw new FsError('EISDIR', to);
      if ((over.entries?.size ?? 0) > 0) throw new FsError('ENOTEMPTY', to);
      this.#detach(dest.dir, dest.name, over);
    }
    source.dir.entries?.delete(source.name);
    inode.names.delete(entryPath(source.dir.gfid, source.name));
    this.#attach(dest.dir, dest.name, inode);
    this.observer?.renamed(entryPath(source.dir.gfid, source.name), entryPath(dest.dir.gfid, dest.name), inode);
  }

  write(path: string, content: string): void {
    const inode = this.at(path);
    if (kindOf(inode) !== 'file') throw new FsError('EINVAL', path);
    inode.content = content;
    inode.mtime = this.#nowS();
    this.observer?.wrote(inode);
  }

  setAttributes(path: string, attrs: { mode?: number; uid?: number; gid?: number; mtime?: number }): void {
    const inode = this.at(path);
    if (attrs.mode !== undefined && kindOf(inode) !== 'symlink')
      inode.mode = (inode.mode & S_IFMT) | (attrs.mode & 0o7777);
    inode.uid = attrs.uid ?? inode.uid;
    inode.gid = attrs.gid ?? inode.gid;
    inode.mtime = attrs.mtime ?? inode.mtime;
    this.observer?.setAttributes(inode);
  }

  setXattr(path: string, value: string): void {
    const inode = this.at(path);
    inode.xattr = value;
    this.observer?.setXattr(inode);
  }

  #newInode({ gfid, mode, uid = 0, gid = 0, target = '' }: NewInode): Inode {
    const now = this.#nowS();
    const kind = fileKind(mode);
    const inode: Inode = {
      gfid,
      mode: kind === 'symlink' ? S_IFLNK | 0o777 : mode,
      uid,
      gid,
      atime: now,
      mtime: now,
      content: '',
      xattr: '',
      target,
      entries: kind === 'dir' ? new Map() : null,
      names: new Set(),
    };
    this.inodes.set(gfid, inode);
    return inode;
  }

  #start(path: string): { dir: Inode; names: string[] } {
    if (path === '.') return { dir: this.root, names: [] };
    if (!path.startsWith(GFID_PREFIX)) return { dir: this.root, names: path.split('/') };
    const [gfid = '', ...names] = path.slice(GFID_PREFIX.length).split('/');
    const dir = isGfid(gfid) ? this.inodes.get(gfid) : undefined;
    if (dir === undefined) throw new FsError('ENOENT', path);
    return { dir, names };
  }

  /** The directory and the last name of a path. */
  #place(path: string): { dir: Inode; name: string } {
    const { dir, names } = this.#start(path);
    const name = names.pop();
    if (name === undefined) throw new FsError('EINVAL', path);
    let inode = dir;
    for (const step of names) inode = lookup(inode, step, path);
    checkName(name, path);
    requireDir(inode, path);
    return { dir: inode, name };
  }

  #attach(dir: Inode, name: string, inode: Inode): void {
    dir.entries?.set(name, inode);
    inode.names.add(entryPath(dir.gfid, name));
  }

  #detach(dir: Inode, name: string, inode: Inode): void {
    dir.entries?.delete(name);
    inode.names.delete(entryPath(dir.gfid, name));
    if (inode.names.size === 0) this.inodes.delete(inode.gfid);
  }

  #isWithin(dir: Inode, ancestor: Inode): boolean {
    for (let at: Inode | undefined = dir; at !== undefined; at = this.parentOf(at)) if (at === ancestor) return true;
    return false;
  }

  /** Directory that holds a directory (of a file: one of them). */
  parentOf(inode: Inode): Inode | undefined {
    const [path] = inode.names;
    return path === undefined
      ? undefined
      : this.inodes.get(path.slice(GFID_PREFIX.length, GFID_PREFIX.length + 36) as Gfid);
  }
}

export function kindOf(inode: Inode): FileKind {
  return fileKind(inode.mode);
}

function lookup(dir: Inode, name: string, path: string): Inode {
  requireDir(dir, path);
  checkName(name, path);
  const inode = dir.entries?.get(name);
  if (inode === undefined) throw new FsError('ENOENT', path);
  return inode;
}

/** A symlink is followed, and in these trees leads nowhere. */
function requireDir(inode: Inode, path: string): void {
  if (inode.entries === null) throw new FsError(kindOf(inode) === 'symlink' ? 'ENOENT' : 'ENOTDIR', path);
}

function checkName(name: string, path: string): void {
  if (name.length * 3 > MAX_NAME_BYTES && fsEncode(name).length > MAX_NAME_BYTES)
    throw new FsError('ENAMETOOLONG', path);
}
