// The secondary's volume through its mount with gfid access. The calls run in the thread pool, since the mount may respond
// slowly. If the kernel refuses symlinks on this mount (native/mount-flags.ts), no other check is needed. Otherwise every
// directory of a path is checked first.

import {
  chmod,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  readdir,
  readlink,
  rename,
  rmdir,
  symlink,
  unlink,
} from 'node:fs/promises';
import { constants } from 'node:os';
import { GFID_PREFIX, gfidPath, gfidToIno, entryPath, isGfid, ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { GFID2PATH, GFID_NEWFILE, GFID_STRING } from '../gluster/xattr-names.js';
import { fsDecode, fsEncode } from '../names.js';
import {
  errnoNumber,
  lgetxattrAsync,
  llistxattrAsync,
  lremovexattrAsync,
  lsetxattrAsync,
  NativeError,
} from '../native/libc.js';
import { putFile, type FileToPut } from '../native/put-file.js';
import { newDirectoryBlob, newNodeBlob, newSymlinkBlob } from './newfile.js';
import type { NewInode, SecondaryVolume, VolumeStat } from './volume.js';

const { EISDIR, ELOOP, ENODATA, ENOENT, ENOTDIR, ENXIO, EOPNOTSUPP, ESTALE } = constants.errno;
const NS_PER_S = 1e9;
/** Errnos of putFile() if another entry, or none, has the path. */
const OTHER_FILE_ERRNOS: ReadonlySet<number> = new Set([ENOENT, ESTALE, ENOTDIR, ELOOP, EISDIR, ENXIO]);
/** Number of new files whose paths are kept: more than one batch has in flight. */
const MAX_NEW_FILES = 20_000;

export interface MountVolumeOptions {
  /** Absolute path of the mount's root. */
  readonly dir: string;
  /** `refused by the kernel`: the mount does not follow symlinks. `looked for`: this class checks each path for them. */
  readonly symlinks: 'refused by the kernel' | 'looked for';
}

export class MountVolume implements SecondaryVolume {
  readonly #dir: string;
  readonly #shouldCheckSymlinks: boolean;
  /** Paths of files that were created and not written yet, oldest first. By path, GlusterFS looks a file up on one subvolume
   *  instead of all. */
  readonly #newFiles = new Map<Gfid, string>();

  constructor({ dir, symlinks }: MountVolumeOptions) {
    this.#dir = dir;
    this.#shouldCheckSymlinks = symlinks === 'looked for';
  }

  async lstat(path: string): Promise<VolumeStat> {
    const st = await lstat(await this.#checkedPath(path), { bigint: true });
    return {
      mode: Number(st.mode),
      // Node returns them as signed numbers.
      ino: BigInt.asUintN(64, st.ino),
      dev: BigInt.asUintN(64, st.dev),
      nlink: Number(st.nlink),
      uid: Number(st.uid),
      gid: Number(st.gid),
      size: Number(st.size),
      atime: Number(st.atimeNs) / NS_PER_S,
      mtime: Number(st.mtimeNs) / NS_PER_S,
      ctime: Number(st.ctimeNs) / NS_PER_S,
    };
  }

  async gfidOf(path: string): Promise<Gfid> {
    const text = (await lgetxattrAsync(await this.#checkedPath(path), GFID_STRING))
      .toString('latin1')
      .replace(/\0+$/, '');
    if (!isGfid(text)) throw new NativeError('gfid', path, ENODATA);
    return text;
  }

  /** The GFID2PATH xattr holds a path from the root; its parent needs a gfid lookup. */
  async directoryEntry(gfid: Gfid): Promise<string | null> {
    if (gfid === ROOT_GFID) return null;
    const bytes = await this.#pathOf(gfid);
    if (bytes === null) return null;
    const path = fsDecode(bytes).replace(/\0+$/, '').replace(/^\/+/, '');
    const slash = path.lastIndexOf('/');
    const name = path.slice(slash + 1);
    if (name === '') return null;
    return entryPath(slash < 0 ? ROOT_GFID : await this.gfidOf(path.slice(0, slash)), name);
  }

  async createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void> {
    await this.#setNewFile(parent, newNodeBlob(name, inode));
    this.#newFiles.set(inode.gfid, entryPath(parent, name));
    if (this.#newFiles.size > MAX_NEW_FILES) this.#newFiles.delete(this.#newFiles.keys().next().value!);
  }

  async createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void> {
    await this.#setNewFile(parent, newDirectoryBlob(name, inode));
  }

  async createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void> {
    await this.#setNewFile(parent, newSymlinkBlob(name, inode));
  }

  async mkdir(path: string): Promise<void> {
    await mkdir(await this.#checkedPath(path));
  }

  async symlink(target: string, path: string): Promise<void> {
    await symlink(fsEncode(target), await this.#checkedPath(path));
  }

  async link(existing: string, path: string): Promise<void> {
    await link(await this.#checkedPath(existing), await this.#checkedPath(path));
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(await this.#checkedPath(from), await this.#checkedPath(to));
  }

  async unlink(path: string): Promise<void> {
    await unlink(await this.#checkedPath(path));
  }

  async rmdir(path: string): Promise<void> {
    await rmdir(await this.#checkedPath(path));
  }

  async readdir(path: string): Promise<string[]> {
    try {
      return await this.#readNames(path);
    } catch (error) {
      // GlusterFS cannot open a directory as `.gfid/<gfid>`, only as an entry of its parent.
      const gfid = path.slice(GFID_PREFIX.length);
      if (errnoNumber(error) !== EOPNOTSUPP || !path.startsWith(GFID_PREFIX) || !isGfid(gfid)) throw error;
      return this.#readNames(gfid === ROOT_GFID ? '.' : ((await this.directoryEntry(gfid)) ?? path));
    }
  }

  async readlink(path: string): Promise<string> {
    return fsDecode(await readlink(await this.#checkedPath(path), { encoding: 'buffer' }));
  }

  async chown(path: string, uid: number, gid: number): Promise<void> {
    await lchown(await this.#checkedPath(path), uid, gid);
  }

  async chmod(path: string, mode: number): Promise<void> {
    const at = await this.#checkedPath(path);
    if (this.#shouldCheckSymlinks && (await lstat(at)).isSymbolicLink()) throw new NativeError('chmod', path, ELOOP);
    await chmod(at, mode);
  }

  async utimes(path: string, atime: number, mtime: number): Promise<void> {
    await lutimes(await this.#checkedPath(path), atime, mtime);
  }

  async putFile(gfid: Gfid, file: FileToPut): Promise<void> {
    const newPath = this.#newFiles.get(gfid);
    if (newPath !== undefined) {
      this.#newFiles.delete(gfid);
      try {
        return await putFile(await this.#checkedPath(newPath), file, gfidToIno(gfid));
      } catch (error) {
        // The file was renamed or removed since.
        if (!OTHER_FILE_ERRNOS.has(errnoNumber(error) ?? 0)) throw error;
      }
    }
    await putFile(await this.#checkedPath(gfidPath(gfid)), file);
  }

  async getXattr(path: string, name: string): Promise<Buffer> {
    return lgetxattrAsync(await this.#checkedPath(path), name);
  }

  async setXattr(path: string, name: string, value: Buffer): Promise<void> {
    await lsetxattrAsync(await this.#checkedPath(path), name, value);
  }

  async removeXattr(path: string, name: string): Promise<void> {
    await lremovexattrAsync(await this.#checkedPath(path), name);
  }

  async listXattrs(path: string): Promise<string[]> {
    return llistxattrAsync(await this.#checkedPath(path));
  }

  /** @returns null if the bricks have no such inode, or no path of it */
  async #pathOf(gfid: Gfid): Promise<Buffer | null> {
    try {
      return await lgetxattrAsync(await this.#checkedPath(gfidPath(gfid)), GFID2PATH);
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === ENOENT || errno === ESTALE || errno === ENODATA) return null;
      throw error;
    }
  }

  async #readNames(path: string): Promise<string[]> {
    return (await readdir(await this.#checkedPath(path), { encoding: 'buffer' })).map(fsDecode);
  }

  async #setNewFile(parent: Gfid, blob: Buffer): Promise<void> {
    await lsetxattrAsync(await this.#checkedPath(gfidPath(parent)), GFID_NEWFILE, blob);
  }

  /** @returns the bytes of the absolute path. @throws NativeError ELOOP if a part before the last one is a symlink */
  async #checkedPath(path: string): Promise<Buffer> {
    if (this.#shouldCheckSymlinks) {
      const parts = path.split('/').filter((part) => part !== '' && part !== '.');
      // `.gfid` is virtual, so it needs no check.
      for (let i = parts[0] === '.gfid' ? 2 : 1; i < parts.length; i++) {
        const dirPath = parts.slice(0, i).join('/');
        if ((await lstat(fsEncode(`${this.#dir}/${dirPath}`))).isSymbolicLink())
          throw new NativeError('path', dirPath, ELOOP);
      }
    }
    return fsEncode(path === '.' ? this.#dir : `${this.#dir}/${path}`);
  }
}
