// Sends xattrs and ACLs of inodes with equal content, with rsync. Files are sent by gfid, as for data. Directories are sent
// by their real paths: rsync >= 3.4 opens a directory's parent to set its attributes, but `.gfid` cannot be opened. By gfid
// it would silently drop their attributes.

import { errorLine, isGsyncdError } from '../../errors.js';
import type { Gfid } from '../../protocol/gfid.js';
import { bisectingEngine } from '../../queue/bisecting-engine.js';
import type { DataEngine, SyncOptions } from '../../queue/engine.js';
import { SYNCED, type BoxResult, type ItemResult } from '../../queue/syncer.js';
import type { RsyncTransfer } from './rsync-transfer.js';
import { directoryPath } from '../directory-path.js';
import { tryInode, InodeError } from '../inode-error.js';
import type { BrickView } from '../../protocol/view.js';

export interface AttributesTransferOptions {
  readonly rsync: RsyncTransfer;
  readonly brick: Pick<BrickView, 'dirLocation'>;
}

export class AttributesTransfer {
  readonly #rsync: RsyncTransfer;
  readonly #brick: Pick<BrickView, 'dirLocation'>;

  constructor({ rsync, brick }: AttributesTransferOptions) {
    this.#rsync = rsync;
    this.#brick = brick;
  }

  /** Paths of those gfids that are directories, relative to the volume's root. */
  async directories(gfids: Iterable<Gfid>): Promise<Map<Gfid, string>> {
    return (await this.#lookUpDirectories(gfids)).dirs;
  }

  /** @returns paths of the directories, and the reasons for gfids that the brick cannot look up */
  async #lookUpDirectories(gfids: Iterable<Gfid>): Promise<{ dirs: Map<Gfid, string>; errors: Map<Gfid, string> }> {
    const dirs = new Map<Gfid, string>();
    const errors = new Map<Gfid, string>();
    for (const gfid of gfids) {
      const path = await tryInode(directoryPath(this.#brick, gfid));
      if (path instanceof InodeError) errors.set(gfid, path.reason);
      else if (path !== null) dirs.set(gfid, path);
    }
    return { dirs, errors };
  }

  /** @throws GsyncdError 'stopped'; all other failures are in the results */
  async sync(gfids: readonly Gfid[], signal?: AbortSignal): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    const { dirs, errors } = await this.#lookUpDirectories(gfids);
    for (const [gfid, reason] of errors) results.set(gfid, { status: 'failed', reason, scope: 'item' });
    const files = gfids.filter((gfid) => !dirs.has(gfid) && !errors.has(gfid));
    const options: SyncOptions = { logErrors: true, signal };
    try {
      if (files.length > 0) {
        const { synced, failed } = await bisectingEngine(this.#rsync).sync(files, {
          ...options,
          attributes: 'all',
          compareTimes: new Set(files),
        });
        for (const gfid of files) {
          results.set(
            gfid,
            synced.has(gfid) ? SYNCED : { status: 'failed', reason: failed.get(gfid) ?? 'unknown', scope: 'item' },
          );
        }
      }
      if (dirs.size > 0) {
        const { failed } = await bisectingEngine(directoryEngine(this.#rsync, dirs)).sync([...dirs.keys()], options);
        for (const gfid of dirs.keys()) {
          const reason = failed.get(gfid);
          results.set(gfid, reason === undefined ? SYNCED : { status: 'failed', reason, scope: 'item' });
        }
      }
    } catch (error) {
      if (isGsyncdError(error, 'stopped')) throw error;
      for (const gfid of gfids)
        if (!results.has(gfid))
          results.set(gfid, { status: 'failed', reason: errorLine(error), scope: 'transfer', error });
    }
    return results;
  }
}

function directoryEngine(rsync: RsyncTransfer, dirs: ReadonlyMap<Gfid, string>): DataEngine {
  const pathsOf = (gfids: readonly Gfid[]): Map<Gfid, string> =>
    new Map(gfids.map((gfid) => [gfid, dirs.get(gfid) ?? '']));
  return {
    name: rsync.name,
    sync: (gfids, options) =>
      gfids.length === 0 ? rsync.sync(gfids, options) : rsync.syncDirectories(pathsOf(gfids), options),
  };
}
