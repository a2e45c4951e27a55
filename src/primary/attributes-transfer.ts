// Sends extended attributes and ACLs of inodes whose content agrees, with rsync. Files go by gfid like data;
// directories cannot: rsync >= 3.4 opens a directory's parent to set its attributes, and `.gfid` itself cannot be
// opened, so their attributes would be dropped without a word. Their real paths can. Used by both engine slots.

import { errorLine, GsyncdError, isGsyncdError } from '../errors.js';
import { ROOT_GFID, type Gfid } from '../gluster/gfid.js';
import type { BoxResult, ItemResult } from '../queue/syncer.js';
import type { SyncOptions } from '../queue/engine.js';
import { NO_SUCH_DIRECTORY, type RsyncTransfer } from './rsync-transfer.js';
import type { BrickView } from './view.js';

const SYNCED: ItemResult = { status: 'synced' };

/** A transfer between mounts that have looked up nothing yet. */
export interface FreshView {
  readonly rsync: RsyncTransfer;
  close(): Promise<void>;
}

/** @returns null when none of the directories is there on the secondary, so that another look is of no use */
export type OpenFreshView = (dirs: Iterable<Gfid>, signal: AbortSignal | undefined) => Promise<FreshView | null>;

export class AttributesTransfer {
  readonly #rsync: RsyncTransfer;
  readonly #brick: Pick<BrickView, 'dirLocation'>;
  readonly #openFreshView: OpenFreshView;

  constructor(rsync: RsyncTransfer, brick: Pick<BrickView, 'dirLocation'>, openFreshView: OpenFreshView = () => Promise.resolve(null)) {
    this.#rsync = rsync;
    this.#brick = brick;
    this.#openFreshView = openFreshView;
  }

  /** Paths, relative to the volume's root, of those of the gfids that are directories. */
  async directories(gfids: Iterable<Gfid>): Promise<Map<Gfid, string>> {
    const paths = new Map<Gfid, string>();
    for (const gfid of gfids) {
      const path = await this.#pathOf(gfid);
      if (path !== null) paths.set(gfid, path);
    }
    return paths;
  }

  /** @throws GsyncdError 'stopped'; anything else that goes wrong is in the results */
  async sync(gfids: readonly Gfid[], signal?: AbortSignal): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    const dirs = await this.directories(gfids);
    const files = gfids.filter((gfid) => !dirs.has(gfid));
    const options = { logErrors: true, ...(signal === undefined ? {} : { signal }) };
    try {
      if (files.length > 0) {
        const { synced, failed } = await this.#rsync.sync(files, { ...options, attributes: 'all', compareTimes: new Set(files) });
        for (const gfid of files) {
          results.set(gfid, synced.has(gfid) ? SYNCED : { status: 'failed', reason: failed.get(gfid) ?? 'unknown', scope: 'item' });
        }
      }
      if (dirs.size > 0) {
        const failed = await this.#syncDirectories(dirs, options);
        for (const gfid of dirs.keys()) {
          const reason = failed.get(gfid);
          results.set(gfid, reason === undefined ? SYNCED : { status: 'failed', reason, scope: 'item' });
        }
      }
    } catch (error) {
      if (isGsyncdError(error, 'stopped')) throw error;
      for (const gfid of gfids) if (!results.has(gfid)) results.set(gfid, { status: 'failed', reason: errorLine(error), scope: 'transfer', error });
    }
    return results;
  }

  /**
   * A GlusterFS client keeps the place where it saw a directory until it looks there again. When two directories have
   * changed places since, one above the other, it takes the new path for a cycle and denies it for ever; only a client
   * that has not seen the old one resolves it.
   */
  async #syncDirectories(dirs: ReadonlyMap<Gfid, string>, options: SyncOptions): Promise<Map<Gfid, string>> {
    const failed = await this.#rsync.syncDirectories(dirs, options);
    const denied = new Map([...dirs].filter(([gfid]) => failed.get(gfid) === NO_SUCH_DIRECTORY));
    if (denied.size === 0) return failed;
    const view = await this.#openFreshView(denied.keys(), options.signal);
    if (view === null) return failed;
    try {
      const again = await view.rsync.syncDirectories(denied, options);
      for (const gfid of denied.keys()) failed.delete(gfid);
      for (const [gfid, reason] of again) failed.set(gfid, reason);
      return failed;
    } finally {
      await view.close();
    }
  }

  async #pathOf(gfid: Gfid): Promise<string | null> {
    if (gfid === ROOT_GFID) return '.';
    const parts: string[] = [];
    for (let at = gfid; at !== ROOT_GFID; ) {
      const here = await this.#brick.dirLocation(at);
      if (here === null) return null;
      if (parts.length > 4096) throw new GsyncdError(`path of ${gfid}: the brick's directories form a cycle`, { code: 'fault' });
      parts.unshift(here.name);
      at = here.parent;
    }
    return parts.join('/');
  }
}
