// GMasterCommon of the reference: volume info, election of the active worker, the crawl loop, the passive
// worker's duties, marks. The five slots (mode, sendmark, purge, engine, crawl) are mixed in by build.ts; what
// this class needs of them are its abstract members. No lifecycle is started in the constructor.

import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CLOCK_SKEW_S } from '../changelog/timeline.js';
import { GsyncdError, errnoCode } from '../errors.js';
import { compareXtime, MINUS_INFINITY, type Xtime } from '../gluster/xtime.js';
import type { VolumeInfo } from '../protocol/secondary.js';
import type { PrimaryDeps } from './deps.js';
import { delayOrWake } from '../async/wait.js';

/** The root of a brick, as mark paths go. */
export const ROOT_PATH = '.';
/** How often a passive worker brings its brick's mark up to the cluster's. */
const PASSIVE_INTERVAL_MS = 5_000;
/** After the end of a heal, until all changelogs that tell of it are closed and read. */
const HEAL_SETTLES_S = 60;
/** A brick that stays down, and has no active worker, would be waited for without end. */
const STAND_IN_AT_MOST_S = 6 * 3_600;

export interface SystemVolinfo {
  readonly native: VolumeInfo | null;
  readonly foreign: VolumeInfo | null;
}

export interface CrawlOptions {
  /** Return after one crawl; the first crawl of a worker, which also starts the keepalive. */
  readonly oneshot?: boolean;
  /** When changelogs began to be followed, seconds: history ends there, and marks of an xsync crawl must not pass it. */
  readonly registerTime?: number;
  /** An xsync crawl finds what changed from here on, seconds, whatever the brick's mark says. */
  readonly walkFrom?: number;
}

export abstract class PrimaryBase {
  protected readonly deps: PrimaryDeps;
  /** Set by crawlwrap(), before any crawl. */
  protected volinfo: VolumeInfo | null = null;
  protected liveChangelogStart: Xtime | null = null;
  protected walkFrom: Xtime | null = null;
  protected crawls = 0;
  /** Since when, and until when, seconds, another brick of the set has been seen to lack what this one has. */
  #healWindow: { readonly since: number; readonly until: number } | null = null;
  #standsIn = true;
  /** The checkpoint that has been reported as complete, seconds. */
  #completed = 0;
  #blockers = '';

  constructor(deps: PrimaryDeps) {
    this.deps = deps;
  }

  /** mode: which volume info counts. */
  abstract systemVolinfo(signal: AbortSignal): Promise<SystemVolinfo>;
  /** mode: the amended synced-up-to mark of a path of this brick. */
  abstract secondaryXtime(path: string): Promise<Xtime | null>;
  /** mode: sets it. */
  abstract markSecondary(path: string, mark: Xtime): Promise<void>;
  /** crawl: one pass. */
  abstract crawl(signal: AbortSignal): Promise<void>;
  /** crawl: resolves early when there is something to crawl. */
  abstract nextCrawl(signal: AbortSignal): Promise<void>;
  /** crawl: whether it learns of changes from changelogs. */
  abstract get followsChangelogs(): boolean;
  /** crawl: compares the names that changelogs in hand take away which closed at or after `since`, seconds. */
  abstract compareChangelogs(since: number, which: 'new' | 'all', signal: AbortSignal): Promise<void>;
  /** crawl: tries what is on this brick's list of failures and due. */
  abstract retryFailures(signal: AbortSignal): Promise<void>;

  get uuid(): string {
    if (this.volinfo === null) throw new GsyncdError('primary volume: volume info: not read yet', { code: 'fault' });
    return this.volinfo.uuid;
  }

  get volmark(): Xtime | null {
    return this.volinfo?.volumeMark ?? null;
  }

  /** Whether the volume's mark is known, which the keepalive announces. */
  get isInformed(): boolean {
    return this.volinfo !== null;
  }

  dataStime(): Promise<Xtime | null> {
    return this.deps.brick.stime(ROOT_PATH, this.uuid);
  }

