// purge slot: whether what is deleted on the primary is deleted on the secondary (ignore-deletes).

import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import type { PrimaryBase } from '../base.js';
import type { AbstractCtor } from './mixin.js';

export interface Purge {
  /** What planning and conflict resolution do about names that are gone from the primary. */
  readonly deletes: 'apply' | 'ignore';
  /** Removes names from a directory of the secondary, whole subtrees. Idempotent: names already gone are not
   *  errors. */
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
