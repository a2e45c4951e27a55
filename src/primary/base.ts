// Port of GMasterCommon: volume info, election of the active worker, the crawl loop, the passive worker's duties, marks.
// build.ts mixes in the five slots (mode, sendmark, purge, engine, crawl). The abstract members are the parts of the slots
// that this class needs. The constructor starts nothing.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MAX_CLOCK_SKEW_S } from '../changelog/timeline.js';
import { GsyncdError } from '../errors.js';
import { compareXtime, MINUS_INFINITY, type Xtime } from '../gluster/xtime.js';
import { fsEncode } from '../names.js';
import { namesIfExists } from '../native/if-there.js';
import type { VolumeInfo } from '../protocol/secondary.js';
import type { BatchPipeline } from './batch/batch.js';
import type { PrimaryDeps } from './deps.js';
import { PeerHeal } from './peer-heal.js';
import { delayOrWake } from '../async/wait.js';

/** Path of the brick's root in the calls that read and set marks. */
export const ROOT_PATH = '.';
/** Interval at which a passive worker raises its brick's stime to the cluster's. */
const PASSIVE_INTERVAL_MS = 5_000;

export interface SystemVolinfo {
  readonly native: VolumeInfo | null;
  readonly foreign: VolumeInfo | null;
}

/** What the crawlers of a worker share. */
export interface SharedParts {
  /** Set by crawlwrap(), before any crawl. */
  volinfo: VolumeInfo | null;
  /** Set by the first crawl. */
  pipeline: BatchPipeline | null;
}

export interface CrawlOptions {
  /** Return after one crawl. A worker's first crawl is such a crawl; it also starts the keepalive. */
  readonly oneshot?: boolean;
  /** Start of the live changelog crawl, seconds. History ends there, and an xsync crawl must not set marks past it. */
  readonly registerTime?: number;
  /** An xsync crawl looks for changes since this time, seconds, and ignores the brick's stime. */
  readonly walkFrom?: number;
}

export abstract class PrimaryBase {
  protected readonly deps: PrimaryDeps;
  protected readonly shared: SharedParts;
  protected liveChangelogStart: Xtime | null = null;
  protected walkFrom: Xtime | null = null;
  readonly #peerHeal: PeerHeal;
  /** The checkpoint that the status file shows as completed, seconds. */
  #completedCheckpoint = 0;
  #loggedBlockers = '';

