// Finds the offset in a tar file at which members can be appended; tar-stream only writes new archives and reads whole
// ones. Each append stores the offset in an xattr, which is valid until another program writes to the file. Without a
// valid xattr, findTarEnd() reads the headers one after the other.

import type { FileHandle } from 'node:fs/promises';
import { identityOf } from './file-identity.js';
import { fsEncode } from '../names.js';
import { lgetxattrAsync, lsetxattrAsync } from '../native/libc.js';

const BLOCK_BYTES = 512;
/** Most members are small, so one read covers several headers. */
const HEADER_CHUNK_BYTES = 64 * 1024;
/** `<bytes up to the end of members> <inode> <size> <mtime in ns>` */
const END_XATTR = 'user.gsyncd-ts.archive-end';

export interface TarEnd {
  /** Bytes up to the end of the last whole member. */
  readonly offset: number;
  /** `whole`: nothing, or only zeros, follow. `garbage`: other bytes follow that are no whole member. */
  readonly tail: 'whole' | 'garbage';
}

// Links, devices, directories and fifos carry no data: their size field is ignored.
const TYPES_WITHOUT_DATA = '123456';
const TAIL_CHUNK_BYTES = 64 * 1024;
const SIZE_FIELD = { start: 124, end: 136 };
const CHECKSUM_FIELD = { start: 148, end: 156 };

/** @param path of the open file */
export async function findTarEnd(file: FileHandle, path: string): Promise<TarEnd> {
  const remembered = await rememberedEnd(file, path);
  if (remembered !== null) return { offset: remembered, tail: 'whole' };
  const { size } = await file.stat();
  const buffer = Buffer.allocUnsafe(HEADER_CHUNK_BYTES);
  let bufferOffset = 0;
  let buffered = 0;
  let offset = 0;
  while (offset < size) {
    if (offset + BLOCK_BYTES > bufferOffset + buffered) {
      bufferOffset = offset;
      buffered = (await file.read(buffer, 0, HEADER_CHUNK_BYTES, offset)).bytesRead;
    }
    const header = buffer.subarray(offset - bufferOffset, Math.min(buffered, offset - bufferOffset + BLOCK_BYTES));
    if (isAllZeros(header)) return { offset, tail: await classifyTail(file, offset) };
    if (header.length < BLOCK_BYTES) return { offset, tail: 'garbage' };
    const next = hasValidChecksum(header) ? offset + BLOCK_BYTES + paddedDataBytes(header) : Number.POSITIVE_INFINITY;
    if (!(next <= size)) return { offset, tail: 'garbage' };
    offset = next;
  }
  return { offset, tail: 'whole' };
}

/** Stores that members end at `offset` and only zeros follow. Does nothing on a file system without xattrs. */
export async function rememberTarEnd(file: FileHandle, path: string, offset: number): Promise<void> {
  const value = Buffer.from(`${offset} ${await identityOf(file)}`);
  await lsetxattrAsync(fsEncode(path), END_XATTR, value).catch(() => undefined);
}

async function rememberedEnd(file: FileHandle, path: string): Promise<number | null> {
  const value = await lgetxattrAsync(fsEncode(path), END_XATTR).catch(() => null);
  const match = /^(\d+) (.*)$/.exec(value?.toString('latin1') ?? '');
  if (match === null || match[2] !== (await identityOf(file))) return null;
  const offset = Number(match[1]);
  return (await classifyTail(file, offset)) === 'whole' ? offset : null;
}

function isAllZeros(bytes: Buffer): boolean {
  return bytes.every((byte) => byte === 0);
}

/** A crash of the system can leave zeros where data was, with more data after them. */
async function classifyTail(file: FileHandle, offset: number): Promise<TarEnd['tail']> {
  const buffer = Buffer.allocUnsafe(TAIL_CHUNK_BYTES);
  for (let at = offset; ;) {
    const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
    if (bytesRead === 0) return 'whole';
    if (!isAllZeros(buffer.subarray(0, bytesRead))) return 'garbage';
    at += bytesRead;
  }
}

function hasValidChecksum(header: Buffer): boolean {
  let sum = 0;
  for (const [i, byte] of header.entries()) sum += i >= CHECKSUM_FIELD.start && i < CHECKSUM_FIELD.end ? 0x20 : byte;
  return sum === readNumber(header.subarray(CHECKSUM_FIELD.start, CHECKSUM_FIELD.end));
}

/** Bytes of a member's data, padding included. */
function paddedDataBytes(header: Buffer): number {
  const type = String.fromCharCode(header[156] ?? 0);
  const size = TYPES_WITHOUT_DATA.includes(type) ? 0 : readNumber(header.subarray(SIZE_FIELD.start, SIZE_FIELD.end));
  return Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
}

/** Octal digits, or GNU's big-endian binary form; NaN when it is neither. */
function readNumber(field: Buffer): number {
  if (field[0] === 0x80) return Number(`0x${field.subarray(1).toString('hex')}`);
  const text = field
    .toString('latin1')
    .replace(/[\0 ]+$/, '')
    .trim();
  return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : Number.NaN;
}
