// Decides from owner, group and mode who can change a file, or what a directory holds.

import type { Stats } from 'node:fs';

const OTHERS_WRITE = 0o002;
const GROUP_WRITES = 0o020;
const STICKY = 0o1000;

/** Users and groups that may change what is asked about. */
export interface Trusted {
  readonly uids: readonly number[];
  readonly gids: readonly number[];
}

/** Not root's group, which may have other members. */
export const ROOT_ALONE: Trusted = { uids: [0], gids: [] };

/** Whether a user beside the trusted ones can change the inode. */
export function isChangeable(stats: Pick<Stats, 'uid' | 'gid' | 'mode' | 'isSymbolicLink'>, { uids, gids }: Trusted): boolean {
  const { uid, gid, mode } = stats;
  if (!uids.includes(uid)) return true;
  // A symlink's mode means nothing.
  if (stats.isSymbolicLink()) return false;
  return (mode & OTHERS_WRITE) !== 0 || ((mode & GROUP_WRITES) !== 0 && !gids.includes(gid));
}

/** Whether such a user can replace another user's entry in the directory. With the sticky bit only the entry's owner can,
 *  and the directory's. */
export function canReplaceIn(dir: Parameters<typeof isChangeable>[0], trusted: Trusted): boolean {
  return isChangeable(dir, trusted) && !((dir.mode & STICKY) !== 0 && trusted.uids.includes(dir.uid));
}
