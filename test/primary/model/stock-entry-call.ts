// One operation of a call to the stock secondary's entry_ops, over a model volume. Learned from the code of GlusterFS
// 10.3 and checked against it; the branches are in its order. Used by stock-secondary.ts.

import { constants } from 'node:os';
import { gfidPath, splitEntryPath, type Gfid } from '../../../src/protocol/gfid.js';
import { isUtf8Name } from '../../../src/names.js';
import { fileKind, S_IFDIR, S_IFMT } from '../../../src/protocol/view.js';
import type { EntryFailure, EntryOp, FailureInfo, OpStat } from '../../../src/protocol/secondary.js';
import { FsError, type ErrnoName, type Inode, type ModelVolume } from './volume.js';

const NO_INFO: FailureInfo = {
  gfidMismatch: false,
  nameMismatch: false,
  dst: false,
  secondaryIsDir: false,
  secondaryGfid: null,
  secondaryEntry: null,
};

/** Stands for a Python exception other than OSError. */
export class Raised extends Error {
  readonly className: string;

  constructor(className: string) {
    super(className);
    this.className = className;
  }
}

/** Python's str.encode(). */
function encode(name: string): void {
  if (!isUtf8Name(name)) throw new Raised('UnicodeEncodeError');
}

export function lstatOf(volume: ModelVolume, path: string): Inode | null {
  return errnoWrap(() => volume.at(path), 'ENOENT');
}

/** Directories are listed by name only: an opendir on `.gfid/<gfid>` itself is not supported. */
export function listdir(volume: ModelVolume, path: string): string[] {
  if (/^\.gfid\/[^/]*$/.test(path)) throw new FsError('ENOTSUP', path);
  const { entries } = volume.at(path);
  if (entries === null) throw new FsError('ENOTDIR', path);
  return [...entries.keys()];
}

/** null when the call failed with one of `errnos`. */
function errnoWrap<T>(call: () => T, ...errnos: readonly ErrnoName[]): T | null {
  try {
    return call();
  } catch (error) {
    if (error instanceof FsError && errnos.includes(error.code)) return null;
    throw error;
  }
}

/** The errno that a call failed with when it is one of `errnos`, null when it went well. */
export function errnoOf(call: () => void, ...errnos: readonly ErrnoName[]): ErrnoName | null {
  try {
    call();
    return null;
  } catch (error) {
    if (error instanceof FsError && errnos.includes(error.code)) return error.code;
    throw error;
  }
}

/** One operation of a call to entry_ops. */
export class StockEntryCall {
  readonly #volume: ModelVolume;
  readonly #distCount: number;
  readonly #op: EntryOp;
  readonly #failures: EntryFailure[];

  constructor(volume: ModelVolume, distCount: number, op: EntryOp, failures: EntryFailure[]) {
    this.#volume = volume;
    this.#distCount = distCount;
    this.#op = op;
    this.#failures = failures;
  }

  run(): void {
    switch (this.#op.op) {
      case 'UNLINK':
      case 'RMDIR':
        return this.#remove();
      case 'CREATE':
      case 'MKNOD':
        return this.#createFile();
      case 'MKDIR':
        return this.#makeDir();
      case 'LINK':
        return this.#link();
      case 'SYMLINK':
        return this.#symlink();
      case 'RENAME':
        return this.#rename();
    }
  }

