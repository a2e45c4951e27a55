// The primary's side of a model session: the volume as the worker sees it through its mount and on its brick,
// with the marks that live there. Every lookup takes a turn, so that changes can come in between.

import { gfidPath, splitEntryPath, type Gfid } from '../../../src/protocol/gfid.js';
import type { Xtime } from '../../../src/gluster/xtime.js';
import type { PrimaryBrick, PrimaryVolume } from '../../../src/primary/deps.js';
import type { Location, ViewStat } from '../../../src/protocol/view.js';
import type { VolumeInfo } from '../../../src/protocol/secondary.js';
import type { ChangelogWriter } from './changelog.js';
import { FsError, kindOf, type Inode, type ModelVolume } from './volume.js';

export const VOLUME_UUID = '11111111-2222-4333-8444-555555555555';
export const NODE_UUID = '99999999-2222-4333-8444-555555555555';
export const NATIVE_INFO: VolumeInfo = { version: [1, 0], uuid: VOLUME_UUID, retval: 0, volumeMark: [1, 0] };

function viewStat(inode: Inode): ViewStat {
  const { uid, gid, mode, atime, mtime, content } = inode;
  return { uid, gid, mode, atime, mtime, size: content.length, nlink: inode.entries === null ? inode.names.size : 2 };
}

function locations(inode: Inode): Location[] {
  return [...inode.names].map(splitEntryPath);
}

export class ModelMount implements PrimaryVolume {
  native: VolumeInfo | null = NATIVE_INFO;
  foreign: VolumeInfo[] = [];
  /** Whose node comes first in the election. */
  elected: 'this' | 'other' = 'this';
  clusterMark: Xtime | null = null;
  readonly #volume: ModelVolume;
  readonly #changelog: ChangelogWriter;
  readonly #turn: () => Promise<void>;

  constructor(volume: ModelVolume, changelog: ChangelogWriter, turn: () => Promise<void>) {
    this.#volume = volume;
    this.#changelog = changelog;
    this.#turn = turn;
  }

  async lstat(path: string): Promise<ViewStat | null> {
    await this.#turn();
    const inode = this.#volume.lookUp(path);
    return inode === null ? null : viewStat(inode);
  }

  async readlink(path: string): Promise<string | null> {
    await this.#turn();
    const inode = this.#volume.lookUp(path);
    return inode === null || kindOf(inode) !== 'symlink' ? null : inode.target;
  }

  async gfidOf(path: string): Promise<Gfid | null> {
    await this.#turn();
    return this.#volume.lookUp(path)?.gfid ?? null;
  }

  async setXtime(path: string, _volumeUuid: string, mark: Xtime): Promise<void> {
    await this.#turn();
    const inode = this.#volume.lookUp(path);
    if (inode === null) return;
    this.#volume.checkRoom(inode);
    this.#changelog.xtimes.set(inode.gfid, mark);
  }

  nativeVolumeInfo(): Promise<VolumeInfo | null> {
    return Promise.resolve(this.native);
  }

  foreignVolumeInfos(): Promise<VolumeInfo[]> {
    return Promise.resolve(this.foreign);
  }

  nodeUuids(): Promise<string[]> {
    return Promise.resolve([this.elected === 'this' ? NODE_UUID : '00000000-0000-0000-0000-000000000001']);
  }

  isReplicated(): Promise<boolean> {
    return Promise.resolve(true);
  }

  announceFailures(): Promise<void> {
    return Promise.resolve();
  }

  bricksWithFailures(): Promise<string[]> {
    return Promise.resolve([]);
  }

  clusterStime(): Promise<Xtime | null> {
    return Promise.resolve(this.clusterMark);
  }
}

/** The one brick of the volume. Marks are kept by gfid, as a brick keeps them on inodes. */
export class ModelBrick implements PrimaryBrick {
  readonly stimes = new Map<Gfid, Xtime>();
  readonly legacyStimes = new Map<Gfid, Xtime>();
  entryStimeMark: Xtime | null = null;
  /** Whether another brick of the replica set needs a heal. */
  ahead = false;
  readonly #volume: ModelVolume;
  readonly #changelog: ChangelogWriter;
  readonly #turn: () => Promise<void>;

