// Decodes the changelogs that a brick's changelog translator writes: bytes in, records out, no I/O. A header line
// states version and encoding. Records follow; in both encodings one NUL byte ends every field. Gfids are 36
// characters or 16 bytes, numbers are decimal digits or little-endian u32. In version 1.2, UNLINK and RMDIR also have
// the deleted path, or a single NUL if the brick did not capture it. Malformed data is an error that states its
// offset; no record is skipped. If a file was cut off exactly between two records, the decoder cannot detect it.

import { GsyncdError, isGsyncdError } from '../errors.js';
import { gfidFromBytes, isGfid, type Gfid } from '../protocol/gfid.js';
import { fsDecode } from '../names.js';
import type { ChangeRecord } from './record.js';

// Index: glusterfs_fop_t of GlusterFS 3.x to 11.
const FOPS: readonly string[] = (
  'NULL STAT READLINK MKNOD MKDIR UNLINK RMDIR SYMLINK RENAME LINK TRUNCATE OPEN READ WRITE STATFS FLUSH FSYNC ' +
  'SETXATTR GETXATTR REMOVEXATTR OPENDIR FSYNCDIR ACCESS CREATE FTRUNCATE FSTAT LK LOOKUP READDIR INODELK ' +
  'FINODELK ENTRYLK FENTRYLK XATTROP FXATTROP FGETXATTR FSETXATTR RCHECKSUM SETATTR FSETATTR READDIRP FORGET ' +
  'RELEASE RELEASEDIR GETSPEC FREMOVEXATTR FALLOCATE DISCARD ZEROFILL IPC SEEK LEASE COMPOUND GETACTIVELK ' +
  'SETACTIVELK PUT ICREATE NAMELINK COPY_FILE_RANGE'
).split(' ');

const HEADER = /^GlusterFS Changelog \| version: v(\d+)\.(\d+) \| encoding : (\d+)\n/;
const HEADER_MAX_BYTES = 128;
const U32_MAX = 0xffff_ffff;

type Encoding = 'binary' | 'ascii';

/** What the header of a changelog says. */
export interface ChangelogLayout {
  readonly headerBytes: number;
  readonly encoding: Encoding;
  readonly deletedPaths: 'present' | 'absent';
}

/** All records of a closed changelog, in order. `file` names it in errors.
 *  @throws GsyncdError('changelog') for anything that is not a whole changelog of version 1.1 or 1.2 */
export function decodeChangelog(bytes: Buffer, file: string): ChangeRecord[] {
  const layout = parseHeader(bytes, file);
  const reader = new ChangelogReader(bytes, file, layout, layout.headerBytes);
  const records: ChangeRecord[] = [];
  while (!reader.isAtEnd) records.push(reader.readRecord());
  return records;
}

/** The complete records at the start of `bytes`, a part of a changelog that is still being written.
 *  @returns the records, and their number of bytes. The rest is incomplete or malformed. */
export function decodeComplete(
  bytes: Buffer,
  file: string,
  layout: ChangelogLayout,
): { records: ChangeRecord[]; length: number } {
  const reader = new ChangelogReader(bytes, file, layout, 0);
  const records: ChangeRecord[] = [];
  let length = 0;
  try {
    while (!reader.isAtEnd) {
      records.push(reader.readRecord());
      length = reader.offset;
    }
  } catch (error) {
    if (!isGsyncdError(error, 'changelog')) throw error;
  }
  return { records, length };
}

/** @throws GsyncdError('changelog') when `bytes` do not begin with a whole header of version 1.1 or 1.2 */
export function parseHeader(bytes: Buffer, file: string): ChangelogLayout {
  const match = HEADER.exec(bytes.toString('latin1', 0, HEADER_MAX_BYTES));
  if (match === null) throw changelogError(file, 0, 'the header of a changelog');
  const [header, major, minor, code] = match;
  if (major !== '1' || (minor !== '1' && minor !== '2')) {
    throw changelogError(file, 0, `version v1.1 or v1.2, not v${major}.${minor}`);
  }
  if (code !== '1' && code !== '2') throw changelogError(file, 0, `encoding 1 or 2, not ${code}`);
  return {
    headerBytes: header.length,
    encoding: code === '1' ? 'binary' : 'ascii',
    deletedPaths: minor === '2' ? 'present' : 'absent',
  };
}

function changelogError(file: string, offset: number, expected: string): GsyncdError {
  return new GsyncdError(`decode changelog: ${file}: byte ${offset}: expected ${expected}`, { code: 'changelog' });
}

class ChangelogReader {
  readonly #bytes: Buffer;
  readonly #file: string;
  readonly #encoding: Encoding;
  readonly #deletedPaths: 'present' | 'absent';
  #offset: number;

  constructor(bytes: Buffer, file: string, { encoding, deletedPaths }: ChangelogLayout, offset: number) {
    this.#bytes = bytes;
    this.#file = file;
    this.#offset = offset;
    this.#encoding = encoding;
    this.#deletedPaths = deletedPaths;
  }

