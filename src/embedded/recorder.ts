// Recorder of a plain-directory primary: detects changes and writes them into changelogs, as the changelog translator does.
// Events are only hints; a scan finds the changes. Invariant: the index holds the state that the changelogs have recorded,
// and the two change together. After a crash at any instruction, open() replays the changelogs into the index. So the next
// scan records every missing change once.

import { lstatSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { ChangeRecord } from '../changelog/record.js';
import { errnoCode, errorLine } from '../errors.js';
import { isGfid, type Gfid } from '../protocol/gfid.js';
import { xtimeName } from '../gluster/xattr-names.js';
import { packXtime, xtimeNow, type Xtime } from '../gluster/xtime.js';
import type { Log } from '../log.js';
import { statOf, type InodeStats } from '../native/beneath.js';
import { lsetxattr } from '../native/libc.js';
import { fsEncode } from '../names.js';
import { delayOrWake } from '../async/wait.js';
import { deriveInodeRecords } from './inode-records.js';
import { deriveEntryRecords } from './entry-records.js';
import { DirectoryWatches } from './directory-watches.js';
import { ChangelogWriter } from './changelog-writer.js';
import { handlePath, type BrickLayout } from './layout.js';
import { CLOCK_TICK_MS, Scanner, type ScanResult } from './scan.js';
import { loadSnapshot, saveSnapshot } from './snapshot.js';
import { isDirectory, placeOf, TreeIndex, type IndexNode, type InodeAttributes } from './tree-index.js';
import { xattrDigest } from './user-xattrs.js';

/** After the first event, wait this long for other events of the same change. */
const COALESCE_MS = 30;
/** The names of changelogs have a resolution of one second. */
const MIN_INTERVAL_MS = 1_000;
/** Catches lost events and changes without events, such as writes through mmap. */
const FULL_SCAN_INTERVAL_MS = 60_000;
const UNWATCHED_FULL_SCAN_INTERVAL_MS = 2_000;
const SNAPSHOT_INTERVAL_MS = 30_000;

export interface RecorderOptions {
  readonly layout: BrickLayout;
  readonly log: Log;
  /** Maximum length of an interval, as changelog.rollover-time. */
  readonly rolloverMs: number;
}

export class Recorder {
  readonly #layout: BrickLayout;
  readonly #log: Log;
  readonly #rolloverMs: number;
  readonly #writer: ChangelogWriter;
  readonly #watches = new DirectoryWatches((gfid) => this.#markDirty(gfid));
  readonly #dirty = new Set<Gfid>();
  /** Inodes that changed within one clock tick before the last scan. */
  readonly #racy = new Set<Gfid>();
  #index = new TreeIndex();
  #scanner: Scanner;
  #wake: () => void = () => undefined;
  #lastTask: Promise<unknown> = Promise.resolve();
  #lastSnapshotMs = 0;
  #changedSinceSnapshot = false;
  #lastRolloverMs = 0;
  #lastFullScanMs = 0;

  constructor(options: RecorderOptions) {
    this.#layout = options.layout;
    this.#log = options.log;
    this.#rolloverMs = options.rolloverMs;
    this.#writer = new ChangelogWriter(options.layout);
    this.#scanner = this.#newScanner(new Map());
  }

  get index(): TreeIndex {
    return this.#index;
  }

  /** Opens the changelogs, and records changes that were made while no worker ran.
   *  @returns `indexed` if the whole brick was indexed: the changelogs do not cover earlier changes */
  async open(): Promise<'indexed' | 'continued'> {
    const snapshot = await loadSnapshot(this.#snapshotFile);
    if (snapshot === null) {
      this.#scanner = this.#newScanner(this.#linkedInodes());
      await this.#indexFromScratch();
      return 'indexed';
    }
    this.#index = snapshot.index;
    for (const record of await this.#writer.recordsSince(snapshot.changelogsUpTo)) this.#index.apply(record);
    await this.#writer.open('continue');
    this.#lastRolloverMs = Date.now();
    this.#scanner = this.#newScanner(this.#linkedInodes());
    await this.flush();
    return 'continued';
  }

  /** Records until `signal` aborts. @throws errors of scanning and writing */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const dueMs = Math.min(
        this.#lastRolloverMs + this.#rolloverMs,
        this.#lastFullScanMs + this.#fullScanIntervalMs(),
      );
      if (this.#dirty.size === 0) await delayOrWake(Math.max(1, dueMs - Date.now()), signal, this.#untilDirty());
      if (signal.aborted) return;
      if (this.#dirty.size > 0)
        await delayOrWake(Math.max(COALESCE_MS, this.#lastRolloverMs + MIN_INTERVAL_MS - Date.now()), signal);
      if (signal.aborted) return;
      const isFull = Date.now() >= this.#lastFullScanMs + this.#fullScanIntervalMs();
      await this.#runExclusively(async () => {
        if (isFull || this.#dirty.size > 0) await this.#recordChanges(isFull ? 'all' : 'hinted');
        if (this.#writer.pendingRecords > 0 || Date.now() >= this.#lastRolloverMs + this.#rolloverMs)
          await this.#rollover();
      });
    }
  }

  /** Scans everything now, and closes the changelog if it has records. @returns number of records found */
  flush(): Promise<number> {
    return this.#runExclusively(async () => {
      const records = await this.#recordChanges('all');
      if (this.#writer.pendingRecords > 0) await this.#rollover();
      return records;
    });
  }

  async close(): Promise<void> {
    this.#watches.close();
    await this.#runExclusively(async () => {
      if (this.#writer.pendingRecords > 0) await this.#rollover();
      if (this.#changedSinceSnapshot) await this.#saveSnapshot();
      await this.#writer.close();
    });
  }

  /** Sets the xtime of an inode. Does nothing if the index does not hold it. */
  setXtime(gfid: Gfid, xtime: Xtime): void {
    const node = this.#index.nodes.get(gfid);
    if (node === undefined) return;
    node.xtime = xtime;
    if (this.#layout.xattrs === 'none') return;
    try {
      this.onInode(
        gfid,
        (path) => path !== null && lsetxattr(path, xtimeName(this.#layout.identity.volumeId), packXtime(xtime)),
      );
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ENOSPC', 'ELOOP'].includes(errnoCode(error) ?? '')) throw error;
    }
  }

  /** Calls `use` with a safe path of an inode, or with null if the index does not hold it.
   *  @throws NativeError if a directory is no longer at its place */
  onInode<T>(gfid: Gfid, use: (path: string | null) => T): T {
    const node = this.#index.nodes.get(gfid);
    const path = node === undefined ? null : this.#pathOf(node);
    return path === null ? use(null) : this.#layout.beneath.withInode(path, use);
  }

  /** @returns why an existing file cannot be sent: it has no link under its gfid, and a new attempt to link it failed.
   *  Otherwise null. */
  unlinkReason(gfid: Gfid): string | null {
    const node = this.#index.nodes.get(gfid);
    const place = node === undefined ? undefined : placeOf(node);
    const dir = place === undefined ? null : this.#directoryPath(place.parent);
    if (node === undefined || node.look === null || node.children !== null || place === undefined || dir === null)
      return null;
    if (statOf(handlePath(this.#layout, gfid)) !== null) return null;
    const code = this.#scanner.relink(gfid, `${dir}/${place.name}`, node.look.ino);
    return code === null ? null : `cannot be linked: ${code}`;
  }

  get #snapshotFile(): string {
    return join(this.#layout.stateDir, 'index');
  }

  #newScanner(linked: Map<bigint, Gfid>): Scanner {
    const { xattrs } = this.#layout;
    this.#log.debug('embedded brick', { path: this.#layout.root, xattrs });
    return new Scanner(
      {
        layout: this.#layout,
        index: this.#index,
        log: this.#log,
        onDirectory: (gfid, path) => this.#watches.add(gfid, path),
      },
      linked,
    );
  }

  async #indexFromScratch(): Promise<void> {
    this.#log.info('indexing the directory', { path: this.#layout.root });
    const found = await this.#scanner.scan('all');
    deriveEntryRecords(this.#index, found);
    this.#storeAttributes(found, () => undefined);
    this.#scanner.pruneLinks();
    // Open the changelogs before setting xtimes: they must cover all changes after the xtimes.
    await this.#writer.open('new');
    const now = xtimeNow();
    for (const gfid of this.#index.nodes.keys()) this.setXtime(gfid, now);
    // Setting the xtimes changed the inodes' ctimes. Store these, so that no scan records them as changes.
    this.#storeAttributes(await this.#scanner.scan('all'), () => undefined);
    this.#lastFullScanMs = this.#lastRolloverMs = Date.now();
    await this.#saveSnapshot();
    this.#log.info('indexed the directory', { path: this.#layout.root, inodes: this.#index.nodes.size });
  }

  /** @returns number of records written */
  async #recordChanges(scope: 'all' | 'hinted'): Promise<number> {
    const hinted = new Set(this.#dirty);
    this.#dirty.clear();
    const found = await this.#scanner.scan(scope === 'all' || this.#watches.isLimited ? 'all' : hinted);
    if (scope === 'all') this.#lastFullScanMs = Date.now();
    const before = new Map([...found.attributes.keys()].map((gfid) => [gfid, stateOf(this.#index.nodes.get(gfid))]));
    const records: ChangeRecord[] = deriveEntryRecords(this.#index, found);
    const named = new Set(records.map(({ gfid }) => gfid));
    this.#storeAttributes(found, (node, now) => {
      const previous = before.get(node.gfid) ?? null;
      const hasChangedNames = named.has(node.gfid) || previous?.links !== node.names.size;
      records.push(
        ...deriveInodeRecords(node.gfid, {
          before: previous?.look ?? null,
          now,
          entry: previous === null ? 'created' : hasChangedNames ? 'named' : 'none',
        }),
      );
    });
    this.#scanner.pruneLinks();
    if (records.length === 0) return 0;
    await this.#writer.append(records);
    this.#changedSinceSnapshot = true;
    for (const gfid of this.#index.takeRemoved()) {
      // The deletion is on disk in the changelog, so the link may go.
      this.#watches.remove(gfid);
      removeIfThere(handlePath(this.#layout, gfid));
    }
    this.#updateXtimes(records);
    return records.length;
  }

  #storeAttributes(found: ScanResult, onEach: (node: IndexNode, now: InodeAttributes) => void): void {
    const racyNs = BigInt(Date.now() - CLOCK_TICK_MS) * 1_000_000n;
    this.#racy.clear();
    for (const [gfid, { isOwnCtime, ...attributes }] of found.attributes) {
      const node = this.#index.nodes.get(gfid);
      if (node === undefined) continue;
      onEach(node, attributes);
      // A second change within the same clock tick leaves the same ctime. Make the next scan compare this inode again.
      const isRacy = attributes.ctimeNs > racyNs && attributes.ctimeNs !== node.look?.ctimeNs;
      if (isRacy && isOwnCtime !== true) this.#racy.add(gfid);
      this.#index.setAttributes(
        node,
        !isRacy
          ? attributes
          : isOwnCtime === true
            ? { ...attributes, hasAmbiguousCtime: true }
            : { ...attributes, ctimeNs: attributes.ctimeNs - 1n },
      );
      if (isRacy) for (const { parent } of node.names.values()) this.#markDirty(parent);
    }
  }

  /** Sets the xtime of the recorded inodes and of all directories above them, as the marker translator does. */
  #updateXtimes(records: readonly ChangeRecord[]): void {
    const now = xtimeNow();
    const updated = new Set<Gfid>();
    const updateUpwards = (gfid: Gfid | undefined): void => {
      for (
        let inode = gfid;
        inode !== undefined && !updated.has(inode);
        inode = placeOf(this.#index.nodes.get(inode))?.parent
      ) {
        updated.add(inode);
        this.setXtime(inode, now);
      }
    };
    for (const record of records) {
      for (const { parent } of this.#index.nodes.get(record.gfid)?.names.values() ?? []) updateUpwards(parent);
      updateUpwards(record.gfid);
      if (record.type === 'entry') for (const parent of [record.parent, record.newParent]) updateUpwards(parent);
    }
    if (this.#layout.xattrs === 'trusted') this.#storeNewCtimes(updated);
  }

  /** Setting an xtime changes the inode's ctime: stores the new one, so that no scan records it. */
  #storeNewCtimes(gfids: ReadonlySet<Gfid>): void {
    for (const gfid of gfids) {
      const node = this.#index.nodes.get(gfid);
      if (node === undefined || node.look === null) continue;
      const { look } = node;
      const ctimeNs = this.#ctimeIfUnchanged(gfid, look);
      // A user's change within the same clock tick has the same ctime: make the next scan compare all attributes.
      if (ctimeNs !== null)
        node.look = this.#racy.has(gfid)
          ? { ...look, ctimeNs: ctimeNs - 1n }
          : { ...look, ctimeNs, hasAmbiguousCtime: true };
    }
  }

  /** @returns the ctime; null if any other attribute differs from `attributes` */
  #ctimeIfUnchanged(gfid: Gfid, attributes: InodeAttributes): bigint | null {
    try {
      return this.onInode(gfid, (path) => {
        const stats = path === null ? null : statOf(path);
        return path !== null &&
          stats !== null &&
          hasSameStats(attributes, stats) &&
          xattrDigest(path, attributes.mode) === attributes.xattrs
          ? stats.ctimeNs
          : null;
      });
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(errnoCode(error) ?? '')) throw error;
      return null;
    }
  }

  #pathOf({ gfid, children }: IndexNode): string | null {
    return children === null ? handlePath(this.#layout, gfid) : this.#directoryPath(gfid);
  }

  #directoryPath(gfid: Gfid): string | null {
    const path = this.#index.pathOf(gfid);
    return path === null ? null : path === '.' ? this.#layout.root : `${this.#layout.root}/${path}`;
  }

  async #rollover(): Promise<void> {
    await this.#writer.rollover();
    this.#lastRolloverMs = Date.now();
    if (this.#changedSinceSnapshot && Date.now() - this.#lastSnapshotMs >= SNAPSHOT_INTERVAL_MS)
      await this.#saveSnapshot();
  }

  async #saveSnapshot(): Promise<void> {
    await saveSnapshot(this.#snapshotFile, { index: this.#index, changelogsUpTo: this.#writer.lastTime });
    this.#lastSnapshotMs = Date.now();
    this.#changedSinceSnapshot = false;
  }

  /** @returns gfids by inode number, of inodes with a link under `.gfid`. Removes links whose file is gone, unless the
   *  index holds them. */
  #linkedInodes(): Map<bigint, Gfid> {
    const linked = new Map<bigint, Gfid>();
    for (const name of readdirSync(this.#layout.gfidDir)) {
      const path = join(this.#layout.gfidDir, name);
      const stats = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      if (!isGfid(name) || stats === undefined) continue;
      if (stats.nlink === 1n && !this.#index.nodes.has(name)) removeIfThere(path);
      else if (!isDirectory(Number(stats.mode))) linked.set(stats.ino, name);
    }
    return linked;
  }

  #markDirty(gfid: Gfid): void {
    this.#dirty.add(gfid);
    this.#wake();
  }

  #untilDirty(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#dirty.size > 0) resolve();
    });
  }

  #fullScanIntervalMs(): number {
    return this.#watches.isLimited ? UNWATCHED_FULL_SCAN_INTERVAL_MS : FULL_SCAN_INTERVAL_MS;
  }

  #runExclusively<T>(task: () => Promise<T>): Promise<T> {
    const result = this.#lastTask.then(task);
    this.#lastTask = result.catch((error: unknown) => this.#log.debug('recording failed', { error: errorLine(error) }));
    return result;
  }
}

function hasSameStats({ ino, mtimeNs, size, mode, uid, gid }: InodeAttributes, stats: InodeStats): boolean {
  return (
    stats.ino === ino &&
    stats.mtimeNs === mtimeNs &&
    stats.size === size &&
    stats.mode === mode &&
    stats.uid === uid &&
    stats.gid === gid
  );
}

function stateOf(node: IndexNode | undefined): { look: InodeAttributes | null; links: number } | null {
  return node === undefined ? null : { look: node.look, links: node.names.size };
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(fsEncode(path));
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
}
