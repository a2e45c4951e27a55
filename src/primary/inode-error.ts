// Error of a lookup on the primary that concerns one inode: a third result besides "found" and "gone". A damaged or stale
// inode must not stop the worker, because its changelog would come back after each restart. It must not pass for a deleted
// inode either, because the worker would delete it on the secondary. The caller puts such an inode on the failure list.

import { constants } from 'node:os';
import { errorLine } from '../errors.js';
import { errnoName, errnoNumber } from '../native/libc.js';

const { errno } = constants;
/** Linux's errno numbers that node:os does not define. */
const ESHUTDOWN = 108;
const EHOSTDOWN = 112;
/** Errors of the whole mount, file system or process. */
const MOUNT_WIDE_ERRNOS: ReadonlySet<number> = new Set([
  errno.ENOTCONN,
  errno.ECONNABORTED,
  errno.ECONNREFUSED,
  errno.ECONNRESET,
  errno.ENETDOWN,
  errno.ENETUNREACH,
  errno.EHOSTUNREACH,
  ESHUTDOWN,
  EHOSTDOWN,
  errno.ETIMEDOUT,
  errno.EPIPE,
  errno.ENODEV,
  errno.EROFS,
  errno.ENOSPC,
  errno.ENOSYS,
  errno.ENOTSUP,
  errno.ENOMEM,
  errno.EMFILE,
  errno.ENFILE,
  errno.EBADF,
  errno.EINTR,
]);

export class InodeError {
  /** One line, with the errno's name. */
  readonly reason: string;

  constructor(reason: string) {
    this.reason = reason;
  }
}

const HINTS: ReadonlyMap<number, string> = new Map([
  [errno.EIO, 'disk error, or split-brain (gluster volume heal VOLUME info split-brain)'],
  // features.quota does not limit geo-replication's client.
  [errno.EDQUOT, "a quota of a brick's file system is used up, or GlusterFS 11's simple-quota"],
]);

export function explainPeerErrno(number: number): string {
  const hint = HINTS.get(number);
  return hint === undefined ? errnoName(number) : `${errnoName(number)} on the secondary: ${hint}`;
}

/** Errnos of setxattr that can concern one inode: it may have no room for another xattr while the disk has space. */
export const XATTR_SPACE_ERRNOS: ReadonlySet<number> = new Set([errno.ENOSPC, errno.EDQUOT]);

/** Classifies an error of a lookup.
 *  @param inodeErrnos errnos that concern one inode in this call, although MOUNT_WIDE_ERRNOS has them
 *  @returns null when the error is not about one inode */
export function inodeErrorOf(error: unknown, inodeErrnos: ReadonlySet<number> = new Set()): InodeError | null {
  const number = errnoNumber(error);
  return number === undefined || (MOUNT_WIDE_ERRNOS.has(number) && !inodeErrnos.has(number))
    ? null
    : new InodeError(errorLine(error));
}

/** @returns the answer, or an InodeError when the error concerns one inode. @throws all other errors */
export async function tryInode<T>(answer: Promise<T>, inodeErrnos?: ReadonlySet<number>): Promise<T | InodeError> {
  try {
    return await answer;
  } catch (error) {
    const inodeError = inodeErrorOf(error, inodeErrnos);
    if (inodeError === null) throw error;
    return inodeError;
  }
}
