// mode slot: Normal, Partial, Recover. How marks are read, amended and compared, and what is announced to the
// secondary with the keepalive.

import { setTimeout as delay } from 'node:timers/promises';
import { GsyncdError } from '../../errors.js';
import { compareXtime, MINUS_INFINITY, xtimeNow, ZERO_XTIME, type Xtime } from '../../gluster/xtime.js';
import { errnoNumber } from '../../native/libc.js';
import type { VolumeInfo } from '../../protocol/secondary.js';
import type { PrimaryBase, SystemVolinfo } from '../base.js';
import type { PrimaryDeps } from '../deps.js';
import type { AbstractCtor } from './mixin.js';
import { NO_ROOM } from '../inode-error.js';

export interface KeepalivePayload {
  readonly info: VolumeInfo | null;
  /** Seconds until the next one. */
  readonly gapS: number;
}

export interface Mode {
  /** Whether a missing mark on the primary is made: in recover mode unindexed files stay unindexed. */
  makesMarks(): boolean;
  /** Change mark of a path on the brick, made or replaced where it is missing or expired; null: no such path. */
  primaryXtime(path: string): Promise<Xtime | null>;
  /** Synced-up-to mark of a path on the brick; MINUS_INFINITY where there is none. */
  secondaryXtime(path: string): Promise<Xtime | null>;
  markSecondary(path: string, mark: Xtime): Promise<void>;
  needSync(xtime: Xtime, stime: Xtime): boolean;
  /** @throws GsyncdError when the secondary is ahead of the primary */
  checkReversion(path: string, xtime: Xtime, stime: Xtime): void;
  keepalivePayload(timeoutS: number, gapS: number): KeepalivePayload;
  systemVolinfo(signal: AbortSignal): Promise<SystemVolinfo>;
}

/** A mode fills in abstract members of the base, so it asks only for the base. */
export type ModeMixin = <B extends AbstractCtor<PrimaryBase>>(Base: B) => AbstractCtor<Mode> & B;

/** Queries the volume marks of the root. @throws GsyncdError when several foreign primaries are announced */
async function readVolinfo({ volume, session }: PrimaryDeps): Promise<SystemVolinfo> {
  const [foreign, native] = await Promise.all([volume.foreignVolumeInfos(), volume.nativeVolumeInfo()]);
  if (foreign.length > 1) {
    throw new GsyncdError(`primary volume ${session.primary}: volume info: cannot work with multiple foreign primaries`, { code: 'preflight' });
  }
  return { native, foreign: foreign[0] ?? null };
}

export const withNormalMode: ModeMixin = (Base) => {
  abstract class Normal extends Base implements Mode {
    makesMarks(): boolean {
      return true;
    }

    async primaryXtime(path: string): Promise<Xtime | null> {
      const { brick, volume } = this.deps;
      const mark = await brick.xtime(path, this.uuid);
      if (mark !== null && !this.#expired(mark)) return mark;
      if (!this.makesMarks()) return mark !== null && compareXtime(mark, ZERO_XTIME) === 0 ? mark : MINUS_INFINITY;
      if (mark === null && (await brick.lstat(path)) === null) return null;
      const now = xtimeNow();
      // Without a mark it is new to each walk.
      await volume.setXtime(path, this.uuid, now).catch((error: unknown) => {
        if (!NO_ROOM.has(errnoNumber(error) ?? 0)) throw error;
      });
      return now;
    }

    async secondaryXtime(path: string): Promise<Xtime | null> {
      const { brick } = this.deps;
      let mark = await brick.stime(path, this.uuid);
      if (mark === null) {
        mark = await brick.legacyStime(path, this.uuid);
        if (mark !== null) await brick.setStime(path, this.uuid, mark);
      }
      if (mark !== null && (compareXtime(mark, ZERO_XTIME) === 0 || !this.#expired(mark))) return mark;
      return MINUS_INFINITY;
    }

    async markSecondary(path: string, mark: Xtime): Promise<void> {
      await this.deps.brick.setStime(path, this.uuid, mark);
    }

    needSync(xtime: Xtime, stime: Xtime): boolean {
      return compareXtime(xtime, stime) > 0;
    }

    checkReversion(path: string, xtime: Xtime, stime: Xtime): void {
      if (compareXtime(stime, xtime) > 0) throw new GsyncdError(`compare marks: ${path}: timestamp corruption`, { code: 'fault' });
    }

    keepalivePayload(timeoutS: number, gapS: number): KeepalivePayload {
      // Without volume info, announce more often, so that it reaches the secondary soon after it is there.
      if (this.volinfo === null) return { info: null, gapS: Math.min(10, gapS) };
      return { info: { ...this.volinfo, timeout: Math.floor(Date.now() / 1000) + timeoutS }, gapS };
    }

    systemVolinfo(_signal: AbortSignal): Promise<SystemVolinfo> {
      return readVolinfo(this.deps);
    }

    /** Marks from before the volume mark are from before the volume was indexed. */
    #expired(mark: Xtime): boolean {
      return this.volmark !== null && compareXtime(mark, this.volmark) < 0;
    }
  }
  return Normal;
};

/** For a primary that has only part of what the secondary has (a brick): marks may run backwards. */
export const withPartialMode: ModeMixin = (Base) => {
  abstract class Partial extends withNormalMode(Base) {
    override checkReversion(): void {
      // By definition of the mode.
    }
  }
  return Partial;
};

/** Failover and failback: files that are not indexed are left alone, and a foreign primary's announcement is
 *  waited out, so that two primaries never write to one secondary. */
export const withRecoverMode: ModeMixin = (Base) => {
  abstract class Recover extends withNormalMode(Base) {
    override makesMarks(): boolean {
      return false;
    }

    override keepalivePayload(_timeoutS: number, gapS: number): KeepalivePayload {
      return { info: null, gapS };
    }

    override async systemVolinfo(signal: AbortSignal): Promise<SystemVolinfo> {
      const found = await readVolinfo(this.deps);
      if (found.foreign?.timeout === undefined) return found;
      const expiryS = found.foreign.timeout - Math.floor(Date.now() / 1000) + 1;
      this.deps.log.info('foreign volume info found, waiting for expiry', { expiry: expiryS });
      await delay(Math.max(0, expiryS) * 1000, undefined, { signal });
      return readVolinfo(this.deps);
    }
  }
  return Recover;
};
