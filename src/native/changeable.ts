// Decides from owner, group and mode who can change a file or a directory's entries.

import type { Stats } from 'node:fs';

const OTHER_WRITE = 0o002;
const GROUP_WRITE = 0o020;
const STICKY = 0o1000;

/** Users and groups that may change the inode in question. */
export interface Trusted {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
}

/** Root's group is not trusted, because it may have other members. */
export const ROOT_ONLY: Trusted = { uids: [0], gids: [] };

/** Whether a user who is not trusted can change the inode. */
export function isChangeable(
  stats: Pick<Stats, 'uid' | 'gid' | 'mode' | 'isSymbolicLink'>,
  { uids, gids }: Trusted,
): boolean {
  const { uid, gid, mode } = stats;
  if (!uids.includes(uid)) return true;
  // The mode of a symlink has no effect.
  if (stats.isSymbolicLink()) return false;
  return (mode & OTHER_WRITE) !== 0 || ((mode & GROUP_WRITE) !== 0 && !gids.includes(gid));
}

/** Whether an untrusted user can replace another user's entry in the directory. With the sticky bit, only the owners of the
 *  entry and of the directory can. */
export function canReplaceIn(dir: Parameters<typeof isChangeable>[0], trusted: Trusted): boolean {
  return isChangeable(dir, trusted) && !((dir.mode & STICKY) !== 0 && trusted.uids.includes(dir.uid));
}
