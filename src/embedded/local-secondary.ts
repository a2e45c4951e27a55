// A secondary in the worker's own process, over a SecondaryVolume, without an RPC. Used by the worker's embedded site.
// It answers as a peer does: failures that have a name are values, everything else is a RemoteCallError after a
// prefix of the operations. Invariant: calls take turns, so that no operation sees half of another.

import { constants } from 'node:os';
import { gfidPath, splitEntryPath, type Gfid } from '../gluster/gfid.js';
import { errnoNumber } from '../native/libc.js';
import { fileKind, S_IFDIR } from '../primary/view.js';
import { RemoteCallError } from '../rpc/errors.js';
import type { EntryFailure, EntryOp, FailureInfo, MetaFailure, MetaOp, PeerStat, Secondary, VolumeInfo } from '../secondary/secondary.js';
import type { SecondaryVolume, VolumeStat } from '../secondary/volume.js';

const { EEXIST, EISDIR, ENODATA, ENOENT, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, ELOOP } = constants.errno;
const NO_INFO: FailureInfo = { gfidMismatch: false, nameMismatch: false, dst: false, secondaryIsDir: false, secondaryGfid: null, secondaryEntry: null };
/** Times travel as floating-point numbers: what is nearer than this is the same. */
const SAME_TIME_S = 1e-6;

export class LocalSecondary implements Secondary {
  readonly #volume: SecondaryVolume;
  #turn: Promise<unknown> = Promise.resolve();
  #keepAlives = 0;

  constructor(volume: SecondaryVolume) {
    this.#volume = volume;
  }

  entryOps(ops: readonly EntryOp[]): Promise<EntryFailure[]> {
    return this.#call('entry_ops', async () => {
      const failures: EntryFailure[] = [];
      for (const op of ops) {
        const failure = await new EntryCall(this.#volume, op).run();
        if (failure !== null) failures.push(failure);
      }
      return failures;
    });
  }

  metaOps(ops: readonly MetaOp[]): Promise<MetaFailure[]> {
    return this.#call('meta_ops', async () => {
      const failures: MetaFailure[] = [];
      for (const op of ops) {
        try {
          await setAttributes(this.#volume, op);
        } catch (error) {
          const errno = errnoNumber(error);
          if (errno === undefined) throw error;
          if (errno !== ENOENT) failures.push({ op, errno, call: 'setattr' });
        }
      }
      return failures;
    });
  }

  lstat(path: string): Promise<PeerStat | null> {
    return this.#call('lstat', () => orNull(this.#volume.lstat(path)));
  }

  entries(path: string): Promise<string[]> {
    return this.#call('entries', () => this.#volume.readdir(path));
  }

  purge(path: string, names?: readonly string[]): Promise<void> {
    return this.#call('purge', async () => {
      if (names === undefined) await removeTree(this.#volume, path);
      else for (const name of names) await removeTree(this.#volume, path === '.' ? name : `${path}/${name}`);
    });
  }

  setattr(path: string, { own, mode, times }: { own?: readonly [number, number]; mode?: number; times?: readonly [number, number] }): Promise<void> {
    return this.#call('setattr', async () => {
      if (own !== undefined) await this.#volume.chown(path, ...own);
      if (mode !== undefined) await this.#volume.chmod(path, mode);
      if (times !== undefined) await this.#volume.utimes(path, ...times);
    });
  }

  keepAlive(_info: VolumeInfo | null): Promise<number> {
    this.#keepAlives += 1;
    return Promise.resolve(this.#keepAlives);
  }

  pid(): Promise<number> {
    return Promise.resolve(process.pid);
  }

  #call<T>(method: string, run: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(async () => {
      try {
        return await run();
      } catch (error) {
        const errno = errnoNumber(error);
        if (errno === undefined) throw error;
        throw new RemoteCallError(method, 'OSError', [errno, error instanceof Error ? error.message : '']);
      }
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }
}

async function orNull<T>(call: Promise<T>): Promise<T | null> {
  try {
    return await call;
  } catch (error) {
    const errno = errnoNumber(error);
    if (errno === ENOENT || errno === ENOTDIR || errno === ENODATA) return null;
    throw error;
  }
}

/** The errno that a call failed with when it is one of `errnos`, null when it went well. */
async function errnoOf(call: Promise<unknown>, ...errnos: readonly number[]): Promise<number | null> {
  try {
    await call;
    return null;
  } catch (error) {
    const errno = errnoNumber(error);
    if (errno !== undefined && errnos.includes(errno)) return errno;
    throw error;
  }
}

async function removeTree(volume: SecondaryVolume, path: string): Promise<void> {
  const stat = await orNull(volume.lstat(path));
  if (stat === null) return;
  if (fileKind(stat.mode) !== 'dir') return volume.unlink(path);
  for (const name of await volume.readdir(path)) await removeTree(volume, `${path}/${name}`);
  await volume.rmdir(path);
}

/** Owner first, since a change of it takes the set-id bits away; times last, and only where they differ. */
async function setAttributes(volume: SecondaryVolume, { go, stat }: MetaOp): Promise<void> {
  const before = await volume.lstat(go);
  if (before.uid !== stat.uid || before.gid !== stat.gid) await volume.chown(go, stat.uid, stat.gid);
  if (fileKind(before.mode) !== 'symlink') await errnoOf(volume.chmod(go, stat.mode & 0o7777), ELOOP, EOPNOTSUPP);
  if (Math.abs(before.mtime - stat.mtime) > SAME_TIME_S) await volume.utimes(go, stat.atime, stat.mtime);
}

