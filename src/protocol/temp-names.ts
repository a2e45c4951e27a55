// Names in the root of the secondary for what is between two places. Should a worker end meanwhile, the next one finds them
// there.

import { entryPath, ROOT_GFID, type Gfid } from './gfid.js';

export const TEMP_PREFIX = '.gsyncd-ts-parked-';
/** Prefix of every parking name, as an entry path. */
export const TEMP_PATH_PREFIX = entryPath(ROOT_GFID, TEMP_PREFIX);

export function tempPath(gfid: Gfid): string {
  return TEMP_PATH_PREFIX + gfid;
}
