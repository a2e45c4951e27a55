// The extended attributes of an inode that are the users': everything but what GlusterFS and an embedded brick keep
// for themselves. ACLs are among them. Used by scans, to notice changes, and by the local transfer of attributes.

import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { errnoNumber, lgetxattr, llistxattr } from '../native/libc.js';
import { fileKind } from '../primary/view.js';

const { ENODATA, ENOENT, ENOTSUP, EACCES, EPERM, ENOTDIR } = constants.errno;
const NONE: readonly number[] = [ENODATA, ENOENT, ENOTSUP, EACCES, EPERM, ENOTDIR];

function isOwn(name: string): boolean {
  return name.startsWith('trusted.') || name.startsWith('security.');
}

/** Empty where the inode has none, cannot have any, or is gone. */
export function userXattrs(path: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  try {
    for (const name of llistxattr(path)) {
      if (isOwn(name)) continue;
      try {
        found.set(name, lgetxattr(path, name));
      } catch (error) {
        if (!NONE.includes(errnoNumber(error) ?? 0)) throw error;
      }
    }
  } catch (error) {
    if (!NONE.includes(errnoNumber(error) ?? 0)) throw error;
  }
  return found;
}

/** '' when there are none. */
export function xattrDigest(path: string, mode: number): string {
  if (fileKind(mode) === 'symlink') return '';
  const xattrs = [...userXattrs(path)].sort(([a], [b]) => (a < b ? -1 : 1));
  if (xattrs.length === 0) return '';
  const hash = createHash('sha256');
  for (const [name, value] of xattrs) hash.update(`${name}\0${value.length}\0`).update(value);
  return `${xattrs.length}:${hash.digest('base64url')}`;
}