  #remove(): void {
    const { op, gfid, entry } = this.#op;
    if (this.#lstat(entry) === null || this.#lstat(gfidPath(gfid)) === null) return;
    if (!this.#matches(gfid, entry)) return this.#collect('EEXIST');
    if (op === 'UNLINK') {
      errnoWrap(() => this.#volume.unlink(entry), 'ENOENT', 'ESTALE');
      return;
    }
    const errno = errnoOf(() => this.#volume.rmdir(entry), 'ENOENT', 'ESTALE', 'ENOTEMPTY');
    if (errno === 'ENOTEMPTY') this.#removeTree(entry);
  }

  #removeTree(path: string): void {
    const { gfid, entry } = this.#op;
    if (!this.#matches(gfid, entry)) return;
    const names = errnoWrap(() => listdir(this.#volume, path), 'ENOENT');
    if (names === null) return;
    for (const name of names) {
      const child = `${path}/${name}`;
      if (errnoOf(() => this.#volume.unlink(child), 'ENOENT', 'ESTALE', 'EISDIR') === 'EISDIR') this.#removeTree(child);
    }
    errnoWrap(() => this.#volume.rmdir(path), 'ENOENT', 'ESTALE');
  }

  #createFile(): void {
    const { op, gfid, entry, mode = 0, uid = 0, gid = 0 } = this.#op;
    if (this.#lstat(gfidPath(gfid)) === null) this.#newfile(entry, mode, { uid, gid });
    else if (op === 'MKNOD') this.#linkTo(entry);
  }

  #makeDir(): void {
    const { gfid, entry, mode = 0, uid = 0, gid = 0 } = this.#op;
    if (this.#lstat(gfidPath(gfid)) === null) return this.#newfile(entry, S_IFDIR | (mode & ~S_IFMT), { uid, gid });
    if (this.#lstat(entry) !== null && this.#matches(gfid, entry)) return;
    const real = this.#dirPath(gfid);
    if (real === null) return this.#collect('ENOENT');
    if (real === entry) return;
    const info = { ...NO_INFO, nameMismatch: true, secondaryIsDir: true, secondaryGfid: gfid, secondaryEntry: real };
    this.#failures.push({ op: this.#op, errno: constants.errno.EEXIST, info });
  }

  #link(): void {
    const { gfid, entry, stat } = this.#op;
    if (this.#lstat(gfidPath(gfid)) !== null) return this.#linkTo(entry);
    if (stat === undefined || stat === null) throw new Raised('KeyError');
    const kind = fileKind(stat.mode);
    if (kind === 'file') this.#newfile(entry, stat.mode, null);
    else if (kind === 'symlink') this.#newSymlink(entry);
  }

  #symlink(): void {
    const { gfid, entry } = this.#op;
    if (this.#lstat(entry) === null) this.#newSymlink(entry);
    else if (!this.#matches(gfid, entry)) this.#collect('EEXIST');
  }

  #rename(): void {
    const { gfid, entry, entry1: to = '', stat, link } = this.#op;
    if (!this.#matches(gfid, entry)) {
      if (stat === undefined || stat === null) return;
      const kind = fileKind(stat.mode);
      if (kind === 'dir') return;
      if (kind === 'symlink') {
        if (link === null || link === undefined) return;
        if (this.#lstat(to) === null) this.#newSymlink(to);
        else if (!this.#matches(gfid, to)) this.#collect('EEXIST', 'dst');
      } else if (this.#lstat(gfidPath(gfid)) === null) this.#newfile(to, stat.mode, null);
      else this.#linkTo(to);
      return;
    }
    const source = this.#lstat(entry);
    const dest = this.#lstat(to);
    if (dest !== null && dest === source) {
      const errno = errnoOf(() => this.#volume.unlink(entry), 'ENOENT', 'ESTALE', 'EISDIR');
      if (errno === 'EISDIR') errnoOf(() => this.#volume.rmdir(entry), 'ENOENT', 'ESTALE', 'ENOTEMPTY');
      return;
    }
    if (dest !== null && !this.#matches(gfid, to) && this.#distCount > 1) return this.#collect('EEXIST', 'dst');
    this.#collect(errnoOf(() => this.#volume.rename(entry, to), 'ENOENT', 'EEXIST'));
  }

  #linkTo(entry: string): void {
    this.#collect(errnoOf(() => this.#volume.link(gfidPath(this.#op.gfid), entry), 'ENOENT', 'EEXIST'));
  }

  /** `owner`: null when it is that of the operation's stat, which the stock code sets in a second step. */
  #newfile(entry: string, mode: number, owner: { uid: number; gid: number } | null): void {
    const { gfid } = this.#op;
    encode(splitEntryPath(entry).name);
    this.#newEntry(entry, () => this.#volume.create(entry, { gfid, mode, ...(owner ?? {}) }, 'MKNOD'));
  }

  #newSymlink(entry: string): void {
    const { gfid, stat, link } = this.#op;
    encode(splitEntryPath(entry).name);
    if (link === null || link === undefined) throw new Raised('AttributeError');
    encode(link);
    if (stat === undefined || stat === null) throw new Raised('KeyError');
    this.#newEntry(entry, () => this.#volume.create(entry, { gfid, mode: stat.mode, target: link }, 'SYMLINK'));
  }

  #newEntry(entry: string, create: () => void): void {
    const { gfid, stat } = this.#op;
    const { parent } = splitEntryPath(entry);
    this.#collect(
      errnoOf(
        () => {
          const dir = this.#volume.at(gfidPath(parent));
          if (dir.entries === null) throw new FsError('EPERM', entry);
          create();
        },
        'EEXIST',
        'ENOENT',
        'ESTALE',
      ),
    );
    if (stat !== undefined && stat !== null && (stat.uid !== 0 || stat.gid !== 0)) this.#chown(gfid, stat);
  }

  #chown(gfid: Gfid, { uid, gid }: OpStat): void {
    this.#collect(errnoOf(() => this.#volume.setAttributes(gfidPath(gfid), { uid, gid }), 'ENOENT'));
  }

  #collect(errno: ErrnoName | null, where: 'entry' | 'dst' = 'entry'): void {
    if (errno === null) return;
    const op = this.#op;
    const info: FailureInfo = { ...NO_INFO, dst: where === 'dst' };
    if (errno !== 'EEXIST' && errno !== 'ESTALE') {
      this.#failures.push({ op, errno: constants.errno[errno], info });
      return;
    }
    const path = where === 'dst' ? (op.entry1 ?? '') : op.entry;
    const there = this.#gfidAt(path);
    if (there === null || there === op.gfid) return;
    const isDir = this.#lstat(path)?.entries !== null;
    const place = isDir ? { secondaryIsDir: true, secondaryEntry: this.#dirPath(there) } : {};
    this.#failures.push({
      op,
      errno: constants.errno[errno],
      info: { ...info, gfidMismatch: true, secondaryGfid: there, ...place },
    });
  }

  #lstat(path: string): Inode | null {
    return lstatOf(this.#volume, path);
  }

  #gfidAt(path: string): Gfid | null {
    encode(path);
    return this.#lstat(path)?.gfid ?? null;
  }

  #matches(gfid: Gfid, entry: string): boolean {
    return this.#gfidAt(entry) === gfid;
  }

  /** Where a gfid is, read from the brick. */
  #dirPath(gfid: Gfid): string | null {
    const [path] = this.#volume.inodes.get(gfid)?.names ?? [];
    return path ?? null;
  }
}
