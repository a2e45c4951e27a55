// The secondary's volume through its mount with gfid access. The calls run in the thread pool, since the mount may respond
// slowly. If the kernel refuses symlinks on this mount (native/mount-flags.ts), no other check is needed. Otherwise every
// directory of a path is checked first.

import { chmod, lchown, link, lstat, lutimes, mkdir, readdir, readlink, rename, rmdir, symlink, unlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { GFID_PREFIX, gfidPath, entryPath, isGfid, ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { GFID2PATH, GFID_NEWFILE, GFID_STRING } from '../gluster/xattr-names.js';
import { fsDecode, fsEncode } from '../names.js';
import { errnoNumber, lgetxattrAsync, llistxattrAsync, lremovexattrAsync, lsetxattrAsync, NativeError } from '../native/libc.js';
import { putFile, type FileToPut } from '../native/put-file.js';
import { newDirectoryBlob, newNodeBlob, newSymlinkBlob } from './newfile.js';
import type { NewInode, SecondaryVolume, VolumeStat } from './volume.js';

const { ELOOP, ENODATA, ENOENT, EOPNOTSUPP, ESTALE } = constants.errno;
const NS = 1e9;

export interface MountVolumeOptions {
  /** Absolute path of the mount's root. */
  readonly dir: string;
  /** `refused by the kernel`: the mount does not follow symlinks. `looked for`: this class checks each path for them. */
  readonly symlinks: 'refused by the kernel' | 'looked for';
}

export class MountVolume implements SecondaryVolume {
  readonly #dir: string;
  readonly #look: boolean;

  constructor({ dir, symlinks }: MountVolumeOptions) {
    this.#dir = dir;
    this.#look = symlinks === 'looked for';
  }

  async lstat(path: string): Promise<VolumeStat> {
    const st = await lstat(await this.#at(path), { bigint: true });
    return {
      mode: Number(st.mode),
      // Node returns them as signed numbers.
      ino: BigInt.asUintN(64, st.ino),
      dev: BigInt.asUintN(64, st.dev),
      nlink: Number(st.nlink),
      uid: Number(st.uid),
      gid: Number(st.gid),
      size: Number(st.size),
      atime: Number(st.atimeNs) / NS,
      mtime: Number(st.mtimeNs) / NS,
      ctime: Number(st.ctimeNs) / NS,
    };
  }

  async gfidOf(path: string): Promise<Gfid> {
    const text = (await lgetxattrAsync(await this.#at(path), GFID_STRING)).toString('latin1').replace(/\0+$/, '');
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
    await this.#newFile(parent, newNodeBlob(name, inode));
  }

  async createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void> {
    await this.#newFile(parent, newDirectoryBlob(name, inode));
  }

  async createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void> {
    await this.#newFile(parent, newSymlinkBlob(name, inode));
  }

  async mkdir(path: string): Promise<void> {
    await mkdir(await this.#at(path));
  }

  async symlink(target: string, path: string): Promise<void> {
    await symlink(fsEncode(target), await this.#at(path));
  }

  async link(existing: string, path: string): Promise<void> {
    await link(await this.#at(existing), await this.#at(path));
  }

  async rename(from: string, to: string): Promise<void> {
    await rename(await this.#at(from), await this.#at(to));
  }

  async unlink(path: string): Promise<void> {
    await unlink(await this.#at(path));
  }

  async rmdir(path: string): Promise<void> {
    await rmdir(await this.#at(path));
  }

  async readdir(path: string): Promise<string[]> {
    try {
      return await this.#names(path);
    } catch (error) {
      // GlusterFS cannot open a directory as `.gfid/<gfid>`, only as an entry of its parent.
      const gfid = path.slice(GFID_PREFIX.length);
      if (errnoNumber(error) !== EOPNOTSUPP || !path.startsWith(GFID_PREFIX) || !isGfid(gfid)) throw error;
      return this.#names(gfid === ROOT_GFID ? '.' : ((await this.directoryEntry(gfid)) ?? path));
    }
  }

  async readlink(path: string): Promise<string> {
    return fsDecode(await readlink(await this.#at(path), { encoding: 'buffer' }));
  }

  async chown(path: string, uid: number, gid: number): Promise<void> {
    await lchown(await this.#at(path), uid, gid);
  }

  async chmod(path: string, mode: number): Promise<void> {
    const at = await this.#at(path);
    if (this.#look && (await lstat(at)).isSymbolicLink()) throw new NativeError('chmod', path, ELOOP);
    await chmod(at, mode);
  }

  async utimes(path: string, atime: number, mtime: number): Promise<void> {
    await lutimes(await this.#at(path), atime, mtime);
  }

  async putFile(path: string, file: FileToPut): Promise<void> {
    await putFile(await this.#at(path), file);
  }

  async getXattr(path: string, name: string): Promise<Buffer> {
    return lgetxattrAsync(await this.#at(path), name);
  }

  async setXattr(path: string, name: string, value: Buffer): Promise<void> {
    await lsetxattrAsync(await this.#at(path), name, value);
  }

  async removeXattr(path: string, name: string): Promise<void> {
    await lremovexattrAsync(await this.#at(path), name);
  }

  async listXattrs(path: string): Promise<string[]> {
    return llistxattrAsync(await this.#at(path));
  }

  /** @returns null if the bricks have no such inode, or no path of it */
  async #pathOf(gfid: Gfid): Promise<Buffer | null> {
    try {
      return await lgetxattrAsync(await this.#at(gfidPath(gfid)), GFID2PATH);
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === ENOENT || errno === ESTALE || errno === ENODATA) return null;
      throw error;
    }
  }

  async #names(path: string): Promise<string[]> {
    return (await readdir(await this.#at(path), { encoding: 'buffer' })).map(fsDecode);
  }

  async #newFile(parent: Gfid, blob: Buffer): Promise<void> {
    await lsetxattrAsync(await this.#at(gfidPath(parent)), GFID_NEWFILE, blob);
  }

  /** @returns the bytes of the absolute path. @throws NativeError ELOOP if a part before the last one is a symlink */
  async #at(path: string): Promise<Buffer> {
    if (this.#look) {
      const parts = path.split('/').filter((part) => part !== '' && part !== '.');
      // `.gfid` is virtual, so it needs no check.
      for (let i = parts[0] === '.gfid' ? 2 : 1; i < parts.length; i++) {
        const on = parts.slice(0, i).join('/');
        if ((await lstat(fsEncode(`${this.#dir}/${on}`))).isSymbolicLink()) throw new NativeError('path', on, ELOOP);
      }
    }
    return fsEncode(path === '.' ? this.#dir : `${this.#dir}/${path}`);
  }
}
