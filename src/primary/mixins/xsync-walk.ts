// Walks a brick by xtime and yields chunks of work. A chunk has the records of an XSYNC-CHANGELOG file, and the directories
// whose stime may be raised once these records are synced. It also has the entries that the brick cannot read, which must be
// on the failure list by then. Port of Xcrawl. Invariant: a directory's stime comes with or after the chunk that completes
// its subtree, and a directory's record comes before its children's.

import type { ChangeRecord } from '../../changelog/record.js';
import { errnoCode } from '../../errors.js';
import { entryPath, ROOT_GFID, type Gfid } from '../../protocol/gfid.js';
import { compareXtime, maxXtime, MINUS_INFINITY, minXtime, ZERO_XTIME, type Xtime } from '../../gluster/xtime.js';
import type { Log } from '../../log.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { PrimaryBrick } from '../deps.js';
import { directoryPath } from '../directory-path.js';
import { tryInode, InodeError, inodeErrorOf } from '../inode-error.js';
import { fileKind, S_ISVTX, toOpStat, type ViewStat } from '../../protocol/view.js';

/** Small, so that data is sent while the next chunk's names are created. The reference uses 8,192. */
const CHUNK_ENTRIES = 512;
const LOOKUPS_AT_ONCE = 32;

export interface WalkMode {
  primaryXtime(path: string): Promise<Xtime | null>;
  secondaryXtime(path: string): Promise<Xtime | null>;
  needSync(xtime: Xtime, stime: Xtime): boolean;
  checkReversion(path: string, xtime: Xtime, stime: Xtime): void;
}

export interface WalkChunk {
  readonly entryCount: number;
  readonly records: ChangeRecord[];
  /** Path relative to the brick, the gfid found there, and the new stime. */
  readonly stimes: readonly { readonly path: string; readonly gfid: Gfid; readonly mark: Xtime }[];
  /** Entries that were skipped, with everything below them. */
  readonly skipped: readonly SkippedEntry[];
  /** Directories with a new xtime: names may have been removed from them. */
  readonly changedDirs: readonly Gfid[];
}

export interface SkippedEntry {
  /** Entry path. */
  readonly entry: string;
  readonly reason: string;
}

export interface WalkBounds {
  /** Stime is not raised past it. After it, changelogs record deletes and renames, and a walk would miss them. */
  readonly limit: Xtime | null;
  /** Look for changes after this time; null: after the brick's own stime. */
  readonly from: Xtime | null;
}

/** A directory and the path where the walk found it. */
interface Dir {
  readonly path: string;
  readonly gfid: Gfid;
  readonly xtime: Xtime;
  /** Entry path; null for the root. */
  readonly entry: string | null;
}

interface Candidate {
  readonly path: string;
  readonly name: string;
  readonly xtime: Xtime;
  readonly stat: ViewStat;
  readonly gfid: Gfid;
}

export class XsyncWalk {
  readonly #brick: PrimaryBrick;
  readonly #mode: WalkMode;
  readonly #log: Log;
  readonly #bounds: WalkBounds;
  #rootStime: Xtime = MINUS_INFINITY;
  #records: ChangeRecord[] = [];
  #stimes: { path: string; gfid: Gfid; mark: Xtime }[] = [];
  #skipped: SkippedEntry[] = [];
  #changedDirs: Gfid[] = [];
  #entryCount = 0;

  constructor(brick: PrimaryBrick, mode: WalkMode, log: Log, bounds: WalkBounds) {
    this.#brick = brick;
    this.#mode = mode;
    this.#log = log;
    this.#bounds = bounds;
  }

