// A brick of the primary volume, accessed directly on its local file system: marks, entries, gfids and their locations.
// Paths are relative to the brick ('.' is its root) in the form of names.ts. Calls are synchronous underneath, because a
// local inode answers in microseconds. Every method is still asynchronous, and yields to the event loop when such calls
// have held it.

import { lstatSync, readlinkSync } from 'node:fs';
import { lstat, opendir, readdir } from 'node:fs/promises';
import { constants } from 'node:os';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { errnoCode } from '../errors.js';
import { errnoNumber, lgetxattr, llistxattr, lsetxattr, NativeError } from '../native/libc.js';
import { fsDecode, fsEncode } from '../names.js';
import { PERMISSIONS, toFileStat } from './file-stat.js';
import type { FileStat } from './file-stat.js';
import { gfidFromBytes, isGfid, ROOT_GFID } from '../protocol/gfid.js';
import type { Gfid } from '../protocol/gfid.js';
import type { Location } from '../protocol/view.js';
import { retryErrnos } from './retry.js';
import {
  BAD_FILE,
  DHT_LINKTO,
  entryStimeName,
  GFID,
  GFID2PATH_PREFIX,
  MDATA,
  SHARD_PREFIX,
  stimeName,
  VOLUME_ID,
  xtimeName,
} from './xattr-names.js';
import { packXtime, unpackXtime } from './xtime.js';
import type { Xtime } from './xtime.js';

const { EINVAL, ELOOP, ENODATA, ENOENT, ENOTDIR, ENOTSUP, ESTALE } = constants.errno;
const ABSENT: readonly number[] = [ENOENT, ENODATA, ENOTDIR];
const MAX_BLOCK_MS = 20;
const GFID_BYTES = 16;
/** Holds a link, named by gfid, for each inode that waits to be healed on another brick. All are links to one base file. */
const PENDING_INDEX = '.glusterfs/indices/xattrop';
const INDEX_BASE = 'xattrop-';
/** Names in a brick's root that are not the volume's content. */
export const INTERNAL_ROOT_NAMES: ReadonlySet<string> = new Set(['.glusterfs', '.trashcan']);

export interface BrickOptions {
  /** Absolute path of the brick. */
  readonly path: string;
  /** uuid of the secondary volume: it keys stime and entry_stime. */
  readonly secondaryUuid: string;
  /** Ends the pauses between retries. */
  readonly signal?: AbortSignal;
}

/** Prefixes of the xattrs that GlusterFS keeps for itself on a brick. All others belong to users. */
const INTERNAL_XATTR_PREFIXES: readonly string[] = [
  'trusted.gfid',
  'trusted.glusterfs.',
  'trusted.afr.',
  'trusted.ec.',
  'trusted.gfs.',
  'trusted.pgfid.',
  'trusted.bit-rot.',
  'trusted.SGI_ACL_',
  'trusted.tier',
];

/** Whether the secondary needs one of these xattrs: one of a user, or one that holds a sharded file's size. */
function hasReplicatedXattr(names: readonly string[]): boolean {
  return names.some(
    (name) => name.startsWith(SHARD_PREFIX) || !INTERNAL_XATTR_PREFIXES.some((prefix) => name.startsWith(prefix)),
  );
}

/** A regular file as clients of the volume see it. Times are nanoseconds since the epoch. */
export interface ClientView {
  /** Absolute path of a file with its content. */
  readonly path: string;
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Whether it has xattrs that the secondary needs. */
  readonly hasXattrs: boolean;
}

/** While a rebalance moves a file, GlusterFS sets these bits on the brick's file and hides them from clients. */
const MIGRATION_BITS = 0o3000;
const MDATA_BYTES = 57;

/** @returns ctime and mtime; null when the value is malformed. See MDATA. */
function parseMdata(value: Buffer): { ctimeNs: bigint; mtimeNs: bigint } | null {
  if (value.length !== MDATA_BYTES) return null;
  const time = (offset: number): bigint =>
    value.readBigInt64BE(offset) * 1_000_000_000n + value.readBigInt64BE(offset + 8);
  return { ctimeNs: time(9), mtimeNs: time(25) };
}

