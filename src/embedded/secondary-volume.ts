// A secondary that is a plain directory: the volume interface of the shared handlers over its tree. Used by the worker's
// embedded site. Calls are synchronous underneath, since a local inode answers in microseconds, so no call sees half of
// another. An ordinary user's directories may be closed to their owner: they are opened for the moment.

import { chmodSync, closeSync, lchownSync, linkSync, lstatSync, lutimesSync, mkdirSync, openSync, readdirSync, readlinkSync, renameSync, rmdirSync, rmSync, symlinkSync, unlinkSync, type BigIntStats } from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { entryPath, GFID_PREFIX, gfidToIno, isGfid, ROOT_GFID, type Gfid } from '../gluster/gfid.js';
import { errnoNumber, lgetxattr, llistxattr, lremovexattr, lsetxattr, NativeError } from '../native/libc.js';
import { mknod } from '../native/mknod.js';
import { fsDecode, fsEncode } from '../names.js';
import type { Log } from '../log.js';
import type { NewInode, SecondaryVolume, VolumeStat } from '../secondary/volume.js';
import { handlePath, INTERNAL_NAME, stampGfid, type BrickLayout } from './layout.js';
import { SecondaryTree } from './secondary-tree.js';

const { EACCES, EEXIST, ENODATA, ENOENT, ENOTDIR, EOPNOTSUPP, EPERM } = constants.errno;
const PERMISSIONS = 0o7777;
const OWNER_ACCESS = 0o700;
const S_IFREG = 0o100000;
const S_IFMT = 0o170000;

export class EmbeddedVolume implements SecondaryVolume {
  readonly #layout: BrickLayout;
  readonly #tree: SecondaryTree;
  readonly #log: Log;
  /** What a mount's clients other than root keep under `system.`, which no directory takes; it need not outlast this. */
  readonly #marks = new Map<string, Buffer>();
  #hasNotedOwners = false;

  constructor(layout: BrickLayout, log: Log) {
    this.#layout = layout;
    this.#log = log;
    this.#tree = new SecondaryTree(layout);
  }

  /** Absolute path of an inode, null when there is none. */
  pathOf(gfid: Gfid): string | null {
    const path = this.#tree.inodePath(gfid);
    return this.#exists(path) ? path : null;
  }

  async lstat(path: string): Promise<VolumeStat> {
    const stats = this.#stats(this.#resolve(path));
    const gfid = this.#gfid(stats);
    return Promise.resolve({
      mode: Number(stats.mode),
      // As on a volume's mount: names that cannot be looked up otherwise are compared by it.
      ino: gfid === undefined ? stats.ino : gfidToIno(gfid),
      dev: stats.dev,
      nlink: Number(stats.nlink) - (stats.isDirectory() ? 0 : 1),
      uid: Number(stats.uid),
      gid: Number(stats.gid),
      size: Number(stats.size),
      atime: Number(stats.atimeNs) / 1e9,
      mtime: Number(stats.mtimeNs) / 1e9,
      ctime: Number(stats.ctimeNs) / 1e9,
    });
  }

