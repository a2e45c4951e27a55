// Which paths a peer may name: relative ones that stay in the volume by their text. Every path that arrives over the
// RPC passes here first; that no symlink leads out is the volume's own promise (volume.ts).

import { GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import { PyException } from '../rpc/pickle-values.js';
import { Raised } from '../rpc/raised.js';

const MAX_NAME_BYTES = 255;

/**
 * `path` without `.` and empty parts, when it is safe: a slash at its end, or a `.`, would make the system follow the
 * symlink that it names. @throws Raised ValueError as a stock peer does, for what leads out
 */
export function guardPath(path: unknown): string {
  if (typeof path !== 'string') throw new Raised(new PyException('TypeError', ['path: not a str']));
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || path.includes('\0') || parts.includes('..')) throw unsafe();
  return parts.filter((part) => part !== '' && part !== '.').join('/') || '.';
}

export interface EntryName {
  readonly parent: Gfid;
  readonly name: string;
}

/** Parts of `.gfid/<parent gfid>/<name>`, the only form in which operations name an entry; null for any other. */
export function parseEntry(path: unknown): EntryName | null {
  if (typeof path !== 'string' || !path.startsWith(GFID_PREFIX)) return null;
  const [parent = '', name = '', ...more] = path.slice(GFID_PREFIX.length).split('/');
  if (!isGfid(parent) || more.length > 0) return null;
  return isEntryName(name) ? { parent, name } : null;
}

/** `.gfid/<gfid>` as it is; null for anything else. */
export function parseInode(path: unknown): Gfid | null {
  if (typeof path !== 'string' || !path.startsWith(GFID_PREFIX)) return null;
  const gfid = path.slice(GFID_PREFIX.length);
  return isGfid(gfid) ? gfid : null;
}

/** Whether `name` can be one entry's name in a directory. */
export function isEntryName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return false;
  // A name of names.ts has at most three bytes a character: only long ones need counting.
  return name.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(name.replaceAll(/[\uDC80-\uDCFF]/g, 'x')) <= MAX_NAME_BYTES;
}

function unsafe(): Raised {
  return new Raised(new PyException('ValueError', ['unsafe path']));
}
