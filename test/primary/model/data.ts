// The data path between two model volumes: copies content and attributes by gfid as rsync does, one step a file.
// With `times` a file of equal size and mtime is left alone, which is rsync's quick check.

import { gfidPath, type Gfid } from '../../../src/protocol/gfid.js';
import type { SharedQueue } from '../../../src/primary/deps.js';
import { MISSING_ON_PRIMARY, type DataItem } from '../../../src/queue/engine.js';
import type { BoxResult, ItemResult } from '../../../src/queue/syncer.js';
import { kindOf, type Inode, type ModelVolume } from './volume.js';

export class ModelTransfer implements SharedQueue {
  readonly #primary: ModelVolume;
  readonly #secondary: ModelVolume;
  readonly #turn: () => Promise<void>;

  constructor(primary: ModelVolume, secondary: ModelVolume, turn: () => Promise<void>) {
    this.#primary = primary;
    this.#secondary = secondary;
    this.#turn = turn;
  }

  async sync(items: readonly DataItem[]): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    for (const item of items) {
      await this.#turn();
      const reason = this.#copy(item);
      results.set(item.gfid, reason === null ? { status: 'synced' } : { status: 'failed', reason, scope: 'item' });
    }
    return results;
  }

  /** As the engines' attribute senders do. */
  async syncAttributes(gfids: readonly Gfid[]): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    for (const gfid of gfids) {
      await this.#turn();
      const [from, to] = [this.#readable(gfid), this.#secondary.find(gfidPath(gfid))];
      if (typeof from === 'string') {
        results.set(gfid, { status: 'failed', reason: from, scope: 'item' });
        continue;
      }
      if (from !== null && to !== null) to.xattr = from.xattr;
      const reason = from === null ? MISSING_ON_PRIMARY : 'skipped: not on the secondary';
      results.set(
        gfid,
        from !== null && to !== null ? { status: 'synced' } : { status: 'failed', reason, scope: 'item' },
      );
    }
    return results;
  }

  #copy({ gfid, compare }: DataItem): string | null {
    const from = this.#readable(gfid);
    if (typeof from === 'string') return from;
    const to = this.#secondary.find(gfidPath(gfid));
    if (from === null) return MISSING_ON_PRIMARY;
    if (to === null) return 'skipped: not on the secondary';
    if (kindOf(from) === 'symlink') return 'not a file';
    const equal = from.content.length === to.content.length && from.mtime === to.mtime;
    if (compare !== 'times' || !equal) to.content = from.content;
    Object.assign(to, { mode: from.mode, uid: from.uid, gid: from.gid, mtime: from.mtime, xattr: from.xattr });
    return null;
  }

  /** @returns the error's text when the inode cannot be read */
  #readable(gfid: Gfid): Inode | string | null {
    const errno = this.#primary.refused.get(gfid);
    return errno === undefined ? this.#primary.find(gfidPath(gfid)) : `rsync: ${errno}`;
  }
}
