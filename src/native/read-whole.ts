// Reads a small file in the thread pool. Uses callbacks, because Node's file promises cost more than reading one.

import { close, constants as fsConstants, fstat, open, read, type BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { fsEncode } from '../names.js';

const [opened, stats, closed] = [promisify(open), promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>, promisify(close)];

/** @returns null when it is no regular file of `size` bytes, or changes during the read
 *  @throws Node system errors */
export async function readWhole(path: string, size: number): Promise<Buffer | null> {
  const fd = await opened(fsEncode(path), fsConstants.O_RDONLY | fsConstants.O_NOFOLLOW | fsConstants.O_NONBLOCK);
  try {
    const before = await stats(fd, { bigint: true });
    if (!before.isFile() || before.size !== BigInt(size)) return null;
    const content = Buffer.allocUnsafe(size);
    for (let at = 0; at < size; ) {
      const bytes = await readAt(fd, content, at);
      if (bytes === 0) return null;
      at += bytes;
    }
    const after = await stats(fd, { bigint: true });
    return after.size === before.size && after.mtimeNs === before.mtimeNs && after.ctimeNs === before.ctimeNs ? content : null;
  } finally {
    await closed(fd);
  }
}

function readAt(fd: number, content: Buffer, at: number): Promise<number> {
  return new Promise((resolve, reject) => read(fd, content, at, content.length - at, at, (error, bytes) => (error === null ? resolve(bytes) : reject(error))));
}
