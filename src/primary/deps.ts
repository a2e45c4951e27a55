// What the primary's classes are handed, once, in the base's constructor. worker/worker.ts builds it from the
// real things; tests build it from others. Everything here is an interface or a value: no lifecycles.

import type { ChangelogSource } from '../changelog/source.js';
import type { Config } from '../config/config.js';
import type { Gfid } from '../protocol/gfid.js';
import type { Xtime } from '../gluster/xtime.js';
import type { Log } from '../log.js';
import type { ProgressSink } from '../progress/sink.js';
import type { DataEngine, DataItem } from '../queue/engine.js';
import type { BoxResult } from '../queue/syncer.js';
import type { Secondary, VolumeInfo } from '../protocol/secondary.js';
import type { FailureList } from '../status/failures.js';
import type { ReplayTracker } from './reconcile/replay-tracker.js';
import type { MountSelector } from './mount-selector.js';
import type { RsyncTransfer } from './transfer/rsync-transfer.js';
import type { BrickView, PrimaryView, ViewStat } from '../protocol/view.js';

/** Who this worker is: its arguments, completed. */
export interface Session {
  readonly primary: string;
  readonly secondaryVolume: string;
  /** Host of the session's secondary as the admin named it. */
  readonly secondaryHost: string;
  readonly localPath: string;
  readonly localNode: string;
  readonly localNodeId: string;
  readonly subvolNum: number;
  readonly hotTier: boolean;
  /** `[user@]host` of the secondary's node that this worker talks to. */
  readonly resourceRemote: string;
  /** Secondary volume's uuid. */
  readonly secondaryId: string;
}

/** The primary volume through its mount, with the marks that live on its root. */
export interface PrimaryVolume extends PrimaryView {
  /** null when the volume has none: indexing is off. */
  nativeVolumeInfo(): Promise<VolumeInfo | null>;
  /** Marks of other primaries that have not expired. */
  foreignVolumeInfos(): Promise<VolumeInfo[]>;
  nodeUuids(): Promise<string[]>;
  /** Whether a brick may have been away from what happened on the volume: not with one brick a subvolume. */
  keepsCopies(): Promise<boolean>;
  /** The cluster's stime of this session: the least of the subvolumes, the most of their replicas. */
  clusterStime(volumeUuid: string): Promise<Xtime | null>;
  setXtime(path: string, volumeUuid: string, mark: Xtime): Promise<void>;
  /** Tells the workers of the other bricks of the set whether this one's list of failures holds anything. */
  announceOwed(owes: boolean): Promise<void>;
  /** Where other bricks of the set have said so: a name for each. */
  othersOwe(): Promise<string[]>;
}

/** This worker's brick. Paths are relative to it; a mark is null when the path or the mark is missing. */
export interface PrimaryBrick extends BrickView {
  xtime(path: string, volumeUuid: string): Promise<Xtime | null>;
  /** The mark under which very old versions kept the secondary's xtime. */
  legacyStime(path: string, volumeUuid: string): Promise<Xtime | null>;
  stime(path: string, volumeUuid: string): Promise<Xtime | null>;
  setStime(path: string, volumeUuid: string, mark: Xtime): Promise<void>;
  entryStime(volumeUuid: string): Promise<Xtime | null>;
  setEntryStime(volumeUuid: string, mark: Xtime): Promise<void>;
  entries(path: string): Promise<string[]>;
  /** null when it is gone. `nlink` counts the brick's own link. */
  lstat(path: string): Promise<ViewStat | null>;
  gfid(path: string): Promise<Gfid | null>;
  isLinkto(path: string): Promise<boolean>;
  /** Whether a user xattr or an ACL is set. */
  hasXattrs(path: string): Promise<boolean>;
  /** As hasXattrs(), for an inode. */
  gfidHasXattrs(gfid: Gfid): Promise<boolean>;
  /** Whether it has had changes that another brick of its set still lacks. */
  hasPendingHeals(): Promise<boolean>;
  /** A file as far as this brick holds it; null when it holds none. */
  fileOf(gfid: Gfid): Promise<Pick<ViewStat, 'size' | 'mode' | 'allocatedBytes'> | null>;
}

