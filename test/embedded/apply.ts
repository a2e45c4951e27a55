// Applies the operations of the seeded workload (test/gluster/lab/workload.ts) to a plain directory, as apply.py does
// to a volume. Operations that the tree or an ordinary user's rights do not allow are skipped.

import fs from 'node:fs';
import { constants } from 'node:os';
import koffi, { type KoffiFunc } from 'koffi';
import { errnoNumber, lremovexattr, lsetxattr, NativeError } from '../../src/native/libc.js';
import { mknod } from '../../src/native/mknod.js';
import { fsEncode } from '../../src/names.js';
import { Random } from '../gluster/lab/random.js';
import type { Operation } from '../gluster/lab/workload.js';

const {
  ENOENT,
  EEXIST,
  ENOTDIR,
  EISDIR,
  ENOTEMPTY,
  EINVAL,
  ENODATA,
  ENAMETOOLONG,
  EPERM,
  ELOOP,
  EBUSY,
  EACCES,
  ENOTSUP,
  ENXIO,
} = constants.errno;
const PASSED = [
  ENOENT,
  EEXIST,
  ENOTDIR,
  EISDIR,
  ENOTEMPTY,
  EINVAL,
  ENODATA,
  ENAMETOOLONG,
  EPERM,
  ELOOP,
  EBUSY,
  EACCES,
  ENOTSUP,
  ENXIO,
];
const TAGS: Readonly<Record<string, number>> = { user_obj: 1, user: 2, group_obj: 4, group: 8, mask: 16, other: 32 };
const renameat2 = koffi
  .load('libc.so.6')
  .func('renameat2', 'int', ['int', 'const void *', 'int', 'const void *', 'uint']) as KoffiFunc<
  (fromDir: number, from: Buffer, toDir: number, to: Buffer, flags: number) => number
>;

/** @returns false when the operation was skipped */
export function applyOperation(root: string, op: Operation): boolean {
  try {
    apply(root, op);
    return true;
  } catch (error) {
    if (PASSED.includes(errnoNumber(error) ?? 0)) return false;
    throw error;
  }
}

function apply(root: string, op: Operation): void {
  if (op.op === 'sleep') return;
  const path = `${root}/${op.path}`;
  const file = fsEncode(path);
  switch (op.op) {
    case 'create':
      return createFile(file, op);
    case 'write':
      return withFile(file, fs.constants.O_WRONLY, (fd) => fs.writeSync(fd, bytes(op), 0, op.size, op.offset));
    case 'append':
      return withFile(file, fs.constants.O_WRONLY | fs.constants.O_APPEND, (fd) => fs.writeSync(fd, bytes(op)));
    case 'truncate':
      return withFile(file, fs.constants.O_WRONLY, (fd) => fs.ftruncateSync(fd, op.size));
    case 'sparse':
      return withFile(file, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, (fd) => {
        fs.writeSync(fd, bytes(op), 0, op.size, op.offset);
        fs.ftruncateSync(fd, op.length);
      });
    case 'mkdir':
      return void fs.mkdirSync(file, op.mode ?? 0o755);
    case 'rmdir':
      return fs.rmdirSync(file);
    case 'unlink':
      return fs.unlinkSync(file);
    case 'remove':
      return fs.rmSync(file, { recursive: true });
    case 'rename':
      return fs.renameSync(file, fsEncode(`${root}/${op.to}`));
    case 'swap': {
      const spare = fsEncode(`${path}.swap`);
      const to = fsEncode(`${root}/${op.to}`);
      fs.renameSync(file, spare);
      fs.renameSync(to, file);
      return fs.renameSync(spare, to);
    }
    case 'exchange':
      return exchange(file, fsEncode(`${root}/${op.to}`));
    case 'link':
      return fs.linkSync(file, fsEncode(`${root}/${op.to}`));
    case 'symlink':
      return fs.symlinkSync(fsEncode(op.target), file);
    case 'mkfifo':
      return mknod(path, 0o010000 | (op.mode ?? 0o644), 0);
    case 'mknod':
      return mknod(path, op.block === true ? 0o060600 : 0o020600, deviceNumber(op));
    case 'recreate':
      fs.rmSync(file, { recursive: true });
      if (op.as === 'file') return createFile(file, op);
      if (op.as === 'dir') return void fs.mkdirSync(file);
      return op.as === 'fifo' ? mknod(path, 0o010600, 0) : fs.symlinkSync(fsEncode(op.target), file);
    case 'chmod':
      return fs.chmodSync(plain(file), op.mode);
    case 'chown':
      return fs.lchownSync(file, op.uid, op.gid);
    case 'utimes':
      return fs.utimesSync(plain(file), op.mtimeNs / 1e9, op.mtimeNs / 1e9);
    case 'setxattr':
      return lsetxattr(plain(file), op.name, Buffer.from(op.value));
    case 'removexattr':
      return lremovexattr(plain(file), op.name);
    case 'acl':
      return lsetxattr(
        plain(file),
        op.default === true ? 'system.posix_acl_default' : 'system.posix_acl_access',
        acl(op.entries),
      );
  }
}

/** As makedev(3) packs it. */
function deviceNumber({ major, minor }: { major: number; minor: number }): number {
  return (minor & 0xff) | ((major & 0xfff) << 8) | ((minor & ~0xff) << 12);
}

/** Exchanges two names atomically. */
function exchange(a: Buffer, b: Buffer): void {
  const AT_FDCWD = -100;
  const RENAME_EXCHANGE = 2;
  const [from, to] = [a, b].map((path) => Buffer.concat([path, Buffer.of(0)])) as [Buffer, Buffer];
  if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE) !== 0)
    throw new NativeError('renameat2', JSON.stringify(a.toString('latin1')), koffi.errno());
}

function bytes({ size, seed }: { size: number; seed: number }): Buffer {
  const random = new Random(seed);
  const out = Buffer.alloc(size);
  for (let i = 0; i < size; i += 1) out[i] = random.int(256);
  return out;
}

function createFile(file: Buffer, op: { size: number; seed: number; mode?: number }): void {
  fs.writeFileSync(file, bytes(op), { flag: 'wx' });
  if (op.mode !== undefined) fs.chmodSync(file, op.mode);
}

function withFile(file: Buffer, flags: number, use: (fd: number) => unknown): void {
  const fd = fs.openSync(file, flags | fs.constants.O_NOFOLLOW | fs.constants.O_NONBLOCK, 0o644);
  try {
    use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function plain(file: Buffer): Buffer {
  const stats = fs.lstatSync(file);
  if (!stats.isFile() && !stats.isDirectory())
    throw Object.assign(new Error('neither file nor directory'), { errno: -EINVAL });
  return file;
}

function acl(entries: readonly (readonly [string, number, number])[]): Buffer {
  const sorted = [...entries].sort(([a, , i], [b, , j]) => (TAGS[a] ?? 0) - (TAGS[b] ?? 0) || i - j);
  const blob = Buffer.alloc(4 + sorted.length * 8);
  blob.writeUInt32LE(2, 0);
  for (const [i, [tag, perm, who]] of sorted.entries()) {
    blob.writeUInt16LE(TAGS[tag] ?? 0, 4 + i * 8);
    blob.writeUInt16LE(perm, 6 + i * 8);
    blob.writeUInt32LE(who < 0 ? 0xffffffff : who, 8 + i * 8);
  }
  return blob;
}