  constructor(volume: ModelVolume, changelog: ChangelogWriter, turn: () => Promise<void>) {
    this.#volume = volume;
    this.#changelog = changelog;
    this.#turn = turn;
  }

  async xtime(path: string): Promise<Xtime | null> {
    await this.#turn();
    const inode = this.#volume.lookUp(path);
    return inode === null ? null : (this.#changelog.xtimes.get(inode.gfid) ?? null);
  }

  legacyStime(path: string): Promise<Xtime | null> {
    return this.#markOf(this.legacyStimes, path);
  }

  stime(path: string): Promise<Xtime | null> {
    return this.#markOf(this.stimes, path);
  }

  async setStime(path: string, _volumeUuid: string, mark: Xtime): Promise<void> {
    const inode = await this.#atOnce(path);
    if (inode === null) return;
    this.#volume.checkRoom(inode);
    this.stimes.set(inode.gfid, mark);
  }

  entryStime(): Promise<Xtime | null> {
    return Promise.resolve(this.entryStimeMark);
  }

  setEntryStime(_volumeUuid: string, mark: Xtime): Promise<void> {
    this.entryStimeMark = mark;
    return Promise.resolve();
  }

  async entries(path: string): Promise<string[]> {
    await this.#turn();
    const inode = this.#volume.lookUp(path);
    if (inode === null) throw new FsError('ENOENT', path);
    if (inode.entries === null) throw new FsError('ENOTDIR', path);
    return [...inode.entries.keys()];
  }

  async lstat(path: string): Promise<ViewStat | null> {
    await this.#turn();
    const inode = this.#volume.lookUp(path);
    if (inode === null) return null;
    const stat = viewStat(inode);
    return { ...stat, nlink: stat.nlink + 1 };
  }

  async gfid(path: string): Promise<Gfid | null> {
    await this.#turn();
    return this.#volume.lookUp(path)?.gfid ?? null;
  }

  isLinkto(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async hasXattrs(path: string): Promise<boolean> {
    const inode = await this.#atOnce(path);
    return inode !== null && inode.xattr !== '';
  }

  gfidHasXattrs(gfid: Gfid): Promise<boolean> {
    return this.hasXattrs(gfidPath(gfid));
  }

  hasPendingHeals(): Promise<boolean> {
    return Promise.resolve(this.ahead);
  }

  async fileOf(gfid: Gfid): Promise<ViewStat | null> {
    const inode = await this.#atOnce(gfidPath(gfid));
    return inode === null || kindOf(inode) !== 'file' ? null : viewStat(inode);
  }

  async dirLocation(gfid: Gfid): Promise<Location | null> {
    await this.#turn();
    const inode = this.#volume.lookUp(gfidPath(gfid));
    return inode === null || inode.entries === null ? null : (locations(inode)[0] ?? null);
  }

  async fileLocations(gfid: Gfid): Promise<Location[]> {
    await this.#turn();
    const inode = this.#volume.lookUp(gfidPath(gfid));
    return inode === null || inode.entries !== null ? [] : locations(inode);
  }

  async childNames(gfid: Gfid): Promise<string[]> {
    await this.#turn();
    return [...(this.#volume.lookUp(gfidPath(gfid))?.entries?.keys() ?? [])];
  }

  /** A lookup that takes no turn. */
  #atOnce(path: string): Promise<Inode | null> {
    return Promise.resolve(path).then((at) => this.#volume.lookUp(at));
  }

  async #markOf(marks: ReadonlyMap<Gfid, Xtime>, path: string): Promise<Xtime | null> {
    const inode = await this.#atOnce(path);
    return inode === null ? null : (marks.get(inode.gfid) ?? null);
  }
}