export interface StatusCounts {
  readonly entry?: number;
  readonly data?: number;
  readonly meta?: number;
}

/** The worker's part of the status file. */
export interface PrimaryStatus {
  setActive(): Promise<void>;
  setPassive(): Promise<void>;
  setCrawlStatus(status: 'Hybrid Crawl' | 'History Crawl' | 'Changelog Crawl'): Promise<void>;
  setSecondaryNode(node: string): Promise<void>;
  addCounts(delta: StatusCounts): void;
  setFailures(count: number): void;
  setLastSynced(stime: Xtime, checkpointTime: number, open: { blockedByFailures: boolean }): Promise<void>;
  setLastSyncedEntry(seconds: number): Promise<void>;
  flush(): Promise<void>;
}

/** The one queue that all crawls of a worker share. */
export interface SharedQueue {
  sync(items: readonly DataItem[]): Promise<BoxResult>;
}

/** Sends what is neither content nor plain attributes: xattrs and ACLs. */
export interface AttributeSender {
  sync(gfids: readonly Gfid[], signal?: AbortSignal): Promise<BoxResult>;
}

/** The volumes through mounts that have looked up nothing yet. A GlusterFS client keeps the place where it saw a
 *  directory until it looks there again: when two directories have changed places since, one above the other, it takes
 *  the new path for a cycle and denies it for as long as it lives. */
export interface FreshView {
  readonly volume: PrimaryVolume;
  readonly secondary: Secondary;
  readonly rsync: Pick<RsyncTransfer, 'syncDirectories'>;
  close(): Promise<void>;
}

/** @returns null when there is no other look */
export type OpenFreshView = (signal?: AbortSignal) => Promise<FreshView | null>;

export interface PrimaryDeps {
  readonly config: Config;
  readonly session: Session;
  readonly volume: PrimaryVolume;
  /** Names through the mount that data is read through, which is as fresh as the changelogs in hand need, and else costs
   *  a third. Absent: the volume. */
  readonly names?: Pick<PrimaryView, 'lstat'>;
  readonly brick: PrimaryBrick;
  readonly secondary: Secondary;
  readonly agent: ChangelogSource;
  readonly queue: SharedQueue;
  readonly engines: { rsync(): DataEngine; tarssh(): DataEngine; attributes(): AttributeSender };
  readonly status: PrimaryStatus;
  readonly failures: FailureList;
  readonly replayTracker: ReplayTracker;
  readonly mountSelector: Pick<MountSelector, 'changed'>;
  readonly log: Log;
  /** Absent: no progress is recorded. */
  readonly progress?: ProgressSink;
  /** Directory of this brick's changelogs in hand, archives and lists. */
  readonly workingDir: string;
  readonly peerNames: 'utf8' | 'bytes';
  /** Entry calls that the peer works on at once; null when it does not say. */
  readonly entryLanes?: number | null;
  /** Whether files that a batch creates and renames are made under their new names at once: where a rename to a name that
   *  another file has fails in any case, since it may be another worker's. Default false. */
  readonly makesRenamed?: boolean;
  /** Reads a file to its end as a transfer will. @throws Node system errors */
  readToEnd(gfid: Gfid, signal: AbortSignal): Promise<void>;
  /** Absent where paths are no mounts' affair. */
  readonly openFreshView?: OpenFreshView;
  /** Notes durably that the brick has to be walked for what changed since `from`, seconds. */
  addPendingCrawl(from: number): Promise<void>;
  /** Takes the meta volume's lock of this subvolume; true once it is held, and from then on. */
  electByMetaVolume(volumeUuid: string): Promise<boolean>;
}
