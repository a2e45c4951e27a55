// Reads a file to its end, in the thread pool, and discards the data. The caller only checks that all of it can be read.
// Holes are skipped where the file system reports them. For files on FUSE mounts.

import { constants as fsConstants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { constants } from 'node:os';
import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { fsEncode } from '../names.js';
import { errnoNumber, inPool } from './libc.js';

const CHUNK_BYTES = 1 << 20;
const STAT_BLOCK_BYTES = 512;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

type LseekCall = (fd: number, offset: number, whence: number) => number;
const lseek = koffi.load('libc.so.6').func('lseek', 'int64', ['int', 'int64', 'int']) as KoffiFunc<LseekCall>;

/** @throws Node system errors EIO, ENOENT, EACCES, …; the abort reason of `signal` */
export async function readToEnd(path: string, signal?: AbortSignal): Promise<void> {
  const file = await open(fsEncode(path), fsConstants.O_RDONLY | fsConstants.O_NOFOLLOW | fsConstants.O_NONBLOCK);
  try {
    const { size, blocks } = await file.stat();
    const buffer = Buffer.allocUnsafe(Math.max(1, Math.min(size, CHUNK_BYTES)));
    const hasHoles = blocks * STAT_BLOCK_BYTES < size;
    for (let offset = 0; offset < size;) {
      const data = hasHoles ? await nextDataRange(file, offset, size) : { from: offset, to: size };
      for (offset = data.from; offset < data.to;) {
        signal?.throwIfAborted();
        const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, data.to - offset), offset);
        if (bytesRead === 0) return;
        offset += bytesRead;
      }
    }
  } finally {
    await file.close();
  }
}

/** Bounds of the first data at or after `at`; empty and at `size` when only a hole follows. */
async function nextDataRange(file: FileHandle, offset: number, size: number): Promise<{ from: number; to: number }> {
  try {
    const from = await seek(file, offset, SEEK_DATA);
    return { from, to: await seek(file, from, SEEK_HOLE) };
  } catch (error) {
    return errnoNumber(error) === constants.errno.ENXIO ? { from: size, to: size } : { from: offset, to: size };
  }
}

async function seek({ fd }: FileHandle, offset: number, whence: number): Promise<number> {
  return Number(
    await inPool(
      'lseek',
      () => `fd ${fd}`,
      (done) => lseek.async(fd, offset, whence, done),
    ),
  );
}
