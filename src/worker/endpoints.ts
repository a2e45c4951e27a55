// What a worker stands on: a primary, a secondary, and the ways between them. endpoints.ts has the real ones,
// endpoints.ts those that are plain directories.

import type { ChangelogSource } from '../changelog/source.js';
import type { EventSubject } from '../gluster/events.js';
import type { Gfid } from '../protocol/gfid.js';
import type { PrimaryDeps, Session } from '../primary/deps.js';
import type { MountSelector } from '../primary/mount-selector.js';
import type { AdaptiveConcurrency } from '../queue/adaptive-concurrency.js';
import type { Cleanup } from '../async/cleanup.js';

/** A session whose parts were found, and are not opened yet. */
export interface Endpoints {
  readonly session: Session;
  /** Who the events of this worker are about. */
  readonly eventSubject: EventSubject;
  /** About how many entries a first walk of the primary will find; null when it cannot be told. Asked of open sites. */
  estimateEntries(): Promise<number | null>;
  /** Connects and opens everything. What has to be undone goes to `cleanup`, also when it throws.
   *  @param workingDir the brick's, which exists @throws GsyncdError */
  open(workingDir: string, cleanup: Cleanup, signal: AbortSignal): Promise<OpenEndpoints>;
}

export interface OpenEndpoints extends Pick<PrimaryDeps, 'volume' | 'names' | 'brick' | 'secondary' | 'engines' | 'peerNames' | 'entryLanes' | 'makesRenamed' | 'openFreshView'> {
  readonly agent: ChangelogSource;
  readonly mountSelector: MountSelector;
  /** Absolute path of a local file that holds what clients read of the file `gfid`; null when there is none. Absent: never. */
  readonly contentFile?: (gfid: Gfid) => Promise<string | null>;
  /** Absent where the secondary is no GlusterFS volume. */
  readonly limiter?: AdaptiveConcurrency;
  /** Each rejects with a GsyncdError when something that the worker stands on has ended, and never resolves. */
  readonly broken: readonly Promise<never>[];
}

/** Members of a site that belong to the secondary. */
export type RemoteParts = Pick<OpenEndpoints, 'secondary' | 'engines' | 'peerNames' | 'entryLanes' | 'broken'>;

/** Finds the session's parts. @throws GsyncdError 'preflight', 'usage' */
export type FindEndpoints = (signal: AbortSignal) => Promise<Endpoints>;
