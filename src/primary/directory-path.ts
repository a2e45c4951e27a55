// Path of a directory on the brick, built from its gfid.

import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import type { BrickView } from '../protocol/view.js';
import { InodeError } from './inode-error.js';

/** Limit on a path's depth: a damaged brick's directories, or a peer's answers, may never reach the root. */
export const MAX_DEPTH = 4_096;

/** @returns the path relative to the brick, `.` for the root; null when the directory, or one above it, is gone; an
 *  InodeError when the root is not reached */
export async function directoryPath(
  brick: Pick<BrickView, 'dirLocation'>,
  gfid: Gfid,
): Promise<string | InodeError | null> {
  const names: string[] = [];
  for (let current = gfid; current !== ROOT_GFID;) {
    const location = await brick.dirLocation(current);
    if (location === null) return null;
    if (names.length > MAX_DEPTH) return new InodeError(`path of ${gfid}: the brick's directories form a cycle`);
    names.unshift(location.name);
    current = location.parent;
  }
  return names.join('/') || '.';
}
