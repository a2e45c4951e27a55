// Users' xattrs of an inode, ACLs included: all but the trusted.* and security.* ones.

import { createHash } from 'node:crypto';
import { chmodSync, lstatSync } from 'node:fs';
import { constants } from 'node:os';
import { errnoNumber, lgetxattr, llistxattr, lremovexattr, lsetxattr } from '../native/libc.js';
import { fsEncode } from '../names.js';
import { fileKind, PERMISSIONS } from '../protocol/view.js';

const { ENODATA, ENOENT, ENOTSUP, EACCES, EPERM, ENOTDIR } = constants.errno;
const ABSENT_ERRNOS: readonly number[] = [ENODATA, ENOENT, ENOTSUP, EACCES, EPERM, ENOTDIR];

export const OWNER_WRITE = 0o200;

/** Selects the xattrs to copy. The others stay unchanged on both sides. */
export interface AttributeSelection {
  /** All except ACLs. */
  readonly xattrs: boolean;
  readonly acls: boolean;
}

/** An inode's xattrs and ACLs, and its st_mode. */
export interface UserAttributes {
  readonly mode: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export function isUserXattr(name: string): boolean {
  return !name.startsWith('trusted.') && !name.startsWith('security.');
}

/** @returns an empty map if the inode has no xattrs, cannot have any, or is gone */
export function readUserXattrs(path: string): Map<string, Buffer> {
  return tryReadUserXattrs(path) ?? new Map<string, Buffer>();
}

/** @returns null if there is no such inode */
function tryReadUserXattrs(path: string): Map<string, Buffer> | null {
  const found = new Map<string, Buffer>();
  try {
    for (const name of llistxattr(path)) {
      if (!isUserXattr(name)) continue;
      try {
        found.set(name, lgetxattr(path, name));
      } catch (error) {
        if (!ABSENT_ERRNOS.includes(errnoNumber(error) ?? 0)) throw error;
      }
    }
  } catch (error) {
    const errno = errnoNumber(error) ?? 0;
    if (!ABSENT_ERRNOS.includes(errno)) throw error;
    if (errno === ENOENT || errno === ENOTDIR) return null;
  }
  return found;
}

/** @returns '' if there are no xattrs, null if there is no such inode */
export function xattrDigest(path: string, mode: number): string | null {
  if (fileKind(mode) === 'symlink') return '';
  const found = tryReadUserXattrs(path);
  if (found === null) return null;
  const xattrs = [...found].sort(([a], [b]) => (a < b ? -1 : 1));
  if (xattrs.length === 0) return '';
  const hash = createHash('sha256');
  for (const [name, value] of xattrs) hash.update(`${name}\0${value.length}\0`).update(value);
  return `${xattrs.length}:${hash.digest('base64url')}`;
}

/** @param path leads to the inode, or names it @param ino the expected inode number; null accepts any inode
 *  @returns null if there is nothing to copy: no inode, or a symlink
 *  @throws Error if another inode is there */
export function readUserAttributes(path: string | null, ino: bigint | null): UserAttributes | null {
  if (path === null) return null;
  const mode = requireInode(path, ino);
  if (fileKind(mode) === 'symlink') return null;
  const xattrs = readUserXattrs(path);
  requireInode(path, ino); // still the same one
  return { mode, xattrs };
}

/** @returns st_mode */
function requireInode(path: string, expectedIno: bigint | null): number {
  const { mode, ino } = lstatSync(fsEncode(path), { bigint: true });
  if (expectedIno !== null && ino !== expectedIno) throw new Error(`${path}: another inode is there now`);
  return Number(mode);
}

/** Makes the users' xattrs and ACLs of an inode equal to the wanted ones.
 *  @param path leads to the inode, or names it; not a symlink @throws NativeError, Node system errors */
export function setUserXattrs(path: string, { mode, xattrs }: UserAttributes, selection: AttributeSelection): void {
  const changes = xattrChanges(xattrs, readUserXattrs(path)).filter(([name]) =>
    isAcl(name) ? selection.acls : selection.xattrs,
  );
  const apply = (): void => {
    for (const [name, value] of changes) {
      if (value === null) lremovexattr(path, name);
      else lsetxattr(path, name, value);
    }
  };
  if (process.geteuid?.() === 0) apply();
  else
    withOwnerWrite(
      path,
      mode,
      changes.some(([name]) => !isAcl(name)),
      apply,
    );
}

/** @returns new values; null removes an xattr. ACLs come last, since one may remove the write permission that the others
 *  need. */
function xattrChanges(
  wanted: ReadonlyMap<string, Buffer>,
  present: ReadonlyMap<string, Buffer>,
): (readonly [string, Buffer | null])[] {
  const gone = [...present.keys()].filter((name) => !wanted.has(name)).map((name) => [name, null] as const);
  const changed = [...wanted].filter(([name, value]) => present.get(name)?.equals(value) !== true);
  return [...gone, ...changed].sort(([a], [b]) => Number(isAcl(a)) - Number(isAcl(b)));
}

function isAcl(name: string): boolean {
  return name.startsWith('system.posix_acl_');
}

/** Runs `call`; if `shouldOpen`, with write permission for the owner, which the kernel demands even of an owner for user.*
 *  xattrs. Afterwards removes that permission if `mode` of the primary lacks it. That also cleans up after a worker that
 *  was killed. */
function withOwnerWrite(path: string, mode: number, shouldOpen: boolean, call: () => void): void {
  const stats = lstatSync(fsEncode(path));
  const isWritable = (stats.mode & OWNER_WRITE) !== 0;
  if (shouldOpen && !isWritable) chmodSync(fsEncode(path), (stats.mode & PERMISSIONS) | OWNER_WRITE);
  try {
    call();
  } finally {
    if ((mode & OWNER_WRITE) === 0 && (shouldOpen || isWritable) && !stats.isSymbolicLink())
      chmodSync(fsEncode(path), mode & PERMISSIONS);
  }
}
