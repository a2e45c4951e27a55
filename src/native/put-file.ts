// Writes a whole file into an existing inode, in the thread pool, and sets its attributes. For files on FUSE mounts: each
// call is a round trip to bricks, so attributes that are already right are left alone. Uses callbacks, because Node's file
// promises cost more than writing a small file.

import {
  close,
  constants as fsConstants,
  fchmod,
  fchown,
  fstat,
  ftruncate,
  open,
  write,
  type BigIntStats,
} from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { futimensAsync, NativeError } from './libc.js';

const [openFd, closeFd, truncateFd, chownFd, chmodFd] = [
  promisify(open),
  promisify(close),
  promisify(ftruncate),
  promisify(fchown),
  promisify(fchmod),
];
const statFd = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;

/** A double cannot hold a time to the nanosecond. */
export interface Timespec {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface FileToPut {
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: Timespec;
  /** `times`: equal size and mtime prove that the content is equal. */
  readonly compare: 'content' | 'times';
}

const NS_PER_S = 1_000_000_000n;
const PERMISSIONS = 0o7777n;

/** Changes the owner only as root, as rsync does.
 *  @param ino inode number that the file must have
 *  @throws NativeError EINVAL when it is no regular file, ESTALE when it is another inode, system errors */
export async function putFile(path: Buffer, wanted: FileToPut, ino?: bigint): Promise<void> {
  const fd = await openFd(path, fsConstants.O_WRONLY | fsConstants.O_NOFOLLOW | fsConstants.O_NONBLOCK);
  try {
    const { content, mode, uid, gid, mtime } = wanted;
    const found = await statFd(fd, { bigint: true });
    if (ino !== undefined && BigInt.asUintN(64, found.ino) !== ino)
      throw new NativeError('put file', path.toString('latin1'), constants.errno.ESTALE);
    if (!found.isFile()) throw new NativeError('put file', path.toString('latin1'), constants.errno.EINVAL);
    const hasContent =
      wanted.compare === 'times' &&
      found.size === BigInt(content.length) &&
      found.mtimeNs === BigInt(mtime.seconds) * NS_PER_S + BigInt(mtime.nanoseconds);
    if (!hasContent) {
      for (let offset = 0; offset < content.length;) offset += await writeAt(fd, content, offset);
      if (found.size > content.length) await truncateFd(fd, content.length);
    }
    const shouldChown = process.geteuid?.() === 0 && (found.uid !== BigInt(uid) || found.gid !== BigInt(gid));
    if (shouldChown) await chownFd(fd, uid, gid);
    // chown clears the set-id bits.
    if (shouldChown || (found.mode & PERMISSIONS) !== BigInt(mode)) await chmodFd(fd, mode);
    if (!hasContent) await futimensAsync(fd, mtime);
  } finally {
    // close() reports writes that failed.
    await closeFd(fd);
  }
}

function writeAt(fd: number, content: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) =>
    write(fd, content, offset, content.length - offset, offset, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    ),
  );
}
