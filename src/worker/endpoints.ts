// Endpoints of a worker: a primary, a secondary, and the transports between them. gluster/endpoints.ts has those of
// GlusterFS volumes, directory/endpoints.ts those of plain directories.

import type { ChangelogSource } from '../changelog/source.js';
import type { EventSubject } from '../gluster/events.js';
import type { Gfid } from '../protocol/gfid.js';
import type { PrimaryDeps, Session } from '../primary/deps.js';
import type { MountSelector } from '../primary/mount-selector.js';
import type { Cleanup } from '../async/cleanup.js';

/** A session whose parts were found and are not open yet. */
export interface Endpoints {
  readonly session: Session;
  /** Subject of this worker's events. */
  readonly eventSubject: EventSubject;
  /** Approximate number of entries that a first crawl of the primary will find; null when unknown. Call it after open(). */
  estimateEntries(): Promise<number | null>;
  /** Connects and opens everything. Registers its clean-up steps with `cleanup`, also when it throws.
   *  @param workingDir the brick's, which must exist
   *  @throws GsyncdError */
  open(workingDir: string, cleanup: Cleanup, signal: AbortSignal): Promise<OpenEndpoints>;
}

export interface OpenEndpoints extends Pick<
  PrimaryDeps,
  'volume' | 'names' | 'brick' | 'secondary' | 'engines' | 'peerNames' | 'canRecreateRenamed'
> {
  readonly agent: ChangelogSource;
  readonly mountSelector: MountSelector;
  /** Whether the volumes are read through mounts. */
  readonly hasMounts: boolean;
  /** Absolute path of a local file with the content that clients read of `gfid`; null when there is none. Absent: never. */
  readonly contentFile?: (gfid: Gfid) => Promise<string | null>;
  /** Each rejects with a GsyncdError when a process, mount or connection that the worker needs has ended. None resolves. */
  readonly broken: readonly Promise<never>[];
}

/** Members that belong to the secondary. */
export type RemoteParts = Pick<OpenEndpoints, 'secondary' | 'engines' | 'peerNames' | 'broken'>;

/** Finds the session's parts. @throws GsyncdError 'preflight', 'usage' */
export type FindEndpoints = (signal: AbortSignal) => Promise<Endpoints>;
