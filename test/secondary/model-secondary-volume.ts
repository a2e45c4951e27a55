// A model volume with the interface of the secondary's handlers. Each call is delayed by a seeded random number of turns, so
// that lanes interleave in many orders.

import { constants } from 'node:os';
import { gfidPath, gfidToIno, entryPath, type Gfid } from '../../src/protocol/gfid.js';
import { S_IFLNK } from '../../src/protocol/view.js';
import type { NewInode, SecondaryVolume, VolumeStat } from '../../src/secondary/volume.js';
import { Random } from '../gluster/lab/random.js';
import { listdir } from '../primary/model/stock-entry-call.js';
import type { ModelVolume } from '../primary/model/volume.js';

export class ModelSecondaryVolume implements SecondaryVolume {
  readonly #model: ModelVolume;
  readonly #random: Random;

  constructor(model: ModelVolume, seed: number) {
    this.#model = model;
    this.#random = new Random(seed);
  }

  lstat(path: string): Promise<VolumeStat> {
    return this.#turn(() => {
      const { gfid, mode, uid, gid, atime, mtime, content, entries, names } = this.#model.at(path);
      return {
        mode,
        ino: gfidToIno(gfid),
        dev: 1n,
        nlink: entries === null ? names.size : 2,
        uid,
        gid,
        size: content.length,
        atime,
        mtime,
        ctime: mtime,
      };
    });
  }

  gfidOf(path: string): Promise<Gfid> {
    return this.#turn(() => this.#model.at(path).gfid);
  }

  directoryEntry(gfid: Gfid): Promise<string | null> {
    return this.#turn(() => {
      const inode = this.#model.inodes.get(gfid);
      return inode === undefined || inode.entries === null ? null : ([...inode.names][0] ?? null);
    });
  }

  createNode(parent: Gfid, name: string, { gfid, mode, uid, gid }: NewInode): Promise<void> {
    return this.#turn(() => void this.#model.create(this.#in(parent, name), { gfid, mode, uid, gid }, 'MKNOD'));
  }

  createDirectory(parent: Gfid, name: string, { gfid, mode, uid, gid }: NewInode): Promise<void> {
    return this.#turn(() => void this.#model.create(this.#in(parent, name), { gfid, mode, uid, gid }, 'MKDIR'));
  }

  createSymlink(
    parent: Gfid,
    name: string,
    { gfid, uid, gid, target }: NewInode & { readonly target: string },
  ): Promise<void> {
    return this.#turn(
      () =>
        void this.#model.create(this.#in(parent, name), { gfid, mode: S_IFLNK | 0o777, uid, gid, target }, 'SYMLINK'),
    );
  }

  link(existing: string, path: string): Promise<void> {
    return this.#turn(() => this.#model.link(existing, path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#turn(() => this.#model.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#turn(() => this.#model.unlink(path));
  }

  rmdir(path: string): Promise<void> {
    return this.#turn(() => this.#model.rmdir(path));
  }

  readdir(path: string): Promise<string[]> {
    return this.#turn(() => listdir(this.#model, path));
  }

  readlink(path: string): Promise<string> {
    return this.#turn(() => this.#model.at(path).target);
  }

  chown(path: string, uid: number, gid: number): Promise<void> {
    return this.#turn(() => this.#model.setAttributes(path, { uid, gid }));
  }

  mkdir = unused;
  symlink = unused;
  chmod = unused;
  utimes = unused;
  getXattr = unused;
  setXattr = unused;
  removeXattr = unused;
  listXattrs = unused;

  /** A mount refuses to create entries below an inode that is not a directory. */
  #in(parent: Gfid, name: string): string {
    const dir = this.#model.at(gfidPath(parent));
    if (dir.entries === null)
      throw Object.assign(new Error(`${parent}: no directory`), { errno: constants.errno.EPERM });
    return entryPath(parent, name);
  }

  async #turn<T>(call: () => T): Promise<T> {
    for (let turns = this.#random.int(4); turns > 0; turns--) await Promise.resolve();
    return call();
  }
}

function unused(): never {
  throw new Error('no call of entry_ops');
}