  /** @throws errors of the brick that are not about one entry (see inode-error.ts), and all errors about its root. Entries
   *  that vanish meanwhile are skipped */
  async *chunks(signal: AbortSignal): AsyncGenerator<WalkChunk, void> {
    this.#rootStime = this.#bounds.from ?? (await this.#mode.secondaryXtime('.')) ?? MINUS_INFINITY;
    const xtime = (await this.#mode.primaryXtime('.')) ?? MINUS_INFINITY;
    yield* this.#directory({ path: '.', gfid: ROOT_GFID, xtime, entry: null }, signal);
    this.#stimes.push({ path: '.', gfid: ROOT_GFID, mark: this.#clampToLimit(xtime) });
    yield this.#takeChunk();
  }

  async *#directory(dir: Dir, signal: AbortSignal): AsyncGenerator<WalkChunk, void> {
    const opened = await this.#orSkip(dir, this.#open(dir), 'skipping directory');
    if (opened === null) return;
    const { path, stime, names } = opened;
    const { gfid } = dir;
    this.#changedDirs.push(gfid);
    this.#mode.checkReversion(path, dir.xtime, stime);
    for (let i = 0; i < names.length; i += LOOKUPS_AT_ONCE) {
      signal.throwIfAborted();
      const candidates = await mapBounded(names.slice(i, i + LOOKUPS_AT_ONCE), LOOKUPS_AT_ONCE, (name) => {
        const location = { path: path === '.' ? name : `${path}/${name}`, entry: entryPath(gfid, name) };
        return this.#orSkip(location, this.#candidate(location.path, name, stime));
      });
      // If the directory was moved meanwhile, the lookups at its old path have failed. The rename is in a changelog, but it
      // does not bring the directory's content.
      const isUnmoved = await this.#orSkip(dir, this.#isAt(path, gfid), 'skipping directory');
      if (isUnmoved === null) return;
      if (!isUnmoved) return yield* this.#directory({ ...dir, path }, signal);
      for (const entry of candidates) {
        if (entry === null) continue;
        await this.#record(gfid, entry);
        if (this.#entryCount >= CHUNK_ENTRIES) yield this.#takeChunk();
        if (fileKind(entry.stat.mode) !== 'dir') continue;
        yield* this.#directory({ ...entry, entry: entryPath(gfid, entry.name) }, signal);
        this.#stimes.push({ path: entry.path, gfid: entry.gfid, mark: this.#clampToLimit(entry.xtime) });
      }
    }
  }

  /** @returns a directory's present path, stime and names; null when it is gone or unchanged */
  async #open({ path: lastPath, gfid, xtime }: Dir): Promise<{ path: string; stime: Xtime; names: string[] } | null> {
    for (let currentPath = lastPath; ;) {
      const path = await this.#currentPath(currentPath, gfid);
      if (path === null) return null;
      const stime = await this.#stimeOf(path);
      const isDue = this.#mode.needSync(xtime, stime);
      const names = isDue ? await this.#names(path) : [];
      if (await this.#isAt(path, gfid)) return isDue ? { path, stime, names } : null;
      currentPath = path;
    }
  }

  async #isAt(path: string, gfid: Gfid): Promise<boolean> {
    return (await this.#currentPath(path, gfid)) === path;
  }

  /** Skips an entry that the brick cannot read. @returns the answer; null for a skipped entry. @throws errors about the
   *  brick's root: the walk cannot continue */
  async #orSkip<T>(
    { path, entry }: Pick<Dir, 'path' | 'entry'>,
    answer: Promise<T>,
    message = 'skipping entry',
  ): Promise<T | null> {
    try {
      return await answer;
    } catch (error) {
      const inodeError = inodeErrorOf(error);
      if (inodeError === null || entry === null) throw error;
      this.#log.warn(message, { path, error: inodeError.reason });
      this.#skipped.push({ entry, reason: inodeError.reason });
      return null;
    }
  }

