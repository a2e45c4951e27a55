// Writes what happens on a model volume as GlusterFS's changelog does: entry records in order, one data record a
// file and interval, one record a file and interval for attributes and one for xattrs, and no record of what a
// rename replaces. Also keeps the change marks of the marker translator: an inode's and all of its ancestors'.

import { GFID_PREFIX, splitEntryPath, type Gfid } from '../../../src/protocol/gfid.js';
import type { Xtime } from '../../../src/gluster/xtime.js';
import type { ChangeRecord } from '../../../src/changelog/record.js';
import type { Inode, ModelVolume, VolumeObserver } from './volume.js';

export interface Changelog {
  /** Time of the rollover, seconds. */
  readonly timeS: number;
  readonly records: readonly ChangeRecord[];
}

export class ChangelogWriter implements VolumeObserver {
  readonly changelogs: Changelog[] = [];
  readonly xtimes = new Map<Gfid, Xtime>();
  readonly #volume: ModelVolume;
  readonly #now: () => Xtime;
  readonly #seen = new Set<string>();
  #open: ChangeRecord[] = [];

  constructor(volume: ModelVolume, now: () => Xtime) {
    this.#volume = volume;
    this.#now = now;
    this.#mark(volume.root);
    volume.observer = this;
  }

  get openRecords(): number {
    return this.#open.length;
  }

  /** Closes the open changelog; an interval without changes leaves none. */
  rollover(timeS: number): void {
    if (this.#open.length > 0) this.changelogs.push({ timeS, records: this.#open });
    this.#open = [];
    this.#seen.clear();
  }

  created(fop: 'CREATE' | 'MKNOD' | 'MKDIR' | 'SYMLINK', path: string, inode: Inode): void {
    const { gfid, mode, uid, gid } = inode;
    this.#open.push({
      type: 'entry',
      gfid,
      fop,
      ...splitEntryPath(path),
      ...(fop === 'SYMLINK' ? {} : { mode, uid, gid }),
    });
    this.#mark(inode);
  }

  linked(path: string, inode: Inode): void {
    this.#open.push({ type: 'entry', gfid: inode.gfid, fop: 'LINK', ...splitEntryPath(path) });
    this.#mark(inode);
    this.#markDir(path);
  }

  removed(fop: 'UNLINK' | 'RMDIR', path: string, inode: Inode): void {
    this.#open.push({ type: 'entry', gfid: inode.gfid, fop, ...splitEntryPath(path) });
    this.#markDir(path);
  }

  renamed(from: string, to: string, inode: Inode): void {
    const { parent: newParent, name: newName } = splitEntryPath(to);
    this.#open.push({ type: 'entry', gfid: inode.gfid, fop: 'RENAME', ...splitEntryPath(from), newParent, newName });
    this.#mark(inode);
    this.#markDir(from);
    this.#markDir(to);
  }

  wrote(inode: Inode): void {
    this.#once(`D ${inode.gfid}`, { type: 'data', gfid: inode.gfid });
    this.#mark(inode);
  }

  setAttributes(inode: Inode): void {
    this.#once(`M ${inode.gfid}`, { type: 'meta', gfid: inode.gfid, fop: 'SETATTR' });
    this.#mark(inode);
  }

  setXattr(inode: Inode): void {
    this.#once(`X ${inode.gfid}`, { type: 'meta', gfid: inode.gfid, fop: 'SETXATTR' });
    this.#mark(inode);
  }

  #once(key: string, record: ChangeRecord): void {
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    this.#open.push(record);
  }

  #markDir(path: string): void {
    const dir = this.#volume.inodes.get(path.slice(GFID_PREFIX.length, GFID_PREFIX.length + 36) as Gfid);
    if (dir !== undefined) this.#mark(dir);
  }

  #mark(inode: Inode): void {
    const now = this.#now();
    for (let at: Inode | undefined = inode; at !== undefined; at = this.#volume.parentOf(at))
      this.xtimes.set(at.gfid, now);
  }
}