  constructor(deps: PrimaryDeps, shared: SharedParts = { volinfo: null, pipeline: null }) {
    this.deps = deps;
    this.shared = shared;
    this.#peerHeal = new PeerHeal({
      log: deps.log,
      hasPendingHeals: () => deps.brick.hasPendingHeals(),
      clusterStime: () => deps.volume.clusterStime(this.uuid),
      compareNames: (since, which, stop) => this.compareChangelogs(since, which, stop),
    });
  }

  /** mode: the volume info of this volume, and of a foreign primary if one is announced. */
  abstract systemVolinfo(signal: AbortSignal): Promise<SystemVolinfo>;
  /** mode: stime of a path of this brick; MINUS_INFINITY when it is missing or expired. */
  abstract secondaryXtime(path: string): Promise<Xtime | null>;
  /** mode: sets the stime of a path of this brick. */
  abstract markSecondary(path: string, mark: Xtime): Promise<void>;
  /** crawl: one pass. */
  abstract crawl(signal: AbortSignal): Promise<void>;
  /** crawl: waits for the next crawl; resolves early when changes are waiting. */
  abstract nextCrawl(signal: AbortSignal): Promise<void>;
  /** crawl: whether it reads changelogs. */
  abstract get isReadingChangelogs(): boolean;
  /** crawl: compares on both sides the names that unprocessed changelogs remove or rename. Only changelogs that closed at or
   *  after `since`, seconds, are read. */
  abstract compareChangelogs(since: number, which: 'new' | 'all', signal: AbortSignal): Promise<void>;
  /** crawl: retries the due entries of this brick's failure list. */
  abstract retryFailures(signal: AbortSignal): Promise<void>;

  protected get volinfo(): VolumeInfo | null {
    return this.shared.volinfo;
  }

  get uuid(): string {
    if (this.volinfo === null) throw new GsyncdError('primary volume: volume info: not read yet', { code: 'fault' });
    return this.volinfo.uuid;
  }

  get volmark(): Xtime | null {
    return this.volinfo?.volumeMark ?? null;
  }

  dataStime(): Promise<Xtime | null> {
    return this.deps.brick.stime(ROOT_PATH, this.uuid);
  }

  entryStime(): Promise<Xtime | null> {
    return this.deps.brick.entryStime(this.uuid);
  }

  /** Sets the stime of a path. If `attrs` are given, the secondary gets them first. */
  async sendmark(
    path: string,
    mark: Xtime,
    attrs?: { mode?: number; own?: [number, number]; times?: [number, number] },
  ): Promise<void> {
    if (attrs !== undefined) await this.deps.secondary.setattr(path, attrs);
    await this.markSecondary(path, mark);
  }

  /** Sets stime. Everything up to it is synced, or in the failure list on disk. For the brick's root it also updates the status
   *  and the checkpoint. */
  async commitStime(stime: Xtime, path: string = ROOT_PATH): Promise<void> {
    if (compareXtime(stime, MINUS_INFINITY) !== 0) await this.sendmark(path, stime);
    if (path !== ROOT_PATH) return;
    const checkpoint = this.deps.config.getLive('checkpoint');
    const isBlockedByOthers = this.#isCheckpointReached(checkpoint, stime) && (await this.#hasOtherBlockers());
    const blockedByFailures = isBlockedByOthers || this.deps.failures.size > 0;
    await this.deps.status.setLastSynced(stime, checkpoint, { blockedByFailures });
    if (!blockedByFailures && checkpoint <= stime[0]) this.#completedCheckpoint = checkpoint;
  }

  /** Completes a checkpoint that lies before stime, or that waited for failed entries. */
  protected async completeCheckpoint(): Promise<void> {
    const stime = await this.dataStime();
    if (stime !== null && this.#isCheckpointReached(this.deps.config.getLive('checkpoint'), stime))
      await this.commitStime(stime);
  }

  #isCheckpointReached(checkpoint: number, stime: Xtime): boolean {
    return checkpoint !== 0 && checkpoint <= stime[0] && checkpoint !== this.#completedCheckpoint;
  }

  /** Whether another brick of the replica set has a failure list with entries. If that brick's worker was the active one
   *  before, these entries may be older than the checkpoint. */
  async #hasOtherBlockers(): Promise<boolean> {
    const marks = await this.deps.volume.bricksWithFailures();
    const blockers = marks.join(' ');
    if (blockers !== '' && blockers !== this.#loggedBlockers)
      this.deps.log.info('checkpoint: waiting for failures of another brick', { marks });
    this.#loggedBlockers = blockers;
    return blockers !== '';
  }

  /** Sets entry_stime: all entry operations up to it are applied. */
  async commitEntryStime(stime: Xtime): Promise<void> {
    await this.deps.brick.setEntryStime(this.uuid, stime);
    await this.deps.status.setLastSyncedEntry(stime[0]);
  }

  /** Whether this worker is its subvolume's active one. @throws GsyncdError 'preflight' when use-meta-volume is set and the
   *  meta volume is not mounted */
  async shouldCrawl(): Promise<boolean> {
    const { config, session, volume } = this.deps;
    if (config.get('use-meta-volume')) return this.deps.electByMetaVolume(this.uuid);
    return (await volume.nodeUuids()).includes(session.localNodeId);
  }

  /** The next changelogs may cover a time when this brick was down. A heal leaves no records of deletes and renames, so the
   *  names have to be compared. */
  protected async expectReplay(): Promise<void> {
    if (await this.deps.volume.isReplicated()) this.deps.replayTracker.markReplay();
  }

  /** Reads the volume info. Crawls while this worker is active, and raises the brick's marks while it is passive. Settles
   *  when `signal` aborts, or after one crawl when `oneshot`. */
  async crawlwrap(signal: AbortSignal, options: CrawlOptions = {}): Promise<void> {
    const { config, status, log, session } = this.deps;
    this.liveChangelogStart = options.registerTime === undefined ? null : [options.registerTime, 0];
    this.walkFrom = options.walkFrom === undefined ? null : [options.walkFrom, 0];
    const { native, foreign } = await this.systemVolinfo(signal);
    if (native === null)
      throw new GsyncdError(`primary volume ${session.primary}: volume info: unavailable`, { code: 'preflight' });
    this.shared.volinfo = native;
    log.debug('primary volume', { kind: foreign === null ? 'primary' : 'intermediate', volume_id: native.uuid });
    if (native.retval !== 0) log.warn("primary cluster's info may not be valid", { error: native.retval });
    await status.setSecondaryNode(nodeOf(session.resourceRemote));

    let isActive = await this.shouldCrawl();
    let lastElectionMs = performance.now();
    while (!signal.aborted) {
      const failoverMs = config.get('replica-failover-interval') * 1000;
      if (performance.now() - lastElectionMs >= failoverMs) {
        const isElected = await this.shouldCrawl();
        if (isElected && !isActive) await this.expectReplay();
        isActive = isElected;
        lastElectionMs = performance.now();
      }
      await this.deps.failures.announce();
      if (!isActive) {
        await status.setPassive();
        if (!this.isReadingChangelogs || !(await this.#peerHeal.step(signal))) {
          await this.#raiseToClusterStime();
          await this.retryFailures(signal);
          this.deps.outdatedMounts?.crawlDone(this.deps.failures.size > 0);
        }
        await delayOrWake(Math.max(100, Math.min(PASSIVE_INTERVAL_MS, failoverMs)), signal);
        continue;
      }
      this.#peerHeal.reset();
      await status.setActive();
      await this.crawl(signal);
      if (options.oneshot === true) return;
      this.deps.outdatedMounts?.crawlDone(this.deps.failures.size > 0);
      await this.nextCrawl(signal);
    }
  }

  /** Raises the brick's stime to the cluster's, and removes the changelogs before it, which are no longer needed. */
  async #raiseToClusterStime(): Promise<void> {
    const { volume, log, workingDir } = this.deps;
    const clusterStime = await volume.clusterStime(this.uuid);
    const brickStime = await this.secondaryXtime(ROOT_PATH);
    log.debug('Crawl info', { cluster_stime: clusterStime, brick_stime: brickStime });
    if (clusterStime === null || (brickStime !== null && compareXtime(brickStime, clusterStime) >= 0)) return;
    // A stime in the future comes from a clock that was ahead. It would hide all changes until then.
    if (clusterStime[0] > Date.now() / 1000 + MAX_CLOCK_SKEW_S) return;
    await this.commitStime(clusterStime);
    const processing = join(workingDir, '.processing');
    for (const name of await namesIfExists(processing)) {
      const time = Number.parseInt(name.slice(name.lastIndexOf('.') + 1), 10);
      if (name.startsWith('CHANGELOG.') && time < clusterStime[0])
        await rm(fsEncode(join(processing, name)), { force: true });
    }
  }
}

/** Host of `[user@]host[:port]`. */
function nodeOf(resourceRemote: string): string {
  const host = resourceRemote.slice(resourceRemote.lastIndexOf('@') + 1);
  return host.split(':')[0] ?? host;
}