  /** @returns the present path of a directory that was at `path`; null when it is gone */
  async #currentPath(path: string, gfid: Gfid): Promise<string | null> {
    if (gfid === ROOT_GFID || (await this.#brick.gfid(path)) === gfid) return path;
    const currentPath = await directoryPath(this.#brick, gfid);
    return currentPath instanceof InodeError ? null : currentPath;
  }

  /** @returns the names in a directory; none when it was removed, or replaced by something else, meanwhile */
  async #names(path: string): Promise<string[]> {
    try {
      return await this.#brick.entries(path);
    } catch (error) {
      const code = errnoCode(error);
      if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
      this.#log.warn('got purged in the interim', { path });
      return [];
    }
  }

  async #stimeOf(path: string): Promise<Xtime> {
    // `delete reset-sync-time` sets the root's stime to 0.0: everything is synced again, and the directories' own stimes are
    // ignored.
    if (compareXtime(this.#rootStime, ZERO_XTIME) === 0) return MINUS_INFINITY;
    const own = path === '.' ? this.#rootStime : await this.#mode.secondaryXtime(path);
    return maxXtime(own ?? MINUS_INFINITY, this.#rootStime);
  }

  async #candidate(path: string, name: string, stime: Xtime): Promise<Candidate | null> {
    const xtime = await this.#mode.primaryXtime(path);
    if (xtime === null) {
      this.#log.warn('irregular xtime', { path, error: 'ENOENT' });
      return null;
    }
    if (!this.#mode.needSync(xtime, stime)) return null;
    const gfid = await this.#brick.gfid(path);
    const stat = await this.#brick.lstat(path);
    // Another inode may have got the name in between. A record that mixes the two would create an inode of the wrong type on
    // the secondary. The changelogs have the later changes.
    if (stat === null || gfid === null || (await this.#brick.gfid(path)) !== gfid) {
      this.#log.warn('got purged in the interim', { path });
      return null;
    }
    if ((stat.mode & S_ISVTX) !== 0 && fileKind(stat.mode) === 'file' && (await this.#brick.isLinkto(path))) {
      this.#log.debug('ignoring sticky bit file', { path });
      return null;
    }
    return { path, name, xtime, stat, gfid };
  }

  async #record(parent: Gfid, { path, name, stat, gfid }: Candidate): Promise<void> {
    this.#entryCount += 1;
    const entry = (fop: string, hasMode: boolean): ChangeRecord => ({
      type: 'entry',
      gfid,
      fop,
      parent,
      name,
      ...(hasMode ? { mode: stat.mode, uid: 0, gid: 0 } : {}),
    });
    const attributes: ChangeRecord = { type: 'meta', gfid, fop: 'SETATTR', stat: toOpStat(stat) };
    // nlink includes the brick's link under .glusterfs. A file with several names is recorded as LINK: the secondary decides
    // whether to create or to link.
    const hasOneName = stat.nlink - 1 <= 1;
    switch (fileKind(stat.mode)) {
      case 'dir':
        this.#records.push(entry('MKDIR', true), attributes);
        if (await this.#mayHaveXattrs(path)) this.#records.push({ type: 'meta', gfid, fop: 'SETXATTR' });
        break;
      case 'symlink':
        this.#records.push(entry(hasOneName ? 'SYMLINK' : 'LINK', false));
        break;
      case 'file':
        this.#records.push(entry(hasOneName ? 'MKNOD' : 'LINK', hasOneName), { type: 'data', gfid });
        break;
      case 'special':
      case 'device':
        // The reference skips these types; with them a first sync is complete.
        this.#records.push(entry('MKNOD', true), attributes);
        // It may have inherited an ACL.
        if (await this.#mayHaveXattrs(path)) this.#records.push({ type: 'meta', gfid, fop: 'SETXATTR' });
        break;
    }
  }

  async #mayHaveXattrs(path: string): Promise<boolean> {
    return (await tryInode(this.#brick.hasXattrs(path))) !== false;
  }

  #clampToLimit(mark: Xtime): Xtime {
    return this.#bounds.limit === null ? mark : minXtime(this.#bounds.limit, mark);
  }

  #takeChunk(): WalkChunk {
    const chunk = {
      entryCount: this.#entryCount,
      records: this.#records,
      stimes: this.#stimes,
      skipped: this.#skipped,
      changedDirs: this.#changedDirs,
    };
    this.#records = [];
    this.#stimes = [];
    this.#skipped = [];
    this.#changedDirs = [];
    this.#entryCount = 0;
    return chunk;
  }
}
