// engine slot: sends data with tar over ssh, by tarssh-transfer.ts. It suits many small files. Xattrs and ACLs go with rsync:
// tar cannot set xattrs without replacing the inode.

import type { DataEngine } from '../../queue/engine.js';
import { withRsyncEngine, type EngineMixin } from './engine-rsync.js';

export const withTarsshEngine: EngineMixin = (Base) => {
  abstract class TarsshEngine extends withRsyncEngine(Base) {
    override makeEngine(): DataEngine {
      return this.deps.engines.tarssh();
    }
  }
  return TarsshEngine;
};