export class Brick {
  readonly path: string;
  readonly secondaryUuid: string;
  readonly #signal: AbortSignal | undefined;
  #lastYieldMs = performance.now();

  constructor(options: BrickOptions) {
    this.path = options.path;
    this.secondaryUuid = options.secondaryUuid;
    this.#signal = options.signal;
  }

  /** xtime of an entry for the volume `volumeUuid`; null when it has none or the path does not exist. */
  async xtime(path: string, volumeUuid: string): Promise<Xtime | null> {
    return this.#readMark(path, xtimeName(volumeUuid));
  }

  /** Like all setters here, does nothing when the path does not exist. */
  async setXtime(path: string, volumeUuid: string, mark: Xtime): Promise<void> {
    await this.#setMark(path, xtimeName(volumeUuid), mark);
  }

  /** The stime under the name that very old versions used. */
  async legacyStime(path: string, volumeUuid: string): Promise<Xtime | null> {
    return this.#readMark(path, xtimeName(`${volumeUuid}.${this.secondaryUuid}`));
  }

  /** Time up to which the data below `path` has been synced to the secondary; null when unknown. */
  async stime(path: string, volumeUuid: string): Promise<Xtime | null> {
    return this.#readMark(path, stimeName(volumeUuid, this.secondaryUuid));
  }

  async setStime(path: string, volumeUuid: string, mark: Xtime): Promise<void> {
    await this.#setMark(path, stimeName(volumeUuid, this.secondaryUuid), mark);
  }

  /** Time up to which the names have been replayed; null when unknown. Only the root has it. */
  async entryStime(volumeUuid: string): Promise<Xtime | null> {
    return this.#readMark('.', entryStimeName(volumeUuid, this.secondaryUuid));
  }

  async setEntryStime(volumeUuid: string, mark: Xtime): Promise<void> {
    await this.#setMark('.', entryStimeName(volumeUuid, this.secondaryUuid), mark);
  }

  /** Names in a directory, without the brick's internal ones. Does not follow a symlink.
   *  @throws NativeError ENOTDIR; Node system errors ENOENT, … */
  async entries(path: string): Promise<string[]> {
    const dir = this.#resolve(path);
    if (!(await lstat(fsEncode(dir))).isDirectory()) throw new NativeError('entries', dir, ENOTDIR);
    return this.#readNames(dir, path === '.' ? 'root' : 'below');
  }