  get offset(): number {
    return this.#offset;
  }

  get isAtEnd(): boolean {
    return this.#offset >= this.#bytes.length;
  }

  readRecord(): ChangeRecord {
    const type = this.#bytes[this.#offset];
    if (type !== 0x44 && type !== 0x4d && type !== 0x45) this.#fail('a record of type D, M or E');
    this.#offset += 1;
    const gfid = this.#readGfid();
    this.#skipNul('NUL after the gfid');
    if (type === 0x44) return { type: 'data', gfid };
    const fop = this.#readFop();
    return type === 0x4d ? { type: 'meta', gfid, fop } : this.#readEntryRecord(gfid, fop);
  }

  #readEntryRecord(gfid: Gfid, fop: string): ChangeRecord {
    switch (fop) {
      case 'CREATE':
      case 'MKNOD':
      case 'MKDIR': {
        const mode = this.#readNumber('a mode');
        const uid = this.#readNumber('a uid');
        const gid = this.#readNumber('a gid');
        return { type: 'entry', gfid, fop, ...this.#readParentAndName(), mode, uid, gid };
      }
      case 'LINK':
      case 'SYMLINK':
        return { type: 'entry', gfid, fop, ...this.#readParentAndName() };
      case 'UNLINK':
      case 'RMDIR': {
        const place = this.#readParentAndName();
        const deletedPath = this.#deletedPaths === 'present' ? this.#readDeletedPath() : undefined;
        return { type: 'entry', gfid, fop, ...place, deletedPath };
      }
      case 'RENAME': {
        const from = this.#readParentAndName();
        const to = this.#readParentAndName();
        return { type: 'entry', gfid, fop, ...from, newParent: to.parent, newName: to.name };
      }
      default:
        return this.#fail(`an entry operation, not ${fop}`);
    }
  }

  #readGfid(): Gfid {
    const length = this.#encoding === 'binary' ? 16 : 36;
    const end = this.#offset + length;
    if (end > this.#bytes.length) this.#fail(`a gfid of ${length} bytes`);
    const start = this.#offset;
    this.#offset = end;
    if (this.#encoding === 'binary') return gfidFromBytes(this.#bytes.subarray(start, end));
    const text = this.#bytes.toString('latin1', start, end);
    if (isGfid(text)) return text;
    this.#offset = start;
    return this.#fail('a gfid');
  }

  #readFop(): string {
    const start = this.#offset;
    const name = FOPS[this.#readNumber('an operation number')];
    if (name !== undefined) return name;
    this.#offset = start;
    return this.#fail('a known operation number');
  }

  #readNumber(what: string): number {
    if (this.#encoding === 'binary') {
      if (this.#offset + 4 > this.#bytes.length) this.#fail(`${what} of 4 bytes`);
      const value = this.#bytes.readUInt32LE(this.#offset);
      this.#offset += 4;
      this.#skipNul(`NUL after ${what}`);
      return value;
    }
    const end = this.#findFieldEnd(what);
    let value = 0;
    for (let i = this.#offset; i < end; i += 1) {
      const digit = (this.#bytes[i] ?? 0) - 0x30;
      if (digit < 0 || digit > 9 || value > U32_MAX) this.#fail(`${what} in decimal digits`);
      value = value * 10 + digit;
    }
    if (end === this.#offset || value > U32_MAX) this.#fail(`${what} in decimal digits`);
    this.#offset = end + 1;
    return value;
  }

  #readParentAndName(): { parent: Gfid; name: string } {
    const parent = this.#readGfid();
    if (this.#bytes[this.#offset] !== 0x2f) this.#fail('a slash after the gfid of the parent');
    this.#offset += 1;
    const end = this.#findFieldEnd('a name');
    const slash = this.#bytes.indexOf(0x2f, this.#offset);
    if (end === this.#offset || (slash >= 0 && slash < end)) this.#fail('a name without a slash');
    const name = fsDecode(this.#bytes.subarray(this.#offset, end));
    this.#offset = end + 1;
    return { parent, name };
  }

  #readDeletedPath(): string | undefined {
    if (this.#bytes[this.#offset] === 0) {
      this.#offset += 1;
      this.#skipNul('NUL after an empty deleted path');
      return undefined;
    }
    const end = this.#findFieldEnd('a deleted path');
    const path = fsDecode(this.#bytes.subarray(this.#offset, end));
    this.#offset = end + 1;
    return path;
  }

  /** Offset of the NUL that ends the current field. */
  #findFieldEnd(what: string): number {
    const end = this.#bytes.indexOf(0, this.#offset);
    return end < 0 ? this.#fail(`${what} and NUL before the end of the file`) : end;
  }

  #skipNul(what: string): void {
    if (this.#bytes[this.#offset] !== 0) this.#fail(what);
    this.#offset += 1;
  }

  #fail(expected: string): never {
    throw changelogError(this.#file, this.#offset, expected);
  }
}
