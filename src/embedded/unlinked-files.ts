// A transfer opens files by their links under `.gfid`, and reports a file without a link as missing. This engine reports
// why the link is missing.

import type { Gfid } from '../protocol/gfid.js';
import { MISSING_ON_PRIMARY, type DataEngine } from '../queue/engine.js';

/** @param unlinkedReason the reason if the file exists; null if it does not */
export function withUnlinkReason(engine: DataEngine, unlinkedReason: (gfid: Gfid) => string | null): DataEngine {
  return {
    name: engine.name,
    sync: async (gfids, options) => {
      const outcome = await engine.sync(gfids, options);
      const failed = [...outcome.failed].map(
        ([gfid, reason]) => [gfid, (reason === MISSING_ON_PRIMARY ? unlinkedReason(gfid) : null) ?? reason] as const,
      );
      return { ...outcome, failed: new Map(failed) };
    },
  };
}
