// engine slot: sends data with rsync, by rsync-transfer.ts.

import type { Gfid } from '../../protocol/gfid.js';
import type { DataEngine, DataItem } from '../../queue/engine.js';
import type { BoxResult } from '../../queue/syncer.js';
import type { PrimaryBase } from '../base.js';
import type { AbstractCtor } from './mixin.js';

export interface Engine {
  /** Makes the engine of the worker's queue. */
  makeEngine(): DataEngine;
  /** Sends files' data. @returns one result per file. @throws GsyncdError 'stopped' */
  syncData(items: readonly DataItem[]): Promise<BoxResult>;
  /** Sends xattrs and ACLs of files and directories whose content is equal on both sides. @throws GsyncdError 'stopped' */
  syncAttributes(gfids: readonly Gfid[], signal: AbortSignal): Promise<BoxResult>;
}

export type EngineMixin = <B extends AbstractCtor<PrimaryBase>>(Base: B) => AbstractCtor<Engine> & B;

export const withRsyncEngine: EngineMixin = (Base) => {
  abstract class RsyncEngine extends Base implements Engine {
    makeEngine(): DataEngine {
      return this.deps.engines.rsync();
    }

    syncData(items: readonly DataItem[]): Promise<BoxResult> {
      return this.deps.queue.sync(items);
    }

    syncAttributes(gfids: readonly Gfid[], signal: AbortSignal): Promise<BoxResult> {
      return this.deps.engines.attributes().sync(gfids, signal);
    }
  }
  return RsyncEngine;
};
