// Encoder of changelogs in the changelog translator's ascii format, version 1.2: the counterpart of changelog/decode.ts.

import type { ChangeRecord } from '../changelog/record.js';
import { fsEncode } from '../names.js';

export const CHANGELOG_HEADER = Buffer.from('GlusterFS Changelog | version: v1.2 | encoding : 2\n');

/** glusterfs_fop_t */
const FOPS: Readonly<Record<string, number>> = {
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
  SETATTR: 38,
};

const NUL = Buffer.of(0);

/** @throws RangeError for an operation that is not in FOPS */
export function encodeRecord(record: ChangeRecord): Buffer {
  if (record.type === 'data') return Buffer.from(`D${record.gfid}\0`);
  const fop = FOPS[record.fop];
  if (fop === undefined) throw new RangeError(`encode changelog: ${record.fop}: no such operation`);
  if (record.type === 'meta') return Buffer.from(`M${record.gfid}\0${fop}\0`);
  const fields = [`E${record.gfid}`, String(fop)];
  if (record.mode !== undefined)
    fields.push(String(encodedMode(record.mode)), String(record.uid ?? 0), String(record.gid ?? 0));
  const parts = [Buffer.from(`${fields.join('\0')}\0`), Buffer.from(`${record.parent}/`), fsEncode(record.name), NUL];
  if (record.newParent !== undefined)
    parts.push(Buffer.from(`${record.newParent}/`), fsEncode(record.newName ?? ''), NUL);
  // Two empty fields: the deleted path is not captured (changelog.capture-del-path is off by default).
  if (record.fop === 'UNLINK' || record.fop === 'RMDIR') parts.push(NUL, NUL);
  return Buffer.concat(parts);
}

/** The translator stores the mode in a signed 16-bit number. Sign extension sets all higher bits for files and sockets. */
function encodedMode(mode: number): number {
  return ((mode << 16) >> 16) >>> 0;
}
