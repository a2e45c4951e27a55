// A transfer reads files by their links under `.gfid`, and calls a file missing that has none. This says why it has none.

import type { Gfid } from '../protocol/gfid.js';
import { MISSING_ON_PRIMARY, type DataEngine } from '../queue/engine.js';

/** @param why the reason for a file that is there; null for one that is not */
export function sayingWhyUnlinked(engine: DataEngine, why: (gfid: Gfid) => string | null): DataEngine {
  return {
    name: engine.name,
    sync: async (gfids, options) => {
      const outcome = await engine.sync(gfids, options);
      const failed = [...outcome.failed].map(([gfid, reason]) => [gfid, (reason === MISSING_ON_PRIMARY ? why(gfid) : null) ?? reason] as const);
      return { ...outcome, failed: new Map(failed) };
    },
  };
}
