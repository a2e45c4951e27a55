// The tests' own changelog encoder, written from the format's description, and arbitrary records for it.

import type { ChangeRecord } from '../../src/changelog/record.js';
import { gfidFromBytes, gfidToBytes, type Gfid } from '../../src/protocol/gfid.js';
import { fsDecode, fsEncode } from '../../src/names.js';
import { fc } from '../seeds.js';

export interface ChangelogFormat {
  readonly encoding: 'ascii' | 'binary';
  readonly version: '1.1' | '1.2';
}

const FOP_NUMBERS: Readonly<Record<string, number>> = {
  MKNOD: 3,
  MKDIR: 4,
  UNLINK: 5,
  RMDIR: 6,
  SYMLINK: 7,
  RENAME: 8,
  LINK: 9,
  SETXATTR: 17,
  REMOVEXATTR: 19,
  CREATE: 23,
  XATTROP: 33,
  FSETXATTR: 36,
  SETATTR: 38,
  FSETATTR: 39,
};

export function header({ encoding, version }: ChangelogFormat): Buffer {
  return Buffer.from(`GlusterFS Changelog | version: v${version} | encoding : ${encoding === 'binary' ? 1 : 2}\n`);
}

export function encodeChangelog(records: readonly ChangeRecord[], format: ChangelogFormat): Buffer {
  return Buffer.concat([header(format), ...records.map((record) => encodeRecord(record, format))]);
}

export function encodeRecord(record: ChangeRecord, { encoding, version }: ChangelogFormat): Buffer {
  const gfid = (value: Gfid): Buffer => (encoding === 'binary' ? gfidToBytes(value) : Buffer.from(value));
  const number = (value: number): Buffer => {
    if (encoding === 'ascii') return Buffer.from(String(value));
    const out = Buffer.alloc(4);
    out.writeUInt32LE(value);
    return out;
  };
  const nul = Buffer.of(0);
  const place = (parent: Gfid, name: string): Buffer => Buffer.concat([gfid(parent), Buffer.from('/'), fsEncode(name)]);
  const letter = { data: 'D', meta: 'M', entry: 'E' }[record.type];
  const parts = [Buffer.from(letter), gfid(record.gfid)];
  if (record.type === 'data') return Buffer.concat([...parts, nul]);
  parts.push(nul, number(FOP_NUMBERS[record.fop]!));
  if (record.type === 'entry') {
    if (record.mode !== undefined)
      parts.push(nul, number(record.mode), nul, number(record.uid!), nul, number(record.gid!));
    parts.push(nul, place(record.parent, record.name));
    if (record.newParent !== undefined) parts.push(nul, place(record.newParent, record.newName!));
    if (version === '1.2' && (record.fop === 'UNLINK' || record.fop === 'RMDIR')) {
      parts.push(nul, record.deletedPath === undefined ? nul : fsEncode(record.deletedPath));
    }
  }
  return Buffer.concat([...parts, nul]);
}

const byteArray = (forbidden: readonly number[], maxLength: number): fc.Arbitrary<string> =>
  fc
    .array(fc.oneof(fc.integer({ min: 1, max: 255 }), fc.constantFrom(...Buffer.from('% \n\r\t25A0é'))), {
      minLength: 1,
      maxLength,
    })
    .filter((bytes) => !bytes.some((byte) => forbidden.includes(byte)))
    .map((bytes) => fsDecode(Uint8Array.from(bytes)));

/** Any legal file name, in any encoding. */
export const nameArb = byteArray([0x2f], 20);
export const gfidArb = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => gfidFromBytes(bytes));
const u32Arb = fc.nat(0xffff_ffff);

export const recordArb = ({ version }: ChangelogFormat): fc.Arbitrary<ChangeRecord> =>
  fc.oneof(
    fc.record({ type: fc.constant('data' as const), gfid: gfidArb }),
    fc.record({
      type: fc.constant('meta' as const),
      gfid: gfidArb,
      fop: fc.constantFrom('SETATTR', 'SETXATTR', 'XATTROP', 'REMOVEXATTR'),
    }),
    fc.record({
      type: fc.constant('entry' as const),
      gfid: gfidArb,
      fop: fc.constantFrom('CREATE', 'MKNOD', 'MKDIR'),
      parent: gfidArb,
      name: nameArb,
      mode: u32Arb,
      uid: u32Arb,
      gid: u32Arb,
    }),
    fc.record({
      type: fc.constant('entry' as const),
      gfid: gfidArb,
      fop: fc.constantFrom('LINK', 'SYMLINK'),
      parent: gfidArb,
      name: nameArb,
    }),
    fc.record(
      {
        type: fc.constant('entry' as const),
        gfid: gfidArb,
        fop: fc.constantFrom('UNLINK', 'RMDIR'),
        parent: gfidArb,
        name: nameArb,
        ...(version === '1.2' && { deletedPath: byteArray([], 30) }),
      },
      { requiredKeys: ['type', 'gfid', 'fop', 'parent', 'name'] },
    ) as fc.Arbitrary<ChangeRecord>,
    fc.record({
      type: fc.constant('entry' as const),
      gfid: gfidArb,
      fop: fc.constant('RENAME'),
      parent: gfidArb,
      name: nameArb,
      newParent: gfidArb,
      newName: nameArb,
    }),
  );
