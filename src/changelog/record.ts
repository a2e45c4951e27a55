// What a changelog says, whichever way it was read: from a brick's changelog (decode.ts) or from the
// consumer's text form (text.ts). The planner takes these and nothing else.

import type { Gfid } from '../protocol/gfid.js';
import type { OpStat } from '../protocol/secondary.js';

/** One change. Names are in the string form of names.ts. `fop` is the upper-case name of the operation.
 *  `stat` stands only in records that an xsync crawl wrote. In an entry record `parent` and `name` are where
 *  the operation happened; for RENAME they are the old place, `newParent` and `newName` the new one. `mode`
 *  (st_mode), `uid` and `gid` come with CREATE, MKNOD and MKDIR; `deletedPath` (relative to the volume's
 *  root) with UNLINK and RMDIR of a changelog that captures it. */
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