class EntryCall {
  readonly #volume: SecondaryVolume;
  readonly #op: EntryOp;

  constructor(volume: SecondaryVolume, op: EntryOp) {
    this.#volume = volume;
    this.#op = op;
  }

  async run(): Promise<EntryFailure | null> {
    switch (this.#op.op) {
      case 'UNLINK':
      case 'RMDIR':
        return this.#remove();
      case 'CREATE':
      case 'MKNOD':
        return (await this.#exists(this.#op.gfid)) ? this.#linkTo(this.#op.entry) : this.#create(this.#op.entry);
      case 'MKDIR':
        return this.#makeDir();
      case 'LINK':
      case 'SYMLINK':
        return (await this.#exists(this.#op.gfid)) ? this.#linkTo(this.#op.entry) : this.#create(this.#op.entry);
      case 'RENAME':
        return this.#rename();
    }
  }

  async #remove(): Promise<EntryFailure | null> {
    const { op, gfid, entry } = this.#op;
    const there = await this.#at(entry);
    if (there === null) return null;
    if (there !== gfid) return this.#failure(EEXIST, entry, 'entry');
    if (op === 'UNLINK') await errnoOf(this.#volume.unlink(entry), ENOENT, EISDIR);
    else await removeTree(this.#volume, entry);
    return null;
  }

  async #makeDir(): Promise<EntryFailure | null> {
    const { gfid, entry } = this.#op;
    if (!(await this.#exists(gfid))) return this.#create(entry);
    const place = await this.#volume.directoryEntry(gfid);
    if (place === entry) return null;
    const info = { ...NO_INFO, nameMismatch: true, secondaryIsDir: true, secondaryGfid: gfid, secondaryEntry: place };
    return { op: this.#op, errno: EEXIST, info };
  }

  async #rename(): Promise<EntryFailure | null> {
    const { gfid, entry, entry1: to = '', stat } = this.#op;
    if ((await this.#at(entry)) !== gfid) {
      if (stat === undefined || stat === null || fileKind(stat.mode) === 'dir') return null;
      return (await this.#exists(gfid)) ? this.#linkTo(to) : this.#create(to);
    }
    const over = await this.#at(to);
    if (over === gfid) {
      if (entry !== to) await errnoOf(this.#volume.unlink(entry), ENOENT, EISDIR);
      return null;
    }
    const errno = await errnoOf(this.#volume.rename(entry, to), ENOENT, EEXIST, ENOTEMPTY, EISDIR, ENOTDIR);
    return errno === null ? null : this.#failure(over === null ? errno : EEXIST, to, 'dst');
  }

  async #linkTo(entry: string): Promise<EntryFailure | null> {
    const errno = await errnoOf(this.#volume.link(gfidPath(this.#op.gfid), entry), ENOENT, EEXIST);
    return errno === null ? null : this.#failure(errno, entry, entry === this.#op.entry ? 'entry' : 'dst');
  }

  async #create(entry: string): Promise<EntryFailure | null> {
    const { op, gfid, stat, link } = this.#op;
    const mode = op === 'MKDIR' ? S_IFDIR | (this.#op.mode ?? 0) : (this.#op.mode ?? stat?.mode ?? 0);
    const inode = { gfid, mode, uid: this.#op.uid ?? stat?.uid ?? 0, gid: this.#op.gid ?? stat?.gid ?? 0 };
    const { parent, name } = splitEntryPath(entry);
    const kind = fileKind(mode);
    if (kind === 'symlink' && (link === null || link === undefined)) return null;
    const made =
      kind === 'dir'
        ? this.#volume.createDirectory(parent, name, inode)
        : kind === 'symlink'
          ? this.#volume.createSymlink(parent, name, { ...inode, target: link ?? '' })
          : this.#volume.createNode(parent, name, { ...inode, rdev: this.#op.rdev ?? 0 });
    const errno = await errnoOf(made, EEXIST, ENOENT, ENOTDIR);
    return errno === null ? null : this.#failure(errno, entry, entry === this.#op.entry ? 'entry' : 'dst');
  }

  async #failure(errno: number, path: string, where: 'entry' | 'dst'): Promise<EntryFailure | null> {
    const info: FailureInfo = { ...NO_INFO, dst: where === 'dst' };
    if (errno !== EEXIST) return { op: this.#op, errno, info };
    const stat: VolumeStat | null = await orNull(this.#volume.lstat(path));
    const there = await this.#at(path);
    if (stat === null || there === null || (there === this.#op.gfid && where === 'entry')) return null;
    const isDir = fileKind(stat.mode) === 'dir';
    const place = isDir ? { secondaryIsDir: true, secondaryEntry: await this.#volume.directoryEntry(there) } : {};
    return { op: this.#op, errno, info: { ...info, gfidMismatch: true, secondaryGfid: there, ...place } };
  }

  async #exists(gfid: Gfid): Promise<boolean> {
    return (await orNull(this.#volume.lstat(gfidPath(gfid)))) !== null;
  }

  #at(path: string): Promise<Gfid | null> {
    return orNull(this.#volume.gfidOf(path));
  }
}
