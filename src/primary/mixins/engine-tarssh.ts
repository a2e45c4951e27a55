// engine slot: data travels with tar piped over ssh, good for lots of small files. The transfer itself is
// tarssh-transfer.ts.

import type { Gfid } from '../../protocol/gfid.js';
import type { DataEngine, DataItem } from '../../queue/engine.js';
import type { BoxResult } from '../../queue/syncer.js';
import type { Engine, EngineMixin } from './engine-rsync.js';

export const withTarsshEngine: EngineMixin = (Base) => {
  abstract class TarsshEngine extends Base implements Engine {
    makeEngine(): DataEngine {
      return this.deps.engines.tarssh();
    }

    syncData(items: readonly DataItem[]): Promise<BoxResult> {
      return this.deps.queue.sync(items);
    }

    /** Not tar's: it cannot put xattrs on an inode that must stay the same. */
    syncAttributes(gfids: readonly Gfid[], signal: AbortSignal): Promise<BoxResult> {
      return this.deps.engines.attributes().sync(gfids, signal);
    }
  }
  return TarsshEngine;
};
