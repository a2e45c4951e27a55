// Temporary names, in the secondary's root, of files between two paths. If a worker ends meanwhile, the next one finds the
// files there.

import { entryPath, ROOT_GFID, type Gfid } from './gfid.js';

export const TEMP_PREFIX = '.gsyncd-ts-parked-';
/** Prefix of every temporary name, as an entry path. */
export const TEMP_PATH_PREFIX = entryPath(ROOT_GFID, TEMP_PREFIX);

export function tempPath(gfid: Gfid): string {
  return TEMP_PATH_PREFIX + gfid;
}
