// Reads a small file in the thread pool. Uses callbacks, because Node's file promises cost more than reading one.

import { close, constants as fsConstants, fstat, open, read, type BigIntStats } from 'node:fs';
import { promisify } from 'node:util';
import { fsEncode } from '../names.js';

const [openFd, statFd, closeFd] = [
  promisify(open),
  promisify(fstat) as (fd: number, options: { bigint: true }) => Promise<BigIntStats>,
  promisify(close),
];

/** @returns null when it is no regular file of `size` bytes, or changes during the read
 *  @throws Node system errors */
export async function readWhole(path: string, size: number): Promise<Buffer | null> {
  const fd = await openFd(fsEncode(path), fsConstants.O_RDONLY | fsConstants.O_NOFOLLOW | fsConstants.O_NONBLOCK);
  try {
    const before = await statFd(fd, { bigint: true });
    if (!before.isFile() || before.size !== BigInt(size)) return null;
    const content = Buffer.allocUnsafe(size);
    for (let offset = 0; offset < size;) {
      const bytes = await readAt(fd, content, offset);
      if (bytes === 0) return null;
      offset += bytes;
    }
    const after = await statFd(fd, { bigint: true });
    return after.size === before.size && after.mtimeNs === before.mtimeNs && after.ctimeNs === before.ctimeNs
      ? content
      : null;
  } finally {
    await closeFd(fd);
  }
}

function readAt(fd: number, content: Buffer, offset: number): Promise<number> {
  return new Promise((resolve, reject) =>
    read(fd, content, offset, content.length - offset, offset, (error, bytes) =>
      error === null ? resolve(bytes) : reject(error),
    ),
  );
}