  async gfidOf(path: string): Promise<Gfid> {
    return Promise.resolve(this.#gfidAt(this.#resolve(path)));
  }

  async directoryEntry(gfid: Gfid): Promise<string | null> {
    const place = this.#tree.placeOf(gfid);
    return Promise.resolve(place === null ? null : entryPath(place.parent, place.name));
  }

  async createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void> {
    const { mode, rdev } = inode;
    return this.#createLinked(parent, name, inode, (handle) => {
      if ((mode & S_IFMT) === S_IFREG) closeSync(openSync(fsEncode(handle), 'wx', OWNER_ACCESS));
      else mknod(handle, (mode & S_IFMT) | OWNER_ACCESS, rdev);
      this.#own(handle, inode);
      chmodSync(fsEncode(handle), mode & PERMISSIONS);
    });
  }

  async createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void> {
    return this.#createLinked(parent, name, inode, (handle) => {
      symlinkSync(fsEncode(inode.target), fsEncode(handle));
      this.#own(handle, inode);
    });
  }

  async createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void> {
    const path = this.#free(parent, name);
    const { gfid } = inode;
    if (this.#exists(this.#tree.inodePath(gfid))) throw new NativeError('mkdir', gfid, EEXIST);
    const fresh = join(this.#tree.newDir, gfid);
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { mode: OWNER_ACCESS });
    this.#own(fresh, inode);
    stampGfid(this.#layout, fresh, gfid);
    const { ino } = this.#stats(fresh);
    this.#tree.addDirectory(gfid, { parent, name }, ino);
    try {
      this.#opened(path, () => renameSync(fsEncode(fresh), fsEncode(path)));
    } catch (error) {
      this.#tree.dropDirectory(gfid, ino);
      throw error;
    }
    // A closed directory could not be moved into place by its owner.
    chmodSync(fsEncode(path), inode.mode & PERMISSIONS);
    return Promise.resolve();
  }

  async mkdir(path: string): Promise<void> {
    const { parent, name } = this.#parse(path);
    await this.createDirectory(parent, name, { gfid: randomUUID() as Gfid, mode: 0o040755, ...owner() });
  }

  async symlink(target: string, path: string): Promise<void> {
    const { parent, name } = this.#parse(path);
    await this.createSymlink(parent, name, { gfid: randomUUID() as Gfid, mode: 0o120777, target, ...owner() });
  }

  async link(existing: string, path: string): Promise<void> {
    const to = this.#resolve(path);
    this.#opened(to, () => linkSync(fsEncode(this.#resolve(existing)), fsEncode(to)));
    return Promise.resolve();
  }

  async rename(from: string, to: string): Promise<void> {
    this.#rename(from, to);
    return Promise.resolve();
  }

  #rename(from: string, to: string): void {
    const [source, dest] = [this.#resolve(from), this.#resolve(to)];
    const moved = this.#stats(source);
    const over = this.#statsOrNull(dest);
    const gfid = this.#gfid(moved);
    const rename = (): void => this.#opened(source, () => this.#opened(dest, () => renameSync(fsEncode(source), fsEncode(dest))));
    if (over !== null && over.ino === moved.ino) return;
    if (moved.isDirectory() && gfid !== undefined) this.#tree.moveDirectory(gfid, this.#parse(to), rename);
    else rename();
    if (over !== null) this.#dropped(over);
  }

  async unlink(path: string): Promise<void> {
    const file = this.#resolve(path);
    const stats = this.#stats(file);
    this.#opened(file, () => unlinkSync(fsEncode(file)));
    this.#dropped(stats);
    return Promise.resolve();
  }

  async rmdir(path: string): Promise<void> {
    const dir = this.#resolve(path);
    const stats = this.#stats(dir);
    this.#opened(dir, () => rmdirSync(fsEncode(dir)));
    this.#dropped(stats);
    return Promise.resolve();
  }

  async readdir(path: string): Promise<string[]> {
    const dir = this.#resolve(path);
    if (!this.#stats(dir).isDirectory()) throw new NativeError('readdir', path, ENOTDIR);
    const names = this.#opened(`${dir}/.`, () => readdirSync(fsEncode(dir), { encoding: 'buffer' })).map(fsDecode);
    return Promise.resolve(dir === this.#layout.root ? names.filter((name) => name !== INTERNAL_NAME) : names);
  }

  async readlink(path: string): Promise<string> {
    return Promise.resolve(fsDecode(readlinkSync(fsEncode(this.#resolve(path)), { encoding: 'buffer' })));
  }

  async chown(path: string, uid: number, gid: number): Promise<void> {
    this.#own(this.#resolve(path), { uid, gid });
    return Promise.resolve();
  }

  async chmod(path: string, mode: number): Promise<void> {
    const file = this.#resolve(path);
    if (this.#stats(file).isSymbolicLink()) throw new NativeError('chmod', path, EOPNOTSUPP);
    chmodSync(fsEncode(file), mode & PERMISSIONS);
    return Promise.resolve();
  }

  async utimes(path: string, atime: number, mtime: number): Promise<void> {
    lutimesSync(fsEncode(this.#resolve(path)), atime, mtime);
    return Promise.resolve();
  }

  async getXattr(path: string, name: string): Promise<Buffer> {
    if (!isGlusterMark(name)) return Promise.resolve(lgetxattr(this.#resolve(path), name));
    const mark = this.#marks.get(`${path} ${name}`);
    if (mark === undefined) throw new NativeError('getxattr', path, ENODATA);
    return Promise.resolve(mark);
  }

  async setXattr(path: string, name: string, value: Buffer): Promise<void> {
    if (isGlusterMark(name)) this.#marks.set(`${path} ${name}`, value);
    else lsetxattr(this.#resolve(path), name, value);
    return Promise.resolve();
  }

  async removeXattr(path: string, name: string): Promise<void> {
    if (isGlusterMark(name)) this.#marks.delete(`${path} ${name}`);
    else lremovexattr(this.#resolve(path), name);
    return Promise.resolve();
  }

  async listXattrs(path: string): Promise<string[]> {
    const marks = [...this.#marks.keys()].filter((key) => key.startsWith(`${path} `)).map((key) => key.slice(path.length + 1));
    return Promise.resolve([...llistxattr(this.#resolve(path)), ...marks]);
  }

  /** Makes an inode that has its link under `.gfid` before it has a name. */
  async #createLinked(parent: Gfid, name: string, { gfid }: NewInode, make: (handle: string) => void): Promise<void> {
    const path = this.#free(parent, name);
    const handle = handlePath(this.#layout, gfid);
    const before = this.#statsOrNull(handle);
    if (this.#tree.isDirectory(gfid) || (before !== null && before.nlink > 1n)) throw new NativeError('create', gfid, EEXIST);
    rmSync(fsEncode(handle), { force: true });
    make(handle);
    stampGfid(this.#layout, handle, gfid);
    this.#tree.addFile(gfid, this.#stats(handle).ino);
    this.#opened(path, () => linkSync(fsEncode(handle), fsEncode(path)));
    return Promise.resolve();
  }

  /** Path of a name that is to be made. @throws NativeError EEXIST, ENOENT, ENOTDIR */
  #free(parent: Gfid, name: string): string {
    const dir = this.#tree.inodePath(parent);
    if (!this.#stats(dir).isDirectory()) throw new NativeError('create', parent, ENOTDIR);
    const path = `${dir}/${name}`;
    if (this.#exists(path)) throw new NativeError('create', path, EEXIST);
    return path;
  }

  #dropped(stats: BigIntStats): void {
    const gfid = this.#gfid(stats);
    if (gfid === undefined) return;
    if (stats.isDirectory()) this.#tree.dropDirectory(gfid, stats.ino);
    else this.#tree.dropIfNameless(gfid, stats.ino);
  }

  #gfid(stats: BigIntStats): Gfid | undefined {
    return stats.ino === this.#stats(this.#layout.root).ino ? ROOT_GFID : this.#tree.gfidOfIno(stats.ino);
  }

  /** Of what is at an absolute path. As when GlusterFS looks up what somebody put into a brick, an inode that has none
   *  gets one of its own: it is no inode of the primary's, and may have to give way to one. */
  #gfidAt(path: string): Gfid {
    const stats = this.#stats(path);
    const known = this.#gfid(stats);
    if (known !== undefined) return known;
    if (stats.isDirectory()) return this.#tree.adoptDirectory(path, { parent: this.#gfidAt(dirname(path)), name: basename(path) }, stats.ino);
    return this.#opened(path, () => this.#tree.adoptFile(path));
  }

  /** Absolute path. @throws NativeError ENOENT; ENOTDIR for a plain path that leads through a symlink */
  #resolve(path: string): string {
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
      if (!this.#stats(at).isDirectory()) throw new NativeError('lookup', at, ENOTDIR);
    }
    if (dir === this.#layout.root && names[0] === INTERNAL_NAME) throw new NativeError('lookup', path, EPERM);
    return `${at}/${names.at(-1) ?? ''}`;
  }

  #parse(path: string): { parent: Gfid; name: string } {
    const slash = path.lastIndexOf('/');
    const dir = slash < 0 ? '.' : path.slice(0, slash);
    return { parent: this.#gfidAt(this.#resolve(dir)), name: path.slice(slash + 1) };
  }

  #exists(path: string): boolean {
    return this.#statsOrNull(path) !== null;
  }

  #statsOrNull(path: string): BigIntStats | null {
    return this.#opened(path, () => lstatSync(fsEncode(path), { bigint: true, throwIfNoEntry: false })) ?? null;
  }

  #stats(path: string): BigIntStats {
    return this.#opened(path, () => lstatSync(fsEncode(path), { bigint: true }));
  }

  /** Changes the owner where it differs. An ordinary user can give a file to a group of his at most: what he cannot do
   *  is left, and said once, since it is so for all files of others and no retry can help. */
  #own(path: string, { uid, gid }: { uid: number; gid: number }): void {
    const stats = this.#stats(path);
    if (Number(stats.uid) === uid && Number(stats.gid) === gid) return;
    const tryOwn = (toUid: number): boolean => {
      try {
        this.#opened(path, () => lchownSync(fsEncode(path), toUid, gid));
        return true;
      } catch (error) {
        if (errnoNumber(error) !== EPERM || process.geteuid?.() === 0) throw error;
        return false;
      }
    };
    if (tryOwn(uid) || (Number(stats.gid) !== gid && tryOwn(Number(stats.uid)) && Number(stats.uid) === uid)) return;
    // New inodes are first made as root's.
    if (this.#hasNotedOwners || (uid === 0 && gid === 0)) return;
    this.#hasNotedOwners = true;
    this.#log.warn('files of other owners become files of the user who runs this: only root can give them away', { path, owner: `${uid}:${gid}` });
  }

  /** Runs a call on `path`; where its directory is closed to its owner, opens it meanwhile. */
  #opened<T>(path: string, call: () => T): T {
    try {
      return call();
    } catch (error) {
      const dir = dirname(path);
      if (errnoNumber(error) !== EACCES || process.geteuid?.() === 0 || dir === '/' || dir === dirname(this.#layout.root)) throw error;
      const { mode } = this.#stats(dir);
      if ((Number(mode) & OWNER_ACCESS) === OWNER_ACCESS) throw error;
      chmodSync(fsEncode(dir), (Number(mode) & PERMISSIONS) | OWNER_ACCESS);
      try {
        return call();
      } finally {
        chmodSync(fsEncode(dir), Number(mode) & PERMISSIONS);
      }
    }
  }
}

function isGlusterMark(name: string): boolean {
  return name.startsWith('system.glusterfs.');
}

function owner(): { uid: number; gid: number } {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}
