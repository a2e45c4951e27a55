// A volume whose ENOENT can be believed. While a subvolume is down, GlusterFS's client says ENOENT for what lives there. If the
// secondary believed it, removed files would stay, and moved files would be made a second time. So a call that met
// an ENOENT ends with a look at the volume (confirm()). If a part of it is down, the call fails with ENOTCONN, and the primary
// repeats it when the volume is whole. Within a call, an ENOENT is believed while the last look is fresh; otherwise
// gluster/subvolume-watch.ts looks before and after. An ENOTCONN while the volume is up means that the copies of one name
// disagree: it becomes EIO, GlusterFS's usual errno for that. The daemon's secondary wraps its mount in this.

import { constants } from 'node:os';
import { entryPath, type Gfid } from '../protocol/gfid.js';
import { BrickDown, SubvolumeWatch } from '../gluster/subvolume-watch.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import type { FileToPut } from '../native/put-file.js';
import { SingleFlight } from '../async/single-flight.js';
import type { NewInode, SecondaryVolume, VolumeStat } from './volume.js';

const { EIO, ENOENT, ENOTCONN, ESTALE } = constants.errno;
/** Should a brick go down in that time, confirm() notices: a lost brick stays away for at least 3 s. */
const LOOK_COUNTS_MS = 200;

/** State of the whole volume: gluster/volume-health.ts. */
export interface VolumeState {
  /** Whether an ENOENT can be believed. */
  isWhole(): Promise<boolean>;
  /** Whether an ENOTCONN is not the volume's. */
  isReachable(): Promise<boolean>;
}

/** Changes of copies take locks on several bricks. Calls side by side get in each other's way, and are slower than in turn. */
const LANES_OF_COPIES = 1;

export class AvailabilityGuard implements SecondaryVolume {
  readonly lanes?: number;
  readonly putFile?: (path: string, file: FileToPut) => Promise<void>;
  readonly #volume: SecondaryVolume;
  readonly #watch: SubvolumeWatch;
  readonly #reachable: SingleFlight<boolean>;
  /** When the last ENOENT was taken, by performance.now(). */
  #absentMs = -Infinity;

  constructor(volume: SecondaryVolume, state: VolumeState, bricksOfFile: 'one' | 'several') {
    if (bricksOfFile === 'several') this.lanes = LANES_OF_COPIES;
    this.#volume = volume;
    if (volume.putFile !== undefined) this.putFile = (path, file) => this.#sure(path, async () => volume.putFile?.(path, file));
    this.#watch = new SubvolumeWatch(() => state.isWhole());
    this.#reachable = new SingleFlight(() => state.isReachable());
  }

  lstat(path: string): Promise<VolumeStat> {
    return this.#sure(path, () => this.#volume.lstat(path));
  }

  async confirm(): Promise<void> {
    if (this.#watch.upMs < this.#absentMs && !(await this.#watch.isUp())) throw notWhole('.');
  }

  gfidOf(path: string): Promise<Gfid> {
    return this.#sure(path, () => this.#volume.gfidOf(path));
  }

  directoryEntry(gfid: Gfid): Promise<string | null> {
    return this.#find(gfid, () => this.#volume.directoryEntry(gfid));
  }

  createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void> {
    return this.#sure(entryPath(parent, name), () => this.#volume.createNode(parent, name, inode));
  }

  createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void> {
    return this.#sure(entryPath(parent, name), () => this.#volume.createDirectory(parent, name, inode));
  }

  createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void> {
    return this.#sure(entryPath(parent, name), () => this.#volume.createSymlink(parent, name, inode));
  }

  mkdir(path: string): Promise<void> {
    return this.#sure(path, () => this.#volume.mkdir(path));
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#sure(path, () => this.#volume.symlink(target, path));
  }

  link(existing: string, path: string): Promise<void> {
    return this.#sure(path, () => this.#volume.link(existing, path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#sure(to, () => this.#volume.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#sure(path, () => this.#volume.unlink(path));
  }

  rmdir(path: string): Promise<void> {
    return this.#sure(path, () => this.#volume.rmdir(path));
  }

  /** Without a brick the rest of the names comes, and no error. A long list takes longer than looks may be apart. */
  async readdir(path: string): Promise<string[]> {
    const names = await this.#sure(path, () => this.#volume.readdir(path));
    if (!(await this.#watch.isUp())) throw notWhole(path);
    return names;
  }

  readlink(path: string): Promise<string> {
    return this.#sure(path, () => this.#volume.readlink(path));
  }

  chown(path: string, uid: number, gid: number): Promise<void> {
    return this.#sure(path, () => this.#volume.chown(path, uid, gid));
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#sure(path, () => this.#volume.chmod(path, mode));
  }

  utimes(path: string, atime: number, mtime: number): Promise<void> {
    return this.#sure(path, () => this.#volume.utimes(path, atime, mtime));
  }

  getXattr(path: string, name: string): Promise<Buffer> {
    return this.#sure(path, () => this.#volume.getXattr(path, name));
  }

  setXattr(path: string, name: string, value: Buffer): Promise<void> {
    return this.#sure(path, () => this.#volume.setXattr(path, name, value));
  }

  removeXattr(path: string, name: string): Promise<void> {
    return this.#sure(path, () => this.#volume.removeXattr(path, name));
  }

  listXattrs(path: string): Promise<string[]> {
    return this.#sure(path, () => this.#volume.listXattrs(path));
  }

  /** The result or the error of `call`; an ENOENT only when it is certain. */
  async #sure<T>(path: string, call: () => Promise<T>): Promise<T> {
    let absent: unknown;
    const found = await this.#find(path, async () => {
      try {
        return { value: await call() };
      } catch (error) {
        const errno = errnoNumber(error);
        if (errno !== ENOENT && errno !== ESTALE) throw error;
        absent = error;
        return null;
      }
    });
    if (found === null) throw absent;
    return found.value;
  }

  /** @throws ENOTCONN for the volume, or for this path alone EIO where its copies disagree, EAGAIN where the volume is up and
   *  too slow to tell */
  async #find<T>(path: string, ask: () => Promise<T | null>): Promise<T | null> {
    try {
      const isFresh = performance.now() - this.#watch.upMs < LOOK_COUNTS_MS;
      const found = isFresh ? await ask() : await this.#watch.find(path, ask);
      if (found === null) this.#absentMs = performance.now();
      return found;
    } catch (error) {
      if (error instanceof BrickDown && !(await this.#watch.isUp())) throw notWhole(path);
      if (errnoNumber(error) === ENOTCONN && (await this.#reachable.ask())) throw new NativeError('split-brain', path, EIO);
      throw error;
    }
  }
}

function notWhole(path: string): NativeError {
  return new NativeError('a brick of the secondary volume is down', path, ENOTCONN);
}
