// engine slot: sends data with tar over ssh, by tarssh-transfer.ts. It suits many small files.

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

    /** Uses rsync: tar cannot set xattrs without replacing the inode. */
    syncAttributes(gfids: readonly Gfid[], signal: AbortSignal): Promise<BoxResult> {
      return this.deps.engines.attributes().sync(gfids, signal);
    }
  }
  return TarsshEngine;
};
