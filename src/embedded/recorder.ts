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
import { changeRecords } from './changes.js';
import { deriveEntries } from './derive.js';
import { DirectoryWatches } from './directory-watches.js';
import { ChangelogWriter } from './changelog-writer.js';
import { handlePath, type BrickLayout } from './layout.js';
import { CLOCK_TICK_MS, Scanner, type Found } from './scan.js';
import { loadSnapshot, saveSnapshot } from './snapshot.js';
import { isDirectory, placeOf, TreeIndex, type IndexNode, type InodeLook } from './tree-index.js';
import { xattrDigest } from './user-xattrs.js';

/** After the first event, wait this long for other events of the same change. */
const GATHER_MS = 30;
/** The names of changelogs have a resolution of one second. */
const MIN_INTERVAL_MS = 1_000;
/** Catches lost events and changes without events, such as writes through mmap. */
const FULL_SCAN_MS = 60_000;
const FULL_SCAN_UNWATCHED_MS = 2_000;
const SNAPSHOT_MS = 30_000;

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
  readonly #watches = new DirectoryWatches((gfid) => this.#hint(gfid));
  readonly #dirty = new Set<Gfid>();
  /** Inodes that changed within one clock tick before the last scan. */
  readonly #racy = new Set<Gfid>();
  #index = new TreeIndex();
  #scanner: Scanner;
  #wake: () => void = () => undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #snapshotMs = 0;
  #changedSinceSnapshot = false;
  #rolloverAtMs = 0;
  #fullScanMs = 0;

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
      await this.#indexAnew();
      return 'indexed';
    }
    this.#index = snapshot.index;
    for (const record of await this.#writer.recordsSince(snapshot.changelogsUpTo)) this.#index.apply(record);
    await this.#writer.open('go on');
    this.#rolloverAtMs = Date.now();
    this.#scanner = this.#newScanner(this.#linkedInodes());
    await this.flush();
    return 'continued';
  }

  /** Records until `signal` aborts. @throws errors of scanning and writing */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const dueMs = Math.min(this.#rolloverAtMs + this.#rolloverMs, this.#fullScanMs + this.#fullScanEveryMs());
      if (this.#dirty.size === 0) await delayOrWake(Math.max(1, dueMs - Date.now()), signal, this.#untilHint());
      if (signal.aborted) return;
      if (this.#dirty.size > 0) await delayOrWake(Math.max(GATHER_MS, this.#rolloverAtMs + MIN_INTERVAL_MS - Date.now()), signal);
      if (signal.aborted) return;
      const isFull = Date.now() >= this.#fullScanMs + this.#fullScanEveryMs();
      await this.#inTurn(async () => {
        if (isFull || this.#dirty.size > 0) await this.#record(isFull ? 'all' : 'hinted');
        if (this.#writer.pending > 0 || Date.now() >= this.#rolloverAtMs + this.#rolloverMs) await this.#rollover();
      });
    }
  }

  /** Scans everything now, and closes the changelog if it has records. @returns number of records found */
  flush(): Promise<number> {
    return this.#inTurn(async () => {
      const records = await this.#record('all');
      if (this.#writer.pending > 0) await this.#rollover();
      return records;
    });
  }

  async close(): Promise<void> {
    this.#watches.close();
    await this.#inTurn(async () => {
      if (this.#writer.pending > 0) await this.#rollover();
      if (this.#changedSinceSnapshot) await this.#saveSnapshot();
      await this.#writer.close();
    });
  }

  /** Sets the xtime of an inode. Does nothing if the index does not hold it. */
  setXtime(gfid: Gfid, mark: Xtime): void {
    const node = this.#index.nodes.get(gfid);
    if (node === undefined) return;
    node.xtime = mark;
    if (this.#layout.xattrs === 'none') return;
    try {
      this.onInode(gfid, (path) => path !== null && lsetxattr(path, xtimeName(this.#layout.identity.volumeId), packXtime(mark)));
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR', 'ENOSPC', 'ELOOP'].includes(errnoCode(error) ?? '')) throw error;
    }
  }

  /** Calls `use` with a safe path of an inode, or with null if the index does not hold it.
   *  @throws NativeError if a directory is no longer at its place */
  onInode<T>(gfid: Gfid, use: (path: string | null) => T): T {
    const node = this.#index.nodes.get(gfid);
    const path = node === undefined ? null : this.#pathOf(node);
    return path === null ? use(null) : this.#layout.beneath.inode(path, use);
  }

  /** @returns why an existing file cannot be sent: it has no link under its gfid, and a new attempt to link it failed.
   *  Otherwise null. */
  whyUnlinked(gfid: Gfid): string | null {
    const node = this.#index.nodes.get(gfid);
    const place = node === undefined ? undefined : placeOf(node);
    const dir = place === undefined ? null : this.#directoryPath(place.parent);
    if (node === undefined || node.look === null || node.children !== null || place === undefined || dir === null) return null;
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
    return new Scanner({ layout: this.#layout, index: this.#index, log: this.#log, onDirectory: (gfid, path) => this.#watches.add(gfid, path) }, linked);
  }

  async #indexAnew(): Promise<void> {
    this.#log.info('indexing the directory', { path: this.#layout.root });
    const found = await this.#scanner.scan('all');
    deriveEntries(this.#index, found);
    this.#takeLooks(found, () => undefined);
    this.#scanner.settleLinks();
    // Open the changelogs before setting xtimes: they must cover all changes after the xtimes.
    await this.#writer.open('new');
    const now = xtimeNow();
    for (const gfid of this.#index.nodes.keys()) this.setXtime(gfid, now);
    // Setting the xtimes changed the inodes' ctimes. Store these, so that no scan records them as changes.
    this.#takeLooks(await this.#scanner.scan('all'), () => undefined);
    this.#fullScanMs = this.#rolloverAtMs = Date.now();
    await this.#saveSnapshot();
    this.#log.info('indexed the directory', { path: this.#layout.root, inodes: this.#index.nodes.size });
  }

  /** @returns number of records written */
  async #record(which: 'all' | 'hinted'): Promise<number> {
    const hinted = new Set(this.#dirty);
    this.#dirty.clear();
    const found = await this.#scanner.scan(which === 'all' || this.#watches.isLimited ? 'all' : hinted);
    if (which === 'all') this.#fullScanMs = Date.now();
    const before = new Map([...found.looks.keys()].map((gfid) => [gfid, stateOf(this.#index.nodes.get(gfid))]));
    const records: ChangeRecord[] = deriveEntries(this.#index, found);
    const named = new Set(records.map(({ gfid }) => gfid));
    this.#takeLooks(found, (node, now) => {
      const was = before.get(node.gfid) ?? null;
      const isNamed = named.has(node.gfid) || was?.links !== node.names.size;
      records.push(...changeRecords(node.gfid, { before: was?.look ?? null, now, entry: was === null ? 'created' : isNamed ? 'named' : 'none' }));
    });
    this.#scanner.settleLinks();
    if (records.length === 0) return 0;
    await this.#writer.append(records);
    this.#changedSinceSnapshot = true;
    for (const gfid of this.#index.takeDropped()) {
      // The deletion is on disk in the changelog, so the link may go.
      this.#watches.remove(gfid);
      removeIfThere(handlePath(this.#layout, gfid));
    }
    this.#mark(records);
    return records.length;
  }

  #takeLooks(found: Found, onEach: (node: IndexNode, now: InodeLook) => void): void {
    const racyNs = BigInt(Date.now() - CLOCK_TICK_MS) * 1_000_000n;
    this.#racy.clear();
    for (const [gfid, { isMarked, ...look }] of found.looks) {
      const node = this.#index.nodes.get(gfid);
      if (node === undefined) continue;
      onEach(node, look);
      // A second change within the same clock tick leaves the same ctime. Make the next scan compare this inode again.
      const isRacy = look.ctimeNs > racyNs && look.ctimeNs !== node.look?.ctimeNs;
      if (isRacy && isMarked !== true) this.#racy.add(gfid);
      this.#index.setLook(node, !isRacy ? look : isMarked === true ? { ...look, isUnsure: true } : { ...look, ctimeNs: look.ctimeNs - 1n });
      if (isRacy) for (const { parent } of node.names.values()) this.#hint(parent);
    }
  }

  /** Sets the xtime of the recorded inodes and of all directories above them, as the marker translator does. */
  #mark(records: readonly ChangeRecord[]): void {
    const now = xtimeNow();
    const marked = new Set<Gfid>();
    const up = (gfid: Gfid | undefined): void => {
      for (let at = gfid; at !== undefined && !marked.has(at); at = placeOf(this.#index.nodes.get(at))?.parent) {
        marked.add(at);
        this.setXtime(at, now);
      }
    };
    for (const record of records) {
      for (const { parent } of this.#index.nodes.get(record.gfid)?.names.values() ?? []) up(parent);
      up(record.gfid);
      if (record.type === 'entry') for (const parent of [record.parent, record.newParent]) up(parent);
    }
    if (this.#layout.xattrs === 'trusted') this.#forgetOwnChanges(marked);
  }

  /** Setting an xtime changes the inode's ctime: stores the new one, so that no scan records it. */
  #forgetOwnChanges(gfids: ReadonlySet<Gfid>): void {
    for (const gfid of gfids) {
      const node = this.#index.nodes.get(gfid);
      if (node === undefined || node.look === null) continue;
      const { look } = node;
      const ctimeNs = this.#unchangedCtime(gfid, look);
      // A user's change within the same clock tick has the same ctime: make the next scan compare all attributes.
      if (ctimeNs !== null) node.look = this.#racy.has(gfid) ? { ...look, ctimeNs: ctimeNs - 1n } : { ...look, ctimeNs, isUnsure: true };
    }
  }

  /** @returns the ctime; null if any other attribute differs from `look` */
  #unchangedCtime(gfid: Gfid, look: InodeLook): bigint | null {
    try {
      return this.onInode(gfid, (path) => {
        const stats = path === null ? null : statOf(path);
        return path !== null && stats !== null && isSame(look, stats) && xattrDigest(path, look.mode) === look.xattrs ? stats.ctimeNs : null;
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
    this.#rolloverAtMs = Date.now();
    if (this.#changedSinceSnapshot && Date.now() - this.#snapshotMs >= SNAPSHOT_MS) await this.#saveSnapshot();
  }

  async #saveSnapshot(): Promise<void> {
    await saveSnapshot(this.#snapshotFile, { index: this.#index, changelogsUpTo: this.#writer.lastTime });
    this.#snapshotMs = Date.now();
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

  #hint(gfid: Gfid): void {
    this.#dirty.add(gfid);
    this.#wake();
  }

  #untilHint(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (this.#dirty.size > 0) resolve();
    });
  }

  #fullScanEveryMs(): number {
    return this.#watches.isLimited ? FULL_SCAN_UNWATCHED_MS : FULL_SCAN_MS;
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(step);
    this.#turn = result.catch((error: unknown) => this.#log.debug('recording failed', { error: errorLine(error) }));
    return result;
  }
}

function isSame({ ino, mtimeNs, size, mode, uid, gid }: InodeLook, stats: InodeStats): boolean {
  return stats.ino === ino && stats.mtimeNs === mtimeNs && stats.size === size && stats.mode === mode && stats.uid === uid && stats.gid === gid;
}

function stateOf(node: IndexNode | undefined): { look: InodeLook | null; links: number } | null {
  return node === undefined ? null : { look: node.look, links: node.names.size };
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(fsEncode(path));
  } catch (error) {
    if (errnoCode(error) !== 'ENOENT') throw error;
  }
}
