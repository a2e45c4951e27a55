// The volume interface of the shared handlers, on a plain directory. Calls are synchronous underneath, since a local inode
// answers in microseconds. So no call sees a half-done other one.

import {
  chmodSync,
  closeSync,
  lchownSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  rmSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { entryPath, gfidPath, gfidToIno, type Gfid } from '../protocol/gfid.js';
import type { InodeStats } from '../native/beneath.js';
import { errnoNumber, lgetxattr, llistxattr, lremovexattr, lsetxattr, NativeError } from '../native/libc.js';
import { mknod } from '../native/mknod.js';
import { fsDecode, fsEncode } from '../names.js';
import type { Log } from '../log.js';
import { PERMISSIONS, S_IFMT, S_IFREG } from '../protocol/view.js';
import type { NewInode, SecondaryVolume, VolumeStat } from '../secondary/volume.js';
import type { OpenDirectory, EntryRef } from './beneath.js';
import { handlePath, INTERNAL_NAME, setGfid, type BrickLayout } from './layout.js';
import { changeMode, SecondaryPaths, requireStats, type Inode } from './secondary-paths.js';
import { SecondaryTree } from './secondary-tree.js';
import { isDirectory } from './tree-index.js';

const { EEXIST, EISDIR, ENODATA, EPERM } = constants.errno;
const OWNER_ACCESS = 0o700;
const WRITABLE_BY_OTHERS = 0o022;

export class EmbeddedVolume implements SecondaryVolume {
  readonly #layout: BrickLayout;
  readonly #tree: SecondaryTree;
  readonly #paths: SecondaryPaths;
  readonly #log: Log;
  /** Marks that a primary sets under `system.glusterfs.` if this is not root. No local file system accepts these names.
   *  They need not survive this process. */
  readonly #marks = new Map<string, Buffer>();
  #hasWarnedOfOwners = false;

  constructor(layout: BrickLayout, log: Log) {
    this.#layout = layout;
    this.#log = log;
    this.#tree = new SecondaryTree(layout);
    this.#paths = new SecondaryPaths(layout, this.#tree);
  }

  /** Calls `use` with a safe path of the inode, or with null if there is none. @throws errors of `use` */
  onInode<T>(gfid: Gfid, use: (path: string | null) => T): T {
    if (!this.#paths.exists(this.#tree.inodePath(gfid))) return use(null);
    return this.#paths.withInode(gfidPath(gfid), ({ path }) => use(path));
  }

  async lstat(path: string): Promise<VolumeStat> {
    const stats = this.#paths.stats(this.#paths.resolve(path));
    const gfid = this.#tree.gfidOfIno(stats.ino);
    return Promise.resolve({
      mode: stats.mode,
      // As on a volume's mount: callers compare inode numbers of names whose gfid they cannot look up.
      ino: gfid === undefined ? stats.ino : gfidToIno(gfid),
      dev: BigInt(stats.dev),
      nlink: stats.nlink - (isDirectory(stats.mode) ? 0 : 1),
      uid: stats.uid,
      gid: stats.gid,
      size: stats.size,
      atime: Number(stats.atimeNs) / 1e9,
      mtime: Number(stats.mtimeNs) / 1e9,
      ctime: Number(stats.ctimeNs) / 1e9,
    });
  }

  async gfidOf(path: string): Promise<Gfid> {
    return Promise.resolve(this.#paths.gfidAt(this.#paths.resolve(path)));
  }

  async directoryEntry(gfid: Gfid): Promise<string | null> {
    const place = this.#tree.placeOf(gfid);
    return Promise.resolve(place === null ? null : entryPath(place.parent, place.name));
  }

  async createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void> {
    const { mode, rdev } = inode;
    return this.#createLinked(parent, name, inode, (handle) => {
      const path = fsEncode(handle.path);
      if ((mode & S_IFMT) === S_IFREG) closeSync(openSync(path, 'wx', OWNER_ACCESS));
      else mknod(handle.path, (mode & S_IFMT) | OWNER_ACCESS, rdev);
      this.#setOwner(handle, inode, name);
      chmodSync(path, mode & PERMISSIONS);
    });
  }

  async createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void> {
    return this.#createLinked(parent, name, inode, (handle) => {
      symlinkSync(fsEncode(inode.target), fsEncode(handle.path));
      this.#setOwner(handle, inode, name);
    });
  }

  async createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void> {
    const { gfid } = inode;
    this.#withParent(parent, name, (dir) => {
      if (this.#paths.exists(this.#tree.inodePath(gfid))) throw new NativeError('mkdir', gfid, EEXIST);
      const tempPath = join(this.#tree.newDir, gfid);
      rmSync(fsEncode(tempPath), { recursive: true, force: true });
      mkdirSync(fsEncode(tempPath), { mode: OWNER_ACCESS });
      this.#layout.beneath.withDirectory(tempPath, (created) => {
        this.#setOwner(created, inode, name);
        setGfid(this.#layout, created.path, gfid);
        const { ino } = created.stat();
        this.#tree.addDirectory(gfid, { parent, name }, ino);
        try {
          renameSync(fsEncode(tempPath), fsEncode(dir.entry(name).path));
        } catch (error) {
          this.#tree.dropDirectory(gfid, ino);
          throw error;
        }
        // Last, since rename() of a directory without write permission fails for its owner.
        chmodSync(created.path, inode.mode & PERMISSIONS);
      });
    });
    return Promise.resolve();
  }

  async mkdir(path: string): Promise<void> {
    const { parent, name } = this.#paths.placeAt(path);
    await this.createDirectory(parent, name, { gfid: randomUUID() as Gfid, mode: 0o040755, ...owner() });
  }

  async symlink(target: string, path: string): Promise<void> {
    const { parent, name } = this.#paths.placeAt(path);
    await this.createSymlink(parent, name, { gfid: randomUUID() as Gfid, mode: 0o120777, target, ...owner() });
  }

  async link(existing: string, path: string): Promise<void> {
    const [from, to] = [this.#paths.resolve(existing), this.#paths.resolve(path)];
    this.#paths.withEntry(to, (name) => this.#layout.beneath.withEntry(from, (inode) => inode.linkTo(name)));
    return Promise.resolve();
  }

  async rename(from: string, to: string): Promise<void> {
    this.#rename(from, to);
    return Promise.resolve();
  }

  #rename(from: string, to: string): void {
    const [source, dest] = [this.#paths.resolve(from), this.#paths.resolve(to)];
    const moved = this.#paths.stats(source);
    const replaced = this.#paths.statsOrNull(dest);
    const gfid = this.#tree.gfidOfIno(moved.ino);
    const rename = (): void =>
      this.#paths.withEntry(source, (oldEntry) =>
        this.#paths.withEntry(dest, (newEntry) => renameSync(fsEncode(oldEntry.path), fsEncode(newEntry.path))),
      );
    if (replaced !== null && replaced.ino === moved.ino) return;
    if (isDirectory(moved.mode) && gfid !== undefined) this.#tree.moveDirectory(gfid, this.#paths.placeAt(to), rename);
    else rename();
    if (replaced !== null) this.#forgetRemoved(replaced);
  }

  async unlink(path: string): Promise<void> {
    this.#remove(path, unlinkSync);
    return Promise.resolve();
  }

  async rmdir(path: string): Promise<void> {
    this.#remove(path, rmdirSync);
    return Promise.resolve();
  }

  #remove(path: string, removeEntry: (name: Buffer) => void): void {
    const target = this.#paths.resolve(path);
    if (target === this.#layout.root) throw new NativeError('remove', path, EISDIR);
    const stats = this.#paths.withEntry(target, (entry) => {
      const found = requireStats(entry);
      removeEntry(fsEncode(entry.path));
      return found;
    });
    this.#forgetRemoved(stats);
  }

  async readdir(path: string): Promise<string[]> {
    const dir = this.#paths.resolve(path);
    const names = this.#paths
      .withDirectory(dir, (open) => readdirSync(open.path, { encoding: 'buffer' }))
      .map(fsDecode);
    return Promise.resolve(dir === this.#layout.root ? names.filter((name) => name !== INTERNAL_NAME) : names);
  }

  async readlink(path: string): Promise<string> {
    return Promise.resolve(
      fsDecode(
        this.#paths.withEntry(this.#paths.resolve(path), (entry) =>
          readlinkSync(fsEncode(entry.path), { encoding: 'buffer' }),
        ),
      ),
    );
  }

  async chown(path: string, uid: number, gid: number): Promise<void> {
    if (!this.#isProtectedRoot(path)) this.#paths.withInode(path, (inode) => this.#setOwner(inode, { uid, gid }, path));
    return Promise.resolve();
  }

  async chmod(path: string, mode: number): Promise<void> {
    const maskedBits = this.#isProtectedRoot(path) ? WRITABLE_BY_OTHERS : 0;
    this.#paths.withInode(path, ({ path: at }) => changeMode(at, mode & PERMISSIONS & ~maskedBits));
    return Promise.resolve();
  }

  async utimes(path: string, atime: number, mtime: number): Promise<void> {
    this.#paths.withInode(path, ({ path: at }) => lutimesSync(fsEncode(at), atime, mtime));
    return Promise.resolve();
  }

  async getXattr(path: string, name: string): Promise<Buffer> {
    if (!isGlusterMark(name))
      return Promise.resolve(this.#paths.withInode(path, ({ path: at }) => lgetxattr(at, name)));
    const mark = this.#marks.get(`${path} ${name}`);
    if (mark === undefined) throw new NativeError('getxattr', path, ENODATA);
    return Promise.resolve(mark);
  }

  async setXattr(path: string, name: string, value: Buffer): Promise<void> {
    if (isGlusterMark(name)) this.#marks.set(`${path} ${name}`, value);
    else this.#paths.withInode(path, ({ path: at }) => lsetxattr(at, name, value));
    return Promise.resolve();
  }

  async removeXattr(path: string, name: string): Promise<void> {
    if (isGlusterMark(name)) this.#marks.delete(`${path} ${name}`);
    else this.#paths.withInode(path, ({ path: at }) => lremovexattr(at, name));
    return Promise.resolve();
  }

  async listXattrs(path: string): Promise<string[]> {
    const marks = [...this.#marks.keys()]
      .filter((key) => key.startsWith(`${path} `))
      .map((key) => key.slice(path.length + 1));
    return Promise.resolve([...this.#paths.withInode(path, ({ path: at }) => llistxattr(at)), ...marks]);
  }

  /** Makes an inode by its link under `.gfid` first, and then gives it its name. */
  async #createLinked(parent: Gfid, name: string, { gfid }: NewInode, make: (handle: EntryRef) => void): Promise<void> {
    this.#withParent(parent, name, (dir) => {
      this.#layout.beneath.withEntry(handlePath(this.#layout, gfid), (handle) => {
        const before = handle.stat();
        if (this.#tree.isDirectory(gfid) || (before !== null && before.nlink > 1))
          throw new NativeError('create', gfid, EEXIST);
        if (before !== null) unlinkSync(fsEncode(handle.path));
        make(handle);
        setGfid(this.#layout, handle.path, gfid);
        this.#tree.addFile(gfid, requireStats(handle).ino);
        handle.linkTo(dir.entry(name));
      });
    });
    return Promise.resolve();
  }

  /** Calls `make` with the open directory for a new name, a second time if permissions were missing.
   *  @throws NativeError EEXIST, ENOENT, ENOTDIR */
  #withParent(parent: Gfid, name: string, make: (dir: OpenDirectory) => void): void {
    this.#paths.withDirectory(this.#tree.inodePath(parent), (dir) => {
      if (dir.lookUp(name) !== null) throw new NativeError('create', name, EEXIST);
      make(dir);
    });
  }

  #forgetRemoved(stats: InodeStats): void {
    const gfid = this.#tree.gfidOfIno(stats.ino);
    if (gfid === undefined) return;
    if (isDirectory(stats.mode)) this.#tree.dropDirectory(gfid, stats.ino);
    else this.#tree.dropIfNameless(gfid, stats.ino);
  }

  /** Whether `path` is the top directory, and this is root. It then keeps its owner, and others never get write permission
   *  (own-state.ts). */
  #isProtectedRoot(path: string): boolean {
    return process.geteuid?.() === 0 && this.#paths.resolve(path) === this.#layout.root;
  }

  /** Changes owner and group if they differ. An ordinary user can at most give a file to one of their groups. The rest is
   *  skipped and logged once: it affects all files of other users, and no retry can help. */
  #setOwner(inode: Inode, { uid, gid }: { uid: number; gid: number }, path: string): void {
    const stats = requireStats(inode);
    if (stats.uid === uid && stats.gid === gid) return;
    const tryChown = (newUid: number): boolean => {
      try {
        lchownSync(fsEncode(inode.path), newUid, gid);
        return true;
      } catch (error) {
        if (errnoNumber(error) !== EPERM || process.geteuid?.() === 0) throw error;
        return false;
      }
    };
    if (tryChown(uid) || (stats.gid !== gid && tryChown(stats.uid) && stats.uid === uid)) return;
    // Entry operations create inodes as root first and chown them later: no warning for that.
    if (this.#hasWarnedOfOwners || (uid === 0 && gid === 0)) return;
    this.#hasWarnedOfOwners = true;
    this.#log.warn('cannot set the owner of files: not running as root', { path, owner: `${uid}:${gid}` });
  }
}

function isGlusterMark(name: string): boolean {
  return name.startsWith('system.glusterfs.');
}

function owner(): { uid: number; gid: number } {
  return { uid: process.geteuid?.() ?? 0, gid: process.getegid?.() ?? 0 };
}
