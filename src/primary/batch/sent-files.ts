// Remembers in which state files were sent. A changelog records only the first write to a file between two rollovers. So a
// file that was sent while its changelog was open is looked at again when that changelog closes, and once more when the next
// one closes: a write at the moment of a rollover may be in neither. Files that are still being written wait until their
// writer pauses, or until the changelog closes.

import type { ChangeRecord } from '../../changelog/record.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { Gfid } from '../../protocol/gfid.js';
import type { FileState } from '../deps.js';
import { tryInode, InodeError } from '../inode-error.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import type { DataCause, Plan } from './plan.js';

/** A file is sent when it has not changed for this time. It is also longer than a tick of the clock of file times: if it has
 *  passed, a later change gives the file another version. */
export const PAUSE_MS = 100;

/** Differs from every version: the file may have changed after it was read. */
const UNKNOWN_VERSION = '';

interface WaitingFile {
  readonly cause: DataCause;
  /** Whether the secondary cannot have its content. */
  readonly isNew: boolean;
  readonly hasChangedXattrs: boolean;
}

export class SentFiles {
  readonly #stateOf: (gfid: Gfid) => Promise<FileState | null>;
  readonly #now: () => number;
  /** Versions that were sent since the last rollover, and in the interval before it. */
  #versions = new Map<Gfid, string>();
  #previousVersions = new Map<Gfid, string>();
  readonly #waiting = new Map<Gfid, WaitingFile>();
  /** Inodes that were created since the last rollover. */
  readonly #created = new Set<Gfid>();
  /** Names that had to be compared since the last rollover, because an operation on the primary may have been under way. */
  readonly #namesToCompare = new Set<string>();

  /** @param stateOf null if the brick does not hold such a file */
  constructor(stateOf: (gfid: Gfid) => Promise<FileState | null>, now: () => number = Date.now) {
    this.#stateOf = stateOf;
    this.#now = now;
  }

  get created(): ReadonlySet<Gfid> {
    return this.#created;
  }

  /** Whether a file that was sent must be looked at again when the present interval is over. */
  get hasSent(): boolean {
    return this.#previousVersions.size + this.#versions.size > 0;
  }

  get hasWaiting(): boolean {
    return this.#waiting.size > 0;
  }

  /** Whether the writer of a waiting file has paused. */
  async hasPaused(): Promise<boolean> {
    for (const gfid of this.#waiting.keys()) {
      const state = await tryInode(this.#stateOf(gfid));
      if (state === null || state instanceof InodeError || !this.#isChanging(state)) return true;
    }
    return false;
  }

  /** @param taken number of the first records that were sent while the changelog was open
   *  @returns the records that still have to be sent */
  async remaining(records: readonly ChangeRecord[], taken: number): Promise<readonly ChangeRecord[]> {
    if (taken === 0) return records;
    const sent = records.slice(0, taken).filter((record) => record.type !== 'entry');
    const changed = await this.#changed(
      sent.map(({ gfid }) => gfid),
      this.#versions,
    );
    return [...sent.filter(({ gfid }) => changed.has(gfid)), ...records.slice(taken)];
  }

  /** Completes the plan for records of the open changelog: adds waiting files whose writers have paused, and removes files
   *  that are being written. */
  async completeOpen(plan: Plan): Promise<void> {
    for (const [gfid, file] of this.#waiting) addFile(plan, gfid, file);
    this.#waiting.clear();
    for (const gfid of plan.newGfids) this.#created.add(gfid);
    for (const name of plan.namesToCompare) this.#namesToCompare.add(name);
    for (const gfid of await this.#note(plan)) {
      const cause = plan.dataGfids.get(gfid);
      if (cause === undefined) continue;
      plan.dataGfids.delete(gfid);
      const hasChangedXattrs = plan.xattrGfids.delete(gfid);
      this.#waiting.set(gfid, { cause, isNew: plan.newGfids.has(gfid), hasChangedXattrs });
    }
    // If their xattrs are removed later, the record is about these.
    for (const gfid of plan.xattrGfids) this.#created.delete(gfid);
    for (const gfid of plan.xattrsWithData) if (plan.dataGfids.has(gfid)) this.#created.delete(gfid);
  }

  /** Completes the plan for closed changelogs: adds all waiting files, and files that changed after they were sent in the
   *  interval before. */
  async completeClosed(plan: Plan): Promise<void> {
    for (const [gfid, file] of this.#waiting) addFile(plan, gfid, file);
    const lastVersions = new Map([...this.#previousVersions].map(([gfid, v]) => [gfid, this.#versions.get(gfid) ?? v]));
    for (const gfid of await this.#changed(lastVersions.keys(), lastVersions))
      if (!plan.dataGfids.has(gfid)) addFile(plan, gfid, { cause: 'written', isNew: false, hasChangedXattrs: false });
    for (const name of this.#namesToCompare) plan.namesToCompare.add(name);
    this.#waiting.clear();
    this.#created.clear();
    this.#namesToCompare.clear();
    await this.#note(plan);
    this.#previousVersions = this.#versions;
    this.#versions = new Map();
  }

  /** Notes the versions of all files of the plan before they are read.
   *  @returns files that changed just now */
  async #note({ dataGfids, metaGfids, xattrGfids }: Plan): Promise<Set<Gfid>> {
    const changing = new Set<Gfid>();
    const gfids = new Set([...dataGfids.keys(), ...metaGfids.keys(), ...xattrGfids]);
    await mapBounded([...gfids], LOOKUPS_AT_ONCE, async (gfid) => {
      const state = await tryInode(this.#stateOf(gfid));
      const isChanging = state !== null && !(state instanceof InodeError) && this.#isChanging(state);
      if (isChanging) changing.add(gfid);
      if (state === null) this.#versions.delete(gfid);
      else this.#versions.set(gfid, isChanging || state instanceof InodeError ? UNKNOWN_VERSION : state.version);
    });
    return changing;
  }

  /** @returns those that have no noted version or another one now; not those that are gone */
  async #changed(gfids: Iterable<Gfid>, versions: ReadonlyMap<Gfid, string>): Promise<Set<Gfid>> {
    const changed = new Set<Gfid>();
    await mapBounded([...new Set(gfids)], LOOKUPS_AT_ONCE, async (gfid) => {
      const version = versions.get(gfid);
      const state = version === undefined ? undefined : await tryInode(this.#stateOf(gfid));
      if (state === undefined || state instanceof InodeError || (state !== null && state.version !== version))
        changed.add(gfid);
    });
    return changed;
  }

  #isChanging({ changedMs }: FileState): boolean {
    return Math.abs(this.#now() - changedMs) < PAUSE_MS;
  }
}

function addFile(plan: Plan, gfid: Gfid, { cause, isNew, hasChangedXattrs }: WaitingFile): void {
  plan.metaGfids.delete(gfid); // the data transfer sets them: see finishPlan()
  if (cause === 'written' || !plan.dataGfids.has(gfid)) plan.dataGfids.set(gfid, cause);
  if (isNew) plan.newGfids.add(gfid);
  if (hasChangedXattrs) plan.xattrGfids.add(gfid);
}
