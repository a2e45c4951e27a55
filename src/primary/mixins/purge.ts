// purge slot: whether deletes are replicated (ignore-deletes).

import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import type { PrimaryBase } from '../base.js';
import type { AbstractCtor } from './mixin.js';

export interface Purge {
  /** How planning and conflict resolution treat names that are gone from the primary. */
  readonly deletes: 'apply' | 'ignore';
  /** Removes names, with whole subtrees, from a directory of the secondary. Idempotent: a name that is already gone is no
   *  error. */
  purgeMissing(dir: Gfid, names: readonly string[]): Promise<void>;
}

export type PurgeMixin = <B extends AbstractCtor<PrimaryBase>>(Base: B) => AbstractCtor<Purge> & B;

export const withPurgeNormal: PurgeMixin = (Base) => {
  abstract class PurgeNormal extends Base implements Purge {
    get deletes(): 'apply' {
      return 'apply';
    }

    purgeMissing(dir: Gfid, names: readonly string[]): Promise<void> {
      return names.length === 0 ? Promise.resolve() : this.deps.secondary.purge(gfidPath(dir), names);
    }
  }
  return PurgeNormal;
};

export const withPurgeNoop: PurgeMixin = (Base) => {
  abstract class PurgeNoop extends Base implements Purge {
    get deletes(): 'ignore' {
      return 'ignore';
    }

    purgeMissing(): Promise<void> {
      return Promise.resolve();
    }
  }
  return PurgeNoop;
};
