// The consumer's text form of changelogs. libgfchangelog writes it to `.processing`, and the reference's xsync crawl
// writes it to XSYNC-CHANGELOG files. A line holds one record, with one space between fields. In names `%`, space and
// newline are escaped; every other byte stays as it is. Only a newline byte ends a line. Names may contain any other
// white space, which breaks the reference's text-mode reading.

import { GsyncdError } from '../errors.js';
import { isGfid, type Gfid } from '../protocol/gfid.js';
import { fsDecode, fsEncode } from '../names.js';
import type { ChangeRecord } from './record.js';

const ESCAPES: Readonly<Record<string, string>> = { '%': '%25', ' ': '%20', '\n': '%0A' };
const UNESCAPES: Readonly<Record<string, string>> = { '%25': '%', '%20': ' ', '%0A': '\n' };
const GFID_LENGTH = 36;
const U32_DIGITS = /^\d{1,10}$/;

function escapeName(name: string): string {
  return name.replace(/[% \n]/g, (c) => ESCAPES[c] ?? c);
}

function unescapeName(text: string): string {
  return text.includes('%') ? text.replace(/%(?:25|20|0A)/g, (c) => UNESCAPES[c] ?? c) : text;
}

/** One line, its newline included. */
export function formatRecord(record: ChangeRecord): Buffer {
  return fsEncode(recordLine(record));
}

export function formatRecords(records: Iterable<ChangeRecord>): Buffer {
  const parts: Buffer[] = [];
  let plain = '';
  for (const record of records) {
    const line = recordLine(record);
    // fsEncode is slow for lines with bytes that are not UTF-8, so only such lines go through it.
    if (line.isWellFormed()) plain += line;
    else {
      parts.push(Buffer.from(plain), fsEncode(line));
      plain = '';
    }
  }
  parts.push(Buffer.from(plain));
  return Buffer.concat(parts);
}

function recordLine(record: ChangeRecord): string {
  switch (record.type) {
    case 'data':
      return `D ${record.gfid}\n`;
    case 'meta': {
      const st = record.stat;
      const stat = st === undefined ? '' : ` ${st.uid} ${st.gid} ${st.mode} ${st.atime} ${st.mtime}`;
      return `M ${record.gfid} ${record.fop}${stat}\n`;
    }
    case 'entry': {
      let line = `E ${record.gfid} ${record.fop}`;
      if (record.mode !== undefined) line += ` ${record.mode} ${record.uid ?? 0} ${record.gid ?? 0}`;
      line += ` ${record.parent}/${escapeName(record.name)}`;
      if (record.newParent !== undefined) line += ` ${record.newParent}/${escapeName(record.newName ?? '')}`;
      if (record.deletedPath !== undefined) line += ` ${escapeName(record.deletedPath)}`;
      return `${line}\n`;
    }
  }
}

/** All records of a text file. `file` names it in errors.
 *  @throws GsyncdError('changelog') at the first line that is no record, or that lacks its newline */
export function parseText(bytes: Uint8Array, file = 'changelog text'): ChangeRecord[] {
  const text = fsDecode(bytes);
  const records: ChangeRecord[] = [];
  let start = 0;
  while (start < text.length) {
    const end = text.indexOf('\n', start);
    const record = end < 0 ? 'a newline at the end' : parseLine(text, start, end);
    if (typeof record === 'string') {
      const offset = fsEncode(text.slice(0, start)).length;
      throw new GsyncdError(`parse changelog: ${file}: line at byte ${offset}: expected ${record}`, {
        code: 'changelog',
      });
    }
    records.push(record);
    start = end + 1;
  }
  return records;
}

