// Names in the root of the secondary for what is between two places. Should a worker end meanwhile, the next one finds them
// there.

import { entryPath, ROOT_GFID, type Gfid } from './gfid.js';

export const PARK_PREFIX = '.gsyncd-ts-parked-';
/** Prefix of every parking name, as an entry path. */
export const PARKED = entryPath(ROOT_GFID, PARK_PREFIX);

export function parkPath(gfid: Gfid): string {
  return PARKED + gfid;
}
