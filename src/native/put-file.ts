// Writes a whole file into an inode that is there, in the thread pool, and gives it its attributes. For files on FUSE mounts:
// each call to the file system is a round trip to bricks, so what is right already is left alone. Callbacks, since Node's promises
// of files cost more than writing one.

import { close, constants as fsConstants, fchmod, fchown, fstat, ftruncate, open, write, type BigIntStats } from 'node:fs';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { futimensAsync, NativeError } from './libc.js';

const [opened, closed, truncated, chowned, chmoded] = [promisify(open), promisify(close), promisify(ftruncate), promisify(fchown), promisify(fchmod)];
const stats = promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>;

/** A double does not hold the nanoseconds of a time. */
export interface WholeTime {
  readonly seconds: number;
  readonly nanoseconds: number;
}

export interface FileToPut {
  readonly content: Uint8Array;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtime: WholeTime;
  /** `times`: equal size and mtime prove that the content is there. */
  readonly compare: 'content' | 'times';
}

const NS = 1_000_000_000n;
const PERMISSIONS = 0o7777n;

/** As rsync does: only root gives files away. @throws NativeError EINVAL when it is no regular file, system errors */
export async function putFile(path: Buffer, wanted: FileToPut): Promise<void> {
  const fd = await opened(path, fsConstants.O_WRONLY | fsConstants.O_NOFOLLOW | fsConstants.O_NONBLOCK);
  try {
    const { content, mode, uid, gid, mtime } = wanted;
    const found = await stats(fd, { bigint: true });
    if (!found.isFile()) throw new NativeError('put file', path.toString('latin1'), constants.errno.EINVAL);
    const hasContent = wanted.compare === 'times' && found.size === BigInt(content.length) && found.mtimeNs === BigInt(mtime.seconds) * NS + BigInt(mtime.nanoseconds);
    if (!hasContent) {
      for (let at = 0; at < content.length; ) at += await writeAt(fd, content, at);
      if (found.size > content.length) await truncated(fd, content.length);
    }
    const isGivenAway = process.geteuid?.() === 0 && (found.uid !== BigInt(uid) || found.gid !== BigInt(gid));
    if (isGivenAway) await chowned(fd, uid, gid);
    // A new owner takes the set-id bits.
    if (isGivenAway || (found.mode & PERMISSIONS) !== BigInt(mode)) await chmoded(fd, mode);
    if (!hasContent) await futimensAsync(fd, mtime);
  } finally {
    // Closing reports writes that failed.
    await closed(fd);
  }
}

function writeAt(fd: number, content: Uint8Array, at: number): Promise<number> {
  return new Promise((resolve, reject) => write(fd, content, at, content.length - at, at, (error, bytes) => (error === null ? resolve(bytes) : reject(error))));
}
