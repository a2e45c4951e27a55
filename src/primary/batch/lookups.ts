// Answers a plan's lookups through the primary's mount, concurrently.

import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { PrimaryBrick } from '../deps.js';
import type { PlanFacts, PlanNeeds } from './plan.js';
import { tryInode, InodeError } from '../inode-error.js';
import { fileKind, type PrimaryView, type ViewStat } from '../../protocol/view.js';

export const LOOKUPS_AT_ONCE = 16;

/** @param brick null when xattrs are not synced
 *  @throws errors of the view that are not about one file: see inode-error.ts */
export async function lookUpNeeds(
  view: PrimaryView,
  brick: Pick<PrimaryBrick, 'gfidHasXattrs'> | null,
  needs: PlanNeeds,
): Promise<PlanFacts> {
  const stats = new Map<Gfid, ViewStat | null>();
  const symlinkTargets = new Map<Gfid, string | null>();
  const lookupErrors = new Map<Gfid, string>();
  await mapBounded([...needs.stats], LOOKUPS_AT_ONCE, async (gfid) => {
    const stat = await tryInode(view.lstat(gfidPath(gfid)));
    const isSymlink = stat !== null && !(stat instanceof InodeError) && fileKind(stat.mode) === 'symlink';
    const link = isSymlink ? await tryInode(view.readlink(gfidPath(gfid))) : null;
    if (stat instanceof InodeError) lookupErrors.set(gfid, stat.reason);
    else if (link instanceof InodeError) lookupErrors.set(gfid, link.reason);
    else {
      stats.set(gfid, stat);
      if (isSymlink) symlinkTargets.set(gfid, link);
    }
  });
  const createdWithXattrs = new Set<Gfid>();
  // If the brick cannot read the xattrs, the file is sent: its transfer reports the error.
  if (brick !== null)
    for (const gfid of needs.created)
      if ((await tryInode(brick.gfidHasXattrs(gfid))) !== false) createdWithXattrs.add(gfid);
  return { stats, symlinkTargets, lookupErrors, createdWithXattrs };
}
