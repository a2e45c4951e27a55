// Answers a plan's lookups from the primary's mount, many at a time. Used by batch.ts.

import { gfidPath, type Gfid } from '../gluster/gfid.js';
import { mapBounded } from '../process/map-bounded.js';
import type { PrimaryBrick } from './deps.js';
import type { PlanFacts, PlanNeeds } from './plan.js';
import { fileKind, type PrimaryView, type ViewStat } from './view.js';

export const LOOKUPS_AT_ONCE = 16;

/** @param brick null when xattrs are not synced
 *  @throws whatever the view throws for anything but a missing file */
export async function answerNeeds(view: PrimaryView, brick: Pick<PrimaryBrick, 'gfidHasUserXattrs'> | null, needs: PlanNeeds): Promise<PlanFacts> {
  const stats = new Map<Gfid, ViewStat | null>();
  const links = new Map<Gfid, string | null>();
  await mapBounded([...needs.stats], LOOKUPS_AT_ONCE, async (gfid) => {
    const stat = await view.lstat(gfidPath(gfid));
    stats.set(gfid, stat);
    if (stat !== null && fileKind(stat.mode) === 'symlink') links.set(gfid, await view.readlink(gfidPath(gfid)));
  });
  const withXattrs = new Set<Gfid>();
  if (brick !== null) for (const gfid of needs.created) if (await brick.gfidHasUserXattrs(gfid)) withXattrs.add(gfid);
  return { stats, links, withXattrs };
}
