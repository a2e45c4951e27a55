// The changes that a changelog records, read from a brick's changelog (decode.ts) or from the consumer's text form
// (text.ts). They are the only input of the planner.

import type { Gfid } from '../protocol/gfid.js';
import type { OpStat } from '../protocol/secondary.js';

/** One change. Names are in the string form of names.ts. `fop` is the upper-case name of the FOP. Only an xsync crawl
 *  writes `stat`. In an entry record the FOP happened at `parent` and `name`. For RENAME they are the old name,
 *  `newParent` and `newName` the new one. CREATE, MKNOD and MKDIR have `mode` (st_mode), `uid` and `gid`. UNLINK and
 *  RMDIR have `deletedPath` (relative to the volume's root) if the changelog captures it. */
export type ChangeRecord =
  | { type: 'data'; gfid: Gfid }
  | { type: 'meta'; gfid: Gfid; fop: string; stat?: OpStat }
  | {
      type: 'entry';
      gfid: Gfid;
      fop: string;
      parent: Gfid;
      name: string;
      newParent?: Gfid;
      newName?: string;
      mode?: number;
      uid?: number;
      gid?: number;
      deletedPath?: string;
    };
