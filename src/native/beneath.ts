// Opens directories without following symlinks, and stats and links names relative to them: openat2, statx and linkat,
// which Node does not offer. A rename cannot redirect a descriptor. For local file systems.

import { closeSync, constants as fsConstants, openSync } from 'node:fs';
import { constants } from 'node:os';
import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { fsEncode } from '../names.js';
import { errnoNumber, NativeError } from './libc.js';

const { EINVAL, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR } = constants.errno;
const SYS_OPENAT2 = 437;
const O_PATH = 0o10000000;
const O_CLOEXEC = 0o2000000;
const DIRECTORY_FLAGS = O_PATH | O_CLOEXEC | fsConstants.O_DIRECTORY | fsConstants.O_NOFOLLOW;
const RESOLVE_NO_SYMLINKS = 0x04n;
const RESOLVE_BENEATH = 0x08n;
/** The working directory as a descriptor. An absolute path ignores it. */
export const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;
const AT_EMPTY_PATH = 0x1000;
const STATX_BASIC_STATS = 0x7ff;
const STATX_BTIME = 0x800;
const STATX_BYTES = 256;
const NS_PER_S = 1_000_000_000n;

const lib = koffi.load('libc.so.6');
type Openat2Call = (number: number, dir: number, path: Buffer, how: Buffer, size: number) => number;
const openat2 = lib.func('syscall', 'long', [
  'long',
  'int',
  'const void *',
  'const void *',
  'size_t',
]) as KoffiFunc<Openat2Call>;
type StatxCall = (dir: number, path: Buffer, flags: number, mask: number, out: Buffer) => number;
const statx = lib.func('statx', 'int', ['int', 'const void *', 'int', 'uint', 'void *']) as KoffiFunc<StatxCall>;

type LinkatCall = (fromDir: number, from: Buffer, toDir: number, to: Buffer, flags: number) => number;
const linkat = lib.func('linkat', 'int', [
  'int',
  'const void *',
  'int',
  'const void *',
  'int',
]) as KoffiFunc<LinkatCall>;

// struct open_how: flags, mode, resolve
const OPEN_HOW = Buffer.alloc(24);
OPEN_HOW.writeBigUInt64LE(BigInt(DIRECTORY_FLAGS), 0);
OPEN_HOW.writeBigUInt64LE(RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS, 16);
const statxBuffer = Buffer.alloc(STATX_BYTES);

/** An inode's attributes; times in nanoseconds since the epoch. */
export interface InodeStats {
  readonly dev: number;
  readonly ino: bigint;
  /** st_mode: type and permission bits. */
  readonly mode: number;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly rdev: number;
  readonly atimeNs: bigint;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** 0 where the file system does not record it. */
  readonly birthtimeNs: bigint;
}

/** Opens the directory at `path`, relative to the directory `root` and without `..`.
 *  @returns an O_PATH descriptor, which the caller closes
 *  @throws NativeError ENOTDIR where a component is a symlink or not a directory, ENOENT, EACCES, … */
export function openBeneath(root: number, path: string): number {
  if (!hasOpenat2(root)) return openStepwise(root, path);
  const fd = openat2(SYS_OPENAT2, root, cString(path), OPEN_HOW, OPEN_HOW.length);
  if (fd >= 0) return fd;
  const errno = koffi.errno();
  // The whole path may exceed PATH_MAX.
  if (errno === ENAMETOOLONG) return openStepwise(root, path);
  throw new NativeError('open', JSON.stringify(path), errno === ELOOP ? ENOTDIR : errno);
}

/** openBeneath() component by component: for paths longer than PATH_MAX, and for kernels without openat2 (before 5.6, or a
 *  filter that denies it). */
export function openStepwise(root: number, path: string): number {
  let fd = root;
  for (const name of path.split('/')) {
    const parent = fd;
    try {
      if (name === '' || name === '..') throw new NativeError('open', JSON.stringify(path), EINVAL);
      // `/proc/self/fd/N` is the descriptor itself, so only the last component is looked up.
      fd = openSync(fsEncode(`/proc/self/fd/${parent}/${name}`), DIRECTORY_FLAGS);
    } catch (error) {
      throw new NativeError('open', JSON.stringify(path), errnoNumber(error) ?? ENOENT);
    } finally {
      if (parent !== root) closeSync(parent);
    }
  }
  return fd;
}

/** Attributes of the entry `name` of the directory `dir`, without following a symlink. '' is the directory itself.
 *  @returns null when there is no such entry
 *  @throws NativeError EACCES, … */
export function statAt(dir: number, name: string): InodeStats | null {
  if (
    statx(dir, cString(name), AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH, STATX_BASIC_STATS | STATX_BTIME, statxBuffer) === 0
  )
    return parseStatx(statxBuffer);
  const errno = koffi.errno();
  if (errno === ENOENT) return null;
  throw new NativeError('lstat', JSON.stringify(name), errno);
}

/** statAt() of an absolute path. Other users must not be able to change its directory. */
export function statOf(path: string): InodeStats | null {
  return statAt(AT_FDCWD, path);
}

/** Creates a hard link to the entry `from` of `fromDir`; does not follow a symlink.
 *  @throws NativeError EEXIST, EPERM, … */
export function linkAt(fromDir: number, from: string, toDir: number, to: string): void {
  if (linkat(fromDir, cString(from), toDir, cString(to), 0) !== 0)
    throw new NativeError('link', JSON.stringify(from), koffi.errno());
}

let isOpenat2Available: boolean | undefined;

function hasOpenat2(root: number): boolean {
  if (isOpenat2Available !== undefined) return isOpenat2Available;
  const fd = openat2(SYS_OPENAT2, root, cString('.'), OPEN_HOW, OPEN_HOW.length);
  if (fd >= 0) closeSync(fd);
  return (isOpenat2Available = fd >= 0);
}

function parseStatx(out: Buffer): InodeStats {
  return {
    nlink: out.readUInt32LE(16),
    uid: out.readUInt32LE(20),
    gid: out.readUInt32LE(24),
    mode: out.readUInt16LE(28),
    ino: out.readBigUInt64LE(32),
    size: Number(out.readBigUInt64LE(40)),
    atimeNs: timeNs(out, 64),
    birthtimeNs: timeNs(out, 80),
    ctimeNs: timeNs(out, 96),
    mtimeNs: timeNs(out, 112),
    rdev: deviceNumber(out, 128),
    dev: deviceNumber(out, 136),
  };
}

function timeNs(out: Buffer, offset: number): bigint {
  return out.readBigInt64LE(offset) * NS_PER_S + BigInt(out.readUInt32LE(offset + 8));
}

/** Packs major and minor as makedev(3) does. */
function deviceNumber(out: Buffer, offset: number): number {
  const [major, minor] = [out.readUInt32LE(offset), out.readUInt32LE(offset + 4)];
  return (major & 0xfff) * 0x100 + (minor & 0xff) + (minor >>> 8) * 0x10_0000 + (major >>> 12) * 2 ** 44;
}

function cString(text: string): Buffer {
  const bytes = fsEncode(`${text}\0`);
  if (bytes.indexOf(0) !== bytes.length - 1) throw new NativeError('path', JSON.stringify(text), EINVAL);
  return bytes;
}