  /** Names in the directory `gfid`, as `entries`; empty when this brick has no such directory. */
  async childNames(gfid: Gfid): Promise<string[]> {
    const level = gfid === ROOT_GFID ? 'root' : 'below';
    try {
      try {
        return await this.#readNames(this.#handle(gfid), level);
      } catch (error) {
        if (errnoNumber(error) !== ELOOP) throw error;
        return await this.#readNames(await this.#resolveByHandles(gfid), level);
      }
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === ENOENT || errno === ENOTDIR) return [];
      throw error;
    }
  }

  /** null when the path does not exist. Link counts are one higher than on a mount. */
  async lstat(path: string): Promise<FileStat | null> {
    return this.#nullIfAbsent(() => toFileStat(lstatSync(fsEncode(this.#resolve(path)))));
  }

  /** null when the path does not exist. While an inode has no gfid yet, the call is retried.
   *  @throws NativeError ENODATA when it never gets one */
  async gfid(path: string): Promise<Gfid | null> {
    const file = this.#resolve(path);
    await this.#yieldIfDue();
    try {
      return await retryErrnos(() => gfidFromBytes(lgetxattr(file, GFID)), [ESTALE, ENODATA], this.#signal);
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === ENOENT || errno === ENOTDIR) return null;
      throw error;
    }
  }

  /** Whether the file is a linkto file: only a pointer of DHT to the subvolume that has the file. */
  async isLinkto(path: string): Promise<boolean> {
    const value = await this.#nullIfAbsent(() => lgetxattr(this.#resolve(path), DHT_LINKTO));
    return value !== null && value.length > 0;
  }

  /** Location of the directory `gfid`; null when it is not on this brick, is not a directory, or is the root. */
  async dirLocation(gfid: Gfid): Promise<Location | null> {
    const target = await this.#nullIfAbsent(
      () => readlinkSync(fsEncode(this.#handle(gfid)), { encoding: 'buffer' }),
      [EINVAL],
    );
    if (target === null) return null;
    const parts = fsDecode(target).split('/');
    const [parent, name] = parts.slice(-2);
    return parts.length > 2 && parent !== undefined && name !== undefined && isGfid(parent) ? { parent, name } : null;
  }

  /** Every name of the file `gfid` on this brick (several for hard links); empty when none is recorded, and for
   *  directories. */
  async fileLocations(gfid: Gfid): Promise<Location[]> {
    const handle = this.#handle(gfid);
    const names = (await this.#nullIfAbsent(() => llistxattr(handle))) ?? [];
    const found: Location[] = [];
    for (const name of names.filter((n) => n.startsWith(GFID2PATH_PREFIX))) {
      const value = await this.#nullIfAbsent(() => lgetxattr(handle, name));
      if (value === null) continue;
      const text = fsDecode(value);
      const parent = text.slice(0, 36);
      if (isGfid(parent) && text[36] === '/') found.push({ parent, name: text.slice(37) });
    }
    return found;
  }

  /** Whether the entry has xattrs that the secondary needs: one of a user, a POSIX ACL, or the size of a sharded file.
   *  False when it does not exist. */
  async hasXattrs(path: string): Promise<boolean> {
    return hasReplicatedXattr((await this.#nullIfAbsent(() => llistxattr(this.#resolve(path)))) ?? []);
  }

  /** As hasXattrs(), for an inode. */
  async gfidHasXattrs(gfid: Gfid): Promise<boolean> {
    const handle = this.#handle(gfid);
    const ofDirectory = await this.#nullIfAbsent(() => llistxattr(`${handle}/.`), [ELOOP]);
    return hasReplicatedXattr(ofDirectory ?? (await this.#nullIfAbsent(() => llistxattr(handle))) ?? []);
  }

  /** The file `gfid` as this brick holds it (a fragment on disperse volumes); null when it holds no such file. */
  async fileOf(gfid: Gfid): Promise<FileStat | null> {
    return this.#nullIfAbsent(() => {
      const stat = lstatSync(fsEncode(this.#handle(gfid)));
      return stat.isFile() ? toFileStat(stat) : null;
    });
  }

  /** State of the file `gfid` on this brick; null when it holds no such file. By the clock of this machine. */
  async fileState(gfid: Gfid): Promise<{ version: string; changedMs: number } | null> {
    return this.#nullIfAbsent(() => {
      const stat = lstatSync(fsEncode(this.#handle(gfid)), { bigint: true });
      if (!stat.isFile()) return null;
      return { version: `${stat.size} ${stat.mtimeNs} ${stat.ctimeNs}`, changedMs: Number(stat.ctimeNs / 1_000_000n) };
    });
  }

  /** Absolute path of the file `gfid`; null when this brick holds no such file, or only a linkto file. Also null when
   *  GlusterFS's scrubber has found it damaged: the brick then refuses reads that the disk allows. */
  async contentFile(gfid: Gfid): Promise<string | null> {
    const handle = this.#handle(gfid);
    const names = (await this.fileOf(gfid)) === null ? null : await this.#nullIfAbsent(() => llistxattr(handle));
    return names === null || names.includes(DHT_LINKTO) || names.includes(BAD_FILE) ? null : handle;
  }

  /** The file `gfid`; null when contentFile() would return null for it, or while a rebalance moves it.
   *  @param times who keeps the times that clients see: GlusterFS in an xattr, or the file system */
  async clientView(gfid: Gfid, times: 'in an xattr' | 'in the inode'): Promise<ClientView | null> {
    const path = this.#handle(gfid);
    return this.#nullIfAbsent(() => {
      const st = lstatSync(path, { bigint: true });
      const names = st.isFile() ? llistxattr(path) : [];
      const mode = Number(st.mode) & PERMISSIONS;
      if (
        !st.isFile() ||
        names.includes(DHT_LINKTO) ||
        names.includes(BAD_FILE) ||
        (mode & MIGRATION_BITS) === MIGRATION_BITS
      )
        return null;
      // A file from before the feature was switched on has no such xattr.
      const found = times === 'in an xattr' && names.includes(MDATA) ? parseMdata(lgetxattr(path, MDATA)) : st;
      if (found === null) return null;
      const { ctimeNs, mtimeNs } = found;
      return {
        path,
        size: Number(st.size),
        mode,
        uid: Number(st.uid),
        gid: Number(st.gid),
        mtimeNs,
        ctimeNs,
        hasXattrs: hasReplicatedXattr(names),
      };
    });
  }

  /** Whether another brick of the set still lacks changes that this brick has. GlusterFS keeps an index of them. */
  async hasPendingHeals(): Promise<boolean> {
    await this.#yieldIfDue();
    try {
      for await (const { name } of await opendir(fsEncode(`${this.path}/${PENDING_INDEX}`)))
        if (!name.startsWith(INDEX_BASE)) return true;
    } catch (error) {
      if (errnoCode(error) !== 'ENOENT') throw error;
    }
    return false;
  }

  /** uuid of the volume that the brick belongs to; null when the path is no brick. */
  async volumeId(): Promise<string | null> {
    const value = await this.#nullIfAbsent(() => lgetxattr(this.path, VOLUME_ID), [ENOTSUP]);
    return value?.length === GFID_BYTES ? gfidFromBytes(value) : null;
  }

  /** Absolute path of the brick's handle of an inode: a hard link for files, a symlink for directories. */
  #handle(gfid: Gfid): string {
    return `${this.path}/.glusterfs/${gfid.slice(0, 2)}/${gfid.slice(2, 4)}/${gfid}`;
  }

  /** @throws RangeError when `path` leads out of the brick */
  #resolve(path: string): string {
    if (path.startsWith('/') || path.split('/').includes('..'))
      throw new RangeError(`path outside of the brick: ${path}`);
    return path === '.' ? this.path : `${this.path}/${path}`;
  }

  /** Runs a synchronous call; null when the object or the xattr is absent. */
  async #nullIfAbsent<T>(call: () => T, alsoAbsent: readonly number[] = []): Promise<T | null> {
    await this.#yieldIfDue();
    try {
      return call();
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno !== undefined && (ABSENT.includes(errno) || alsoAbsent.includes(errno))) return null;
      throw error;
    }
  }

  async #readMark(path: string, name: string): Promise<Xtime | null> {
    const value = await this.#nullIfAbsent(() => lgetxattr(this.#resolve(path), name));
    return value === null ? null : unpackXtime(value);
  }

  async #readNames(dir: string, level: 'root' | 'below'): Promise<string[]> {
    const names = (await readdir(fsEncode(dir), { encoding: 'buffer' })).map(fsDecode);
    this.#lastYieldMs = performance.now();
    return level === 'root' ? names.filter((name) => !INTERNAL_ROOT_NAMES.has(name)) : names;
  }

  /** Absolute path of a directory, resolved handle by handle. The kernel follows only 40 symlinks, and each level of the
   *  tree is one.
   *  @throws NativeError ENOENT when the chain does not end at the root */
  async #resolveByHandles(gfid: Gfid): Promise<string> {
    const names: string[] = [];
    for (let at = gfid; at !== ROOT_GFID;) {
      const location = await this.dirLocation(at);
      if (location === null) throw new NativeError('directory', at, ENOENT);
      names.unshift(location.name);
      at = location.parent;
    }
    return [this.path, ...names].join('/');
  }

  async #setMark(path: string, name: string, mark: Xtime): Promise<void> {
    const file = this.#resolve(path);
    await this.#yieldIfDue();
    try {
      await retryErrnos(() => lsetxattr(file, name, packXtime(mark)), [ESTALE, EINVAL], this.#signal);
    } catch (error) {
      if (errnoNumber(error) !== ENOENT) throw error;
    }
  }

  async #yieldIfDue(): Promise<void> {
    if (performance.now() - this.#lastYieldMs < MAX_BLOCK_MS) return;
    await nextTurn();
    this.#lastYieldMs = performance.now();
  }
}
