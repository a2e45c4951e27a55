// Finds the place in a tar file at which members can be appended. tar-stream only writes new archives and reads
// whole ones; walking the headers costs one read of 512 bytes a member. Used by archive.ts.

import type { FileHandle } from 'node:fs/promises';

const BLOCK_BYTES = 512;

export interface TarEnd {
  /** Bytes: behind the last whole member. */
  readonly offset: number;
  /** `whole`: nothing but zeros, or nothing at all, follows. `garbage`: something that is no whole member. */
  readonly tail: 'whole' | 'garbage';
}

// Links, devices, directories and fifos carry no data, whatever their size field says.
const WITHOUT_DATA = '123456';
const TAIL_CHUNK_BYTES = 64 * 1024;
const SIZE = { start: 124, end: 136 };
const CHECKSUM = { start: 148, end: 156 };

export async function findTarEnd(file: FileHandle): Promise<TarEnd> {
  const { size } = await file.stat();
  const header = Buffer.alloc(BLOCK_BYTES);
  let offset = 0;
  while (offset < size) {
    const { bytesRead } = await file.read(header, 0, BLOCK_BYTES, offset);
    if (isZero(header.subarray(0, bytesRead))) return { offset, tail: await tailAt(file, offset) };
    if (bytesRead < BLOCK_BYTES) return { offset, tail: 'garbage' };
    const next = hasValidChecksum(header) ? offset + BLOCK_BYTES + dataBytes(header) : Number.POSITIVE_INFINITY;
    if (!(next <= size)) return { offset, tail: 'garbage' };
    offset = next;
  }
  return { offset, tail: 'whole' };
}

function isZero(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A crash of the system can leave zeros where data was, with more data after them. */
async function tailAt(file: FileHandle, offset: number): Promise<TarEnd['tail']> {
  const buffer = Buffer.allocUnsafe(TAIL_CHUNK_BYTES);
  for (let at = offset; ; ) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return 'whole';
    if (!isZero(buffer.subarray(0, bytesRead))) return 'garbage';
    at += bytesRead;
  }
}

function hasValidChecksum(header: Buffer): boolean {
  let sum = 0;
  for (const [i, byte] of header.entries()) sum += i >= CHECKSUM.start && i < CHECKSUM.end ? 0x20 : byte;
  return sum === readNumber(header.subarray(CHECKSUM.start, CHECKSUM.end));
}

/** Bytes of a member's data, padding included. */
function dataBytes(header: Buffer): number {
  const type = String.fromCharCode(header[156] ?? 0);
  const size = WITHOUT_DATA.includes(type) ? 0 : readNumber(header.subarray(SIZE.start, SIZE.end));
  return Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Octal digits, or GNU's big-endian binary form; NaN when it is neither. */
function readNumber(field: Buffer): number {
  if (field[0] === 0x80) return Number(`0x${field.subarray(1).toString('hex')}`);
  const text = field.toString('latin1').replace(/[\0 ]+$/, '').trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}