/** The record, or a description of the expected text. */
function parseLine(text: string, start: number, end: number): ChangeRecord | string {
  const gfidEnd = start + 2 + GFID_LENGTH;
  const gfid = text.slice(start + 2, gfidEnd);
  if (text[start + 1] !== ' ' || gfidEnd > end || !isGfid(gfid)) return 'a type, a space and a gfid';
  const kind = text[start];
  if (kind === 'D') return gfidEnd === end ? { type: 'data', gfid } : 'nothing after the gfid of a data record';
  if (text[gfidEnd] !== ' ') return 'an operation after the gfid';
  const fields = text.slice(gfidEnd + 1, end).split(' ');
  if (kind === 'M') return parseMeta(gfid, fields);
  if (kind === 'E') return parseEntry(gfid, fields);
  return 'a record of type D, M or E';
}

function parseMeta(gfid: Gfid, fields: readonly string[]): ChangeRecord | string {
  const [fop = '', uid, gid, mode, atime, mtime] = fields;
  if (fop === '') return 'an operation after the gfid';
  if (uid === undefined) return { type: 'meta', gfid, fop };
  const expected = 'uid, gid, mode, atime and mtime';
  if (fields.length !== 6 || gid === undefined || mode === undefined) return expected;
  if (
    !U32_DIGITS.test(uid) ||
    !U32_DIGITS.test(gid) ||
    !U32_DIGITS.test(mode) ||
    !isSeconds(atime) ||
    !isSeconds(mtime)
  )
    return expected;
  const stat = { uid: Number(uid), gid: Number(gid), mode: Number(mode), atime: Number(atime), mtime: Number(mtime) };
  return { type: 'meta', gfid, fop, stat };
}

function isSeconds(text: string | undefined): boolean {
  return text !== undefined && text !== '' && Number.isFinite(Number(text));
}

function parseEntry(gfid: Gfid, fields: readonly string[]): ChangeRecord | string {
  const fop = fields[0] ?? '';
  const expected = '<parent gfid>/<name>';
  switch (fop) {
    case 'CREATE':
    case 'MKNOD':
    case 'MKDIR': {
      const [, mode = '', uid = '', gid = '', entry] = fields;
      if (fields.length !== 5 || !U32_DIGITS.test(mode) || !U32_DIGITS.test(uid) || !U32_DIGITS.test(gid)) {
        return `mode, uid, gid and ${expected}`;
      }
      const place = parseParentAndName(entry);
      if (place === undefined) return expected;
      const { parent, name } = place;
      return { type: 'entry', gfid, fop, parent, name, mode: Number(mode), uid: Number(uid), gid: Number(gid) };
    }
    case 'LINK':
    case 'SYMLINK': {
      const place = parseParentAndName(fields[1]);
      if (fields.length !== 2 || place === undefined) return expected;
      return { type: 'entry', gfid, fop, parent: place.parent, name: place.name };
    }
    case 'UNLINK':
    case 'RMDIR': {
      const place = parseParentAndName(fields[1]);
      if (fields.length > 3 || place === undefined) return `${expected} and at most a path`;
      const { parent, name } = place;
      if (fields[2] === undefined) return { type: 'entry', gfid, fop, parent, name };
      return { type: 'entry', gfid, fop, parent, name, deletedPath: unescapeName(fields[2]) };
    }
    case 'RENAME': {
      const from = parseParentAndName(fields[1]);
      const to = parseParentAndName(fields[2]);
      if (fields.length !== 3 || from === undefined || to === undefined) return `${expected} twice`;
      const { parent, name } = from;
      return { type: 'entry', gfid, fop, parent, name, newParent: to.parent, newName: to.name };
    }
    default:
      return 'an entry operation';
  }
}

function parseParentAndName(text: string | undefined): { parent: Gfid; name: string } | undefined {
  if (text === undefined || text[GFID_LENGTH] !== '/') return undefined;
  const parent = text.slice(0, GFID_LENGTH);
  const name = unescapeName(text.slice(GFID_LENGTH + 1));
  return isGfid(parent) && name !== '' && !name.includes('/') ? { parent, name } : undefined;
}
