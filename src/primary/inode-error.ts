// What the primary refuses to say of one inode: a third answer beside what it is and that it is gone. A damaged or
// stale inode must not stop the worker, since its changelog would come back without end, and must not pass for one that is
// gone, since that would take it away on the secondary. The caller puts such an item in the failure list.

import { constants } from 'node:os';
import { errorLine } from '../errors.js';
import { errnoName, errnoNumber } from '../native/libc.js';

const { errno } = constants;
/** Linux's numbers, for which Node has no names. */
const ESHUTDOWN = 108;
const EHOSTDOWN = 112;
/** They tell of the whole mount, file system or process. */
const MOUNT_WIDE: ReadonlySet<number> = new Set([
  errno.ENOTCONN, errno.ECONNABORTED, errno.ECONNREFUSED, errno.ECONNRESET, errno.ENETDOWN, errno.ENETUNREACH, errno.EHOSTUNREACH, ESHUTDOWN,
  EHOSTDOWN, errno.ETIMEDOUT, errno.EPIPE, errno.ENODEV, errno.EROFS, errno.ENOSPC, errno.ENOSYS, errno.ENOTSUP, errno.ENOMEM, errno.EMFILE,
  errno.ENFILE, errno.EBADF, errno.EINTR,
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
  // features.quota does not hold for geo-replication's client.
  [errno.EDQUOT, "a quota of a brick's file system is used up, or GlusterFS 11's simple-quota"],
]);

/** One line that explains an errno of the secondary for one entry. */
export function peerReason(number: number): string {
  const hint = HINTS.get(number);
  return hint === undefined ? errnoName(number) : `${errnoName(number)} on the secondary: ${hint}`;
}

/** Errnos of setxattr: an inode may have no room for another xattr while the disk has. */
export const NO_ROOM: ReadonlySet<number> = new Set([errno.ENOSPC, errno.EDQUOT]);

/** What an error tells of the one inode that was asked for; null when it is not that inode's.
 *  @param also errnos that are one inode's, too, in what was asked */
export function inodeErrorOf(error: unknown, also: ReadonlySet<number> = new Set()): InodeError | null {
  const number = errnoNumber(error);
  return number === undefined || (MOUNT_WIDE.has(number) && !also.has(number)) ? null : new InodeError(errorLine(error));
}

/** The answer, or the trouble of the one inode that was asked for. @throws whatever is not that inode's */
export async function tryInode<T>(answer: Promise<T>, also?: ReadonlySet<number>): Promise<T | InodeError> {
  try {
    return await answer;
  } catch (error) {
    const trouble = inodeErrorOf(error, also);
    if (trouble === null) throw error;
    return trouble;
  }
}
