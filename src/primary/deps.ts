// Dependencies of the primary's classes, passed to the constructor of the base. Each is an interface or a value. None is
// started or stopped here.

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
import type { BrickView, PrimaryView, ViewStat } from '../protocol/view.js';

/** The worker's arguments, completed. */
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
  /** `[user@]host` of the secondary's node that this worker connects to. */
  readonly resourceRemote: string;
  /** Secondary volume's uuid. */
  readonly secondaryId: string;
}

/** The primary volume through its mount, and the marks on its root. */
export interface PrimaryVolume extends PrimaryView {
  /** null when indexing is off. */
  nativeVolumeInfo(): Promise<VolumeInfo | null>;
  /** Marks of other primaries, without expired ones. */
  foreignVolumeInfos(): Promise<VolumeInfo[]>;
  nodeUuids(): Promise<string[]>;
  /** Whether a brick can miss changes while it is down and the volume is up. False when each subvolume is one brick. */
  isReplicated(): Promise<boolean>;
  /** Stime of this session for the whole volume: the minimum over subvolumes of the maximum over replicas. */
  clusterStime(volumeUuid: string): Promise<Xtime | null>;
  setXtime(path: string, volumeUuid: string, mark: Xtime): Promise<void>;
  /** Announces to the workers of the replica set's other bricks whether this brick's failure list has entries. */
  announceFailures(owes: boolean): Promise<void>;
  /** Names of the replica set's other bricks that announced a failure list with entries. */
  bricksWithFailures(): Promise<string[]>;
}

/** This worker's brick. Paths are relative to it. A mark is null when the path or the xattr is missing. */
export interface PrimaryBrick extends BrickView {
  xtime(path: string, volumeUuid: string): Promise<Xtime | null>;
  /** The xattr in which very old versions kept the stime. */
  legacyStime(path: string, volumeUuid: string): Promise<Xtime | null>;
  stime(path: string, volumeUuid: string): Promise<Xtime | null>;
  setStime(path: string, volumeUuid: string, mark: Xtime): Promise<void>;
  entryStime(volumeUuid: string): Promise<Xtime | null>;
  setEntryStime(volumeUuid: string, mark: Xtime): Promise<void>;
  entries(path: string): Promise<string[]>;
  /** null when it is gone. `nlink` includes the brick's link under .glusterfs. */
  lstat(path: string): Promise<ViewStat | null>;
  gfid(path: string): Promise<Gfid | null>;
  isLinkto(path: string): Promise<boolean>;
  /** Whether a user xattr or an ACL is set. */
  hasXattrs(path: string): Promise<boolean>;
  gfidHasXattrs(gfid: Gfid): Promise<boolean>;
  /** Whether this brick has pending heals for another brick of its replica set. */
  hasPendingHeals(): Promise<boolean>;
  /** A file's attributes on this brick; null when the brick does not hold it. */
  fileOf(gfid: Gfid): Promise<Pick<ViewStat, 'size' | 'mode' | 'allocatedBytes'> | null>;
  /** null when this brick does not hold a regular file with this gfid. Absent if the brick cannot tell. */
  fileState?(gfid: Gfid): Promise<FileState | null>;
}

/** State of a file on the brick. */
export interface FileState {
  /** Differs after every change of content or attributes. */
  readonly version: string;
  /** Time of the last change, milliseconds since 1970. */
  readonly changedMs: number;
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

/** Sends xattrs and ACLs. */
export interface AttributeSender {
  sync(gfids: readonly Gfid[], signal?: AbortSignal): Promise<BoxResult>;
}

export interface PrimaryDeps {
  readonly config: Config;
  readonly session: Session;
  readonly volume: PrimaryVolume;
  /** Lookups through the mount that the MountSelector selects. That mount is fresh enough for the unprocessed changelogs.
   *  When it is the cached one, a lookup takes a third of the time. Absent: `volume` is used. */
  readonly names?: Pick<PrimaryView, 'lstat'>;
  readonly brick: PrimaryBrick;
  readonly secondary: Secondary;
  readonly agent: ChangelogSource;
  readonly queue: SharedQueue;
  readonly engines: { rsync(): DataEngine; tarssh(): DataEngine; attributes(): AttributeSender };
  readonly status: PrimaryStatus;
  readonly failures: FailureList;
  readonly replayTracker: ReplayTracker;
  readonly mountSelector: Pick<MountSelector, 'expectChangesUntil'>;
  readonly log: Log;
  readonly progress?: ProgressSink;
  /** Directory of this brick's unprocessed changelogs, archives and lists. */
  readonly workingDir: string;
  readonly peerNames: 'utf8' | 'bytes';
  /** Whether a file that one batch creates and renames is created under its new name directly. Set where the secondary
   *  rejects a rename to the name of another file, because that file may be another worker's. Default false. */
  readonly canRecreateRenamed?: boolean;
  /** Reads a whole file through the mount that a transfer uses. @throws Node system errors */
  readToEnd(gfid: Gfid, signal: AbortSignal): Promise<void>;
  /** Absent for plain directories, which have no mounts. */
  readonly outdatedMounts?: { noteDenial(): void; crawlDone(hasFailures: boolean): void };
  /** Records durably that an xsync crawl for changes since `from`, seconds, is pending. */
  addPendingCrawl(from: number): Promise<void>;
  /** Tries to take the subvolume's lock on the meta volume. @returns true once this worker holds the lock, and from then on */
  electByMetaVolume(volumeUuid: string): Promise<boolean>;
}