  entryStime(): Promise<Xtime | null> {
    return this.deps.brick.entryStime(this.uuid);
  }

  /** Updates the secondary's mark of a path; `attrs` go to the secondary first. */
  async sendmark(path: string, mark: Xtime, attrs?: { mode?: number; own?: [number, number]; times?: [number, number] }): Promise<void> {
    if (attrs !== undefined) await this.deps.secondary.setattr(path, attrs);
    await this.markSecondary(path, mark);
  }

  /** Moves stime, and the status and checkpoint with it when the path is the brick's root. */
  async updStime(stime: Xtime, path: string = ROOT_PATH): Promise<void> {
    if (compareXtime(stime, MINUS_INFINITY) !== 0) await this.sendmark(path, stime);
    if (path !== ROOT_PATH) return;
    const checkpoint = this.deps.config.getLive('checkpoint');
    const waits = this.#isOpen(checkpoint, stime) && (await this.#waitsForOthers());
    const blockedByFailures = waits || this.deps.failures.size > 0;
    await this.deps.status.setLastSynced(stime, checkpoint, { blockedByFailures });
    if (!blockedByFailures && checkpoint <= stime[0]) this.#completed = checkpoint;
  }

  /** Completes a checkpoint that was set in the past, or has waited for failures. */
  protected async judgeCheckpoint(): Promise<void> {
    const stime = await this.dataStime();
    if (stime !== null && this.#isOpen(this.deps.config.getLive('checkpoint'), stime)) await this.updStime(stime);
  }

  #isOpen(checkpoint: number, stime: Xtime): boolean {
    return checkpoint !== 0 && checkpoint <= stime[0] && checkpoint !== this.#completed;
  }

  /** Whether the worker of another brick of the set, which was the active one before, owes what came before the checkpoint. */
  async #waitsForOthers(): Promise<boolean> {
    const marks = await this.deps.volume.othersOwe();
    const blockers = marks.join(' ');
    if (blockers !== '' && blockers !== this.#blockers) this.deps.log.info('checkpoint: waiting for failures of another brick', { marks });
    this.#blockers = blockers;
    return blockers !== '';
  }

  async updEntryStime(stime: Xtime): Promise<void> {
    await this.deps.brick.setEntryStime(this.uuid, stime);
    await this.deps.status.setLastSyncedEntry(stime[0]);
  }

  /** Whether this worker is its subvolume's active one. @throws GsyncdError 'preflight' without a meta volume */
  async shouldCrawl(): Promise<boolean> {
    const { config, session, volume } = this.deps;
    if (config.get('use-meta-volume')) return this.deps.electByMetaVolume(this.uuid);
    return (await volume.nodeUuids()).includes(session.localNodeId);
  }

  /** The changelogs that follow may tell of a time when this brick was away, and heals are silent about what went. */
  protected async expectReplay(): Promise<void> {
    if (await this.deps.volume.keepsCopies()) this.deps.replayTracker.markReplay();
  }

