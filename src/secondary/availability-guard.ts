// Makes the ENOENT of a volume reliable. While a subvolume is down, the GlusterFS client returns ENOENT for its files. If
// the secondary believed that, removed files would stay, and moved files would be created twice. So after a call that met
// an ENOENT, confirm() checks the volume. If a subvolume is down, the call fails with ENOTCONN, and the primary repeats it
// later. Within a call, an ENOENT is accepted while the last check is recent. Otherwise gluster/subvolume-watch.ts checks
// before and after the lookup. An ENOTCONN while the volume is up means split-brain of one name. It becomes EIO, the usual
// errno of GlusterFS for split-brain.

import { constants } from 'node:os';
import { entryPath, gfidPath, type Gfid } from '../protocol/gfid.js';
import { BrickDown, SubvolumeWatch } from '../gluster/subvolume-watch.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import type { FileToPut } from '../native/put-file.js';
import { SingleFlight } from '../async/single-flight.js';
import type { NewInode, SecondaryVolume, VolumeStat } from './volume.js';

const { EIO, ENOENT, ENOTCONN, ESTALE } = constants.errno;
/** Maximum age of a check that makes an ENOENT acceptable. If a brick fails within it, confirm() still notices: the client
 *  reconnects no sooner than after 3 s. */
const MAX_CHECK_AGE_MS = 200;

/** State of the volume, as VolumeHealth reports it. */
export interface VolumeState {
  /** Whether all of the volume is up, so that an ENOENT is reliable. */
  isWhole(): Promise<boolean>;
  /** Whether the volume is up, so that an ENOTCONN concerns one name only. */
  isReachable(): Promise<boolean>;
}

/** On replicated and disperse volumes, each change locks several bricks. Concurrent calls block each other and are slower
 *  than sequential ones. */
const REPLICATED_LANES = 1;

export class AvailabilityGuard implements SecondaryVolume {
  readonly lanes?: number;
  readonly putFile?: (gfid: Gfid, file: FileToPut) => Promise<void>;
  readonly #volume: SecondaryVolume;
  readonly #subvolumes: SubvolumeWatch;
  readonly #reachable: SingleFlight<boolean>;
  /** Time of the last accepted ENOENT, by performance.now(). */
  #lastAbsentMs = -Infinity;

  constructor(volume: SecondaryVolume, state: VolumeState, bricksPerFile: 'one' | 'several') {
    if (bricksPerFile === 'several') this.lanes = REPLICATED_LANES;
    this.#volume = volume;
    if (volume.putFile !== undefined)
      this.putFile = (gfid, file) => this.#guard(gfidPath(gfid), async () => volume.putFile?.(gfid, file));
    this.#subvolumes = new SubvolumeWatch(() => state.isWhole());
    this.#reachable = new SingleFlight(() => state.isReachable());
  }

  lstat(path: string): Promise<VolumeStat> {
    return this.#guard(path, () => this.#volume.lstat(path));
  }

  async confirm(): Promise<void> {
    if (this.#subvolumes.upMs < this.#lastAbsentMs && !(await this.#subvolumes.isUp())) throw brickDownError('.');
  }

  gfidOf(path: string): Promise<Gfid> {
    return this.#guard(path, () => this.#volume.gfidOf(path));
  }

  directoryEntry(gfid: Gfid): Promise<string | null> {
    return this.#find(gfid, () => this.#volume.directoryEntry(gfid));
  }

  createNode(parent: Gfid, name: string, inode: NewInode & { readonly rdev: number }): Promise<void> {
    return this.#guard(entryPath(parent, name), () => this.#volume.createNode(parent, name, inode));
  }

  createDirectory(parent: Gfid, name: string, inode: NewInode): Promise<void> {
    return this.#guard(entryPath(parent, name), () => this.#volume.createDirectory(parent, name, inode));
  }

  createSymlink(parent: Gfid, name: string, inode: NewInode & { readonly target: string }): Promise<void> {
    return this.#guard(entryPath(parent, name), () => this.#volume.createSymlink(parent, name, inode));
  }

  mkdir(path: string): Promise<void> {
    return this.#guard(path, () => this.#volume.mkdir(path));
  }

  symlink(target: string, path: string): Promise<void> {
    return this.#guard(path, () => this.#volume.symlink(target, path));
  }

  link(existing: string, path: string): Promise<void> {
    return this.#guard(path, () => this.#volume.link(existing, path));
  }

  rename(from: string, to: string): Promise<void> {
    return this.#guard(to, () => this.#volume.rename(from, to));
  }

  unlink(path: string): Promise<void> {
    return this.#guard(path, () => this.#volume.unlink(path));
  }

  rmdir(path: string): Promise<void> {
    return this.#guard(path, () => this.#volume.rmdir(path));
  }

  /** While a brick is down, GlusterFS returns the remaining names without an error. A long listing may outlast the interval
   *  between two checks, so a new check follows it. */
  async readdir(path: string): Promise<string[]> {
    const names = await this.#guard(path, () => this.#volume.readdir(path));
    if (!(await this.#subvolumes.isUp())) throw brickDownError(path);
    return names;
  }

  readlink(path: string): Promise<string> {
    return this.#guard(path, () => this.#volume.readlink(path));
  }

  chown(path: string, uid: number, gid: number): Promise<void> {
    return this.#guard(path, () => this.#volume.chown(path, uid, gid));
  }

  chmod(path: string, mode: number): Promise<void> {
    return this.#guard(path, () => this.#volume.chmod(path, mode));
  }

  utimes(path: string, atime: number, mtime: number): Promise<void> {
    return this.#guard(path, () => this.#volume.utimes(path, atime, mtime));
  }

  getXattr(path: string, name: string): Promise<Buffer> {
    return this.#guard(path, () => this.#volume.getXattr(path, name));
  }

  setXattr(path: string, name: string, value: Buffer): Promise<void> {
    return this.#guard(path, () => this.#volume.setXattr(path, name, value));
  }

  removeXattr(path: string, name: string): Promise<void> {
    return this.#guard(path, () => this.#volume.removeXattr(path, name));
  }

  listXattrs(path: string): Promise<string[]> {
    return this.#guard(path, () => this.#volume.listXattrs(path));
  }

  /** Returns or throws what `call` does, but an ENOENT only if it is reliable. */
  async #guard<T>(path: string, call: () => Promise<T>): Promise<T> {
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

  /** @throws ENOTCONN if a subvolume is down. For this path alone: EIO on split-brain, EAGAIN if the volume is up but
   *  its checks are too slow to confirm an ENOENT */
  async #find<T>(path: string, lookUp: () => Promise<T | null>): Promise<T | null> {
    try {
      const isFresh = performance.now() - this.#subvolumes.upMs < MAX_CHECK_AGE_MS;
      const found = isFresh ? await lookUp() : await this.#subvolumes.find(path, lookUp);
      if (found === null) this.#lastAbsentMs = performance.now();
      return found;
    } catch (error) {
      if (error instanceof BrickDown && !(await this.#subvolumes.isUp())) throw brickDownError(path);
      if (errnoNumber(error) === ENOTCONN && (await this.#reachable.ask()))
        throw new NativeError('split-brain', path, EIO);
      throw error;
    }
  }
}

function brickDownError(path: string): NativeError {
  return new NativeError('a brick of the secondary volume is down', path, ENOTCONN);
}
