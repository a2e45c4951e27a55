// mode slot: Normal, Partial, Recover. A mode reads, corrects and compares marks, and chooses the payload of the keepalive.

import { setTimeout as delay } from 'node:timers/promises';
import { GsyncdError } from '../../errors.js';
import { compareXtime, MINUS_INFINITY, xtimeNow, ZERO_XTIME, type Xtime } from '../../gluster/xtime.js';
import { errnoNumber } from '../../native/libc.js';
import type { VolumeInfo } from '../../protocol/secondary.js';
import type { PrimaryBase, SystemVolinfo } from '../base.js';
import type { PrimaryDeps } from '../deps.js';
import type { AbstractCtor } from './mixin.js';
import { XATTR_SPACE_ERRNOS } from '../inode-error.js';

export interface KeepalivePayload {
  readonly info: VolumeInfo | null;
  /** Seconds until the next keepalive. */
  readonly gapS: number;
}

export interface Mode {
  /** Whether a missing xtime is created. In recover mode, files without xtime stay without. */
  shouldCreateMarks(): boolean;
  /** Xtime of a path on the brick. If shouldCreateMarks(), a missing or expired xtime is set to now, and null means that the
   *  path does not exist. Otherwise MINUS_INFINITY stands for a missing or expired xtime. */
  primaryXtime(path: string): Promise<Xtime | null>;
  /** Stime of a path on the brick; MINUS_INFINITY when it is missing or expired. */
  secondaryXtime(path: string): Promise<Xtime | null>;
  markSecondary(path: string, mark: Xtime): Promise<void>;
  needSync(xtime: Xtime, stime: Xtime): boolean;
  /** @throws GsyncdError when the secondary is ahead of the primary */
  checkReversion(path: string, xtime: Xtime, stime: Xtime): void;
  keepalivePayload(timeoutS: number, gapS: number): KeepalivePayload;
  systemVolinfo(signal: AbortSignal): Promise<SystemVolinfo>;
}

/** A mode implements abstract members of the base, so it needs only the base. */
export type ModeMixin = <B extends AbstractCtor<PrimaryBase>>(Base: B) => AbstractCtor<Mode> & B;

/** Reads the volume marks of the root. @throws GsyncdError when several foreign primaries are announced */
async function readVolinfo({ volume, session }: PrimaryDeps): Promise<SystemVolinfo> {
  const [foreign, native] = await Promise.all([volume.foreignVolumeInfos(), volume.nativeVolumeInfo()]);
  if (foreign.length > 1) {
    throw new GsyncdError(
      `primary volume ${session.primary}: volume info: cannot work with multiple foreign primaries`,
      { code: 'preflight' },
    );
  }
  return { native, foreign: foreign[0] ?? null };
}

export const withNormalMode: ModeMixin = (Base) => {
  abstract class Normal extends Base implements Mode {
    shouldCreateMarks(): boolean {
      return true;
    }

    async primaryXtime(path: string): Promise<Xtime | null> {
      const { brick, volume } = this.deps;
      const mark = await brick.xtime(path, this.uuid);
      if (mark !== null && !this.#isExpired(mark)) return mark;
      if (!this.shouldCreateMarks())
        return mark !== null && compareXtime(mark, ZERO_XTIME) === 0 ? mark : MINUS_INFINITY;
      if (mark === null && (await brick.lstat(path)) === null) return null;
      const now = xtimeNow();
      // Persist the xtime, or every crawl syncs this file again.
      await volume.setXtime(path, this.uuid, now).catch((error: unknown) => {
        if (!XATTR_SPACE_ERRNOS.has(errnoNumber(error) ?? 0)) throw error;
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
      if (mark !== null && (compareXtime(mark, ZERO_XTIME) === 0 || !this.#isExpired(mark))) return mark;
      return MINUS_INFINITY;
    }

    async markSecondary(path: string, mark: Xtime): Promise<void> {
      await this.deps.brick.setStime(path, this.uuid, mark);
    }

    needSync(xtime: Xtime, stime: Xtime): boolean {
      return compareXtime(xtime, stime) > 0;
    }

    checkReversion(path: string, xtime: Xtime, stime: Xtime): void {
      if (compareXtime(stime, xtime) > 0)
        throw new GsyncdError(`compare marks: ${path}: timestamp corruption`, { code: 'fault' });
    }

    keepalivePayload(timeoutS: number, gapS: number): KeepalivePayload {
      // Without volume info, announce more often, so that the secondary gets it soon after it is available.
      if (this.volinfo === null) return { info: null, gapS: Math.min(10, gapS) };
      return { info: { ...this.volinfo, timeout: Math.floor(Date.now() / 1000) + timeoutS }, gapS };
    }

    systemVolinfo(_signal: AbortSignal): Promise<SystemVolinfo> {
      return readVolinfo(this.deps);
    }

    /** A mark older than the volume mark was set before indexing was enabled. */
    #isExpired(mark: Xtime): boolean {
      return this.volmark !== null && compareXtime(mark, this.volmark) < 0;
    }
  }
  return Normal;
};

/** For a primary with only part of the secondary's files (a brick): stime may be later than xtime. */
export const withPartialMode: ModeMixin = (Base) => {
  abstract class Partial extends withNormalMode(Base) {
    override checkReversion(): void {
      // stime may be later than xtime in this mode.
    }
  }
  return Partial;
};

/** For failover and failback: files without xtime are not synced. The worker waits until a foreign primary's announcement
 *  expires, so that two primaries never write to one secondary. */
export const withRecoverMode: ModeMixin = (Base) => {
  abstract class Recover extends withNormalMode(Base) {
    override shouldCreateMarks(): boolean {
      return false;
    }

    override keepalivePayload(_timeoutS: number, gapS: number): KeepalivePayload {
      return { info: null, gapS };
    }

    override async systemVolinfo(signal: AbortSignal): Promise<SystemVolinfo> {
      const volinfo = await readVolinfo(this.deps);
      if (volinfo.foreign?.timeout === undefined) return volinfo;
      const expiryS = volinfo.foreign.timeout - Math.floor(Date.now() / 1000) + 1;
      this.deps.log.info('foreign volume info found, waiting for expiry', { expiry: expiryS });
      await delay(Math.max(0, expiryS) * 1000, undefined, { signal });
      return readVolinfo(this.deps);
    }
  }
  return Recover;
};