  /** Reads the volume info, then crawls while this worker is the active one, and keeps the marks current
   *  while it is not. Settles when `signal` aborts, or after one crawl when `oneshot`. */
  async crawlwrap(signal: AbortSignal, options: CrawlOptions = {}): Promise<void> {
    const { config, status, log, session } = this.deps;
    this.liveChangelogStart = options.registerTime === undefined ? null : [options.registerTime, 0];
    this.walkFrom = options.walkFrom === undefined ? null : [options.walkFrom, 0];
    const { native, foreign } = await this.systemVolinfo(signal);
    if (native === null) throw new GsyncdError(`primary volume ${session.primary}: volume info: unavailable`, { code: 'preflight' });
    this.volinfo = native;
    log.debug('primary volume', { kind: foreign === null ? 'primary' : 'intermediate', volume_id: native.uuid });
    if (native.retval !== 0) log.warn("primary cluster's info may not be valid", { error: native.retval });
    await status.setSecondaryNode(nodeOf(session.resourceRemote));

    let active = await this.shouldCrawl();
    let electedMs = performance.now();
    while (!signal.aborted) {
      const failoverMs = config.get('replica-failover-interval') * 1000;
      if (performance.now() - electedMs >= failoverMs) {
        const elected = await this.shouldCrawl();
        if (elected && !active) await this.expectReplay();
        active = elected;
        electedMs = performance.now();
      }
      await this.deps.failures.announce();
      if (!active) {
        await status.setPassive();
        if (!(await this.#reconcileDuringHeal(signal))) {
          await this.#followCluster();
          await this.retryFailures(signal);
        }
        await delayOrWake(Math.max(100, Math.min(PASSIVE_INTERVAL_MS, failoverMs)), signal);
        continue;
      }
      this.#healWindow = null; // what the changelogs in hand tell is applied now
      this.#standsIn = true;
      await status.setActive();
      this.crawls += 1;
      await this.crawl(signal);
      if (options.oneshot === true) return;
      await this.nextCrawl(signal);
    }
  }

  /**
   * What happens while another brick of the set is not healed may be in this brick's changelogs only: the other one does
   * not know the names yet that are removed, and its heal leaves no record of them. Where the other brick's worker is the
   * active one, as it is soon after its node came back, this one compares these names: as changelogs close, and all of
   * them again when the heal is over and the active worker is past it. What is new is in the healed brick's changelogs.
   * @returns whether changelogs are to be kept for it
   */
  async #reconcileDuringHeal(signal: AbortSignal): Promise<boolean> {
    if (!this.followsChangelogs) return false;
    const now = Math.floor(Date.now() / 1000);
    const { log, brick, volume } = this.deps;
    if (!(await brick.hasPendingHeals())) this.#standsIn = true;
    else if (this.#standsIn) {
      if (this.#healWindow === null) log.info('peer brick healing: verifying deletes and renames');
      this.#healWindow = { since: Math.min(this.#healWindow?.since ?? now, now - PASSIVE_INTERVAL_MS / 1000), until: now };
    }
    if (this.#healWindow === null) return false;
    const { since, until } = this.#healWindow;
    const reached = (await volume.clusterStime(this.uuid))?.[0] ?? 0;
    const healed = now > until + HEAL_SETTLES_S && reached > until - HEAL_SETTLES_S;
    this.#standsIn = now - since < STAND_IN_AT_MOST_S;
    const over = healed || !this.#standsIn;
    await this.compareChangelogs(since, over ? 'all' : 'new', signal);
    if (!over) return true;
    if (healed) log.info('peer brick healed: deletes and renames are verified', { since, until });
    else log.warn('peer brick still healing: no longer verifying deletes and renames', { since });
    this.#healWindow = null;
    return false;
  }

  /** A passive worker's brick follows the cluster's stime, and its changelogs up to there are not needed. */
  async #followCluster(): Promise<void> {
    const { brick, volume, log, workingDir } = this.deps;
    const clusterStime = await volume.clusterStime(this.uuid);
    const brickStime = await this.secondaryXtime(ROOT_PATH);
    log.debug('Crawl info', { cluster_stime: clusterStime, brick_stime: brickStime });
    if (clusterStime === null || (brickStime !== null && compareXtime(brickStime, clusterStime) >= 0)) return;
    // The stime of a clock that was ahead would also cover the changes until then.
    if (clusterStime[0] > Date.now() / 1000 + CLOCK_SKEW_S) return;
    await brick.setStime(ROOT_PATH, this.uuid, clusterStime);
    await this.updStime(clusterStime);
    const processing = join(workingDir, '.processing');
    for (const name of await namesIn(processing)) {
      const time = Number.parseInt(name.slice(name.lastIndexOf('.') + 1), 10);
      if (name.startsWith('CHANGELOG.') && time < clusterStime[0]) await rm(join(processing, name), { force: true });
    }
  }
}

async function namesIn(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Host of `[user@]host[:port]`. */
export function nodeOf(resourceRemote: string): string {
  const host = resourceRemote.slice(resourceRemote.lastIndexOf('@') + 1);
  return host.split(':')[0] ?? host;
}
