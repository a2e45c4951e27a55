// Checks the text of every path from the RPC: it must be relative and stay in the volume. The volume itself ensures that no
// symlink leads out (volume.ts).

import { GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import type { Location } from '../protocol/view.js';
import { RaisedException } from '../rpc/raised-exception.js';

const MAX_NAME_BYTES = 255;

/**
 * @returns `path` without `.` and empty parts: with a slash or `.` at its end, the kernel would follow a symlink
 * @throws RaisedException ValueError, as a stock peer does, if the path leads out of the volume; TypeError if it is not a string
 */
export function guardPath(path: unknown): string {
  if (typeof path !== 'string') throw new RaisedException('TypeError', ['path: not a str']);
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || path.includes('\0') || parts.includes('..')) throw unsafePathError();
  return parts.filter((part) => part !== '' && part !== '.').join('/') || '.';
}

/** @returns parts of `.gfid/<parent gfid>/<name>`, the only form of an entry in operations; null for any other form */
export function parseEntry(path: unknown): Location | null {
  if (typeof path !== 'string' || !path.startsWith(GFID_PREFIX)) return null;
  const [parent = '', name = '', ...more] = path.slice(GFID_PREFIX.length).split('/');
  if (!isGfid(parent) || more.length > 0) return null;
  return isEntryName(name) ? { parent, name } : null;
}

/** @returns the gfid of `.gfid/<gfid>`; null for any other form */
export function parseInode(path: unknown): Gfid | null {
  if (typeof path !== 'string' || !path.startsWith(GFID_PREFIX)) return null;
  const gfid = path.slice(GFID_PREFIX.length);
  return isGfid(gfid) ? gfid : null;
}

/** Whether `name` is a valid name in a directory. */
export function isEntryName(name: string): boolean {
  if (name === '' || name === '.' || name === '..' || name.includes('/') || name.includes('\0')) return false;
  // In names.ts, one UTF-16 code unit is at most three bytes: only long names need an exact count.
  return (
    name.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(name.replaceAll(/[\uDC80-\uDCFF]/g, 'x')) <= MAX_NAME_BYTES
  );
}

function unsafePathError(): RaisedException {
  return new RaisedException('ValueError', ['unsafe path']);
}
