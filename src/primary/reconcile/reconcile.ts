// gfid conflict resolution: makes names on the secondary equal to the primary's present state. The reference decides by the
// failed operation alone (fix_possible_entry_failures). When several conflicts are entangled, it gives up or goes Faulty.
// This class compares both sides and repeats two steps until they are equal:
// 1. clear: an entry that has a wrong name makes room. If it is gone on the primary, it is removed. If it has another path
// there, it is moved to a temporary name, which resolves swaps and cycles.
// 2. place: a missing entry is created, linked, or moved from its present path, parents before children.
// Invariant: an inode that exists on the primary is not removed from the secondary until it has another name there.

import { constants } from 'node:os';
import { errorLine } from '../../errors.js';
import { isUtf8Name } from '../../names.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { entryPath, gfidPath, gfidToIno, ROOT_GFID, splitEntryPath, type Gfid } from '../../protocol/gfid.js';
import type { EntryOp } from '../../protocol/secondary.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { EntryOutcome } from './entry-sync.js';
import { LOOKUPS_AT_ONCE } from '../batch/lookups.js';
import { TEMP_PATH_PREFIX, tempPath } from '../../protocol/temp-names.js';
import { lookUpEntries, type PrimaryEntry } from './primary-lookup.js';
import type { FollowUp, ReconcileDeps, ReconcileResult, Unresolved } from './reconcile-types.js';
import { isSameInode, SecondaryProbe, type SecondaryEntry } from './secondary-probe.js';
import { directoryPath } from '../directory-path.js';
import { tryInode, explainPeerErrno, InodeError, inodeErrorOf } from '../inode-error.js';
import { fileKind, toOpStat, type ViewStat } from '../../protocol/view.js';

const { EIO } = constants.errno;
const MAX_ROUNDS = 64;
/** Rounds without progress: the primary may be changing the names meanwhile. */
const MAX_STUCK_ROUNDS = 3;

interface RunState {
  /** Inode numbers of the removable gfids, computed on first use. */
  removableInos: ReadonlySet<bigint> | null;
  pendingNames: Set<string>;
  nextNames: Set<string>;
  readonly reasons: Map<string, Unresolved>;
  /** Names that must be removed to free another name, even if deletes are ignored. */
  readonly blockingNames: Set<string>;
  readonly tempNamed: Map<Gfid, 'dir' | 'other'>;
  /** Names for which a link was tried. A brick that kept a gfid2path xattr of a deleted name rejects every link to that name,
   *  but accepts a rename to it. */
  readonly linkedNames: Set<string>;
  /** Number of names of a file that this round removes. */
  readonly removedNameCounts: Map<Gfid, number>;
  /** Work that must follow the entries that this round creates. */
  followUp: FollowUp;
  readonly result: ReconcileResult;
}

export class Reconciler {
  readonly #deps: ReconcileDeps;
  readonly #probe: SecondaryProbe;

  constructor(deps: ReconcileDeps) {
    this.#deps = deps;
    this.#probe = new SecondaryProbe(deps.secondary, deps.sync, deps.peerNames);
  }

  /**
   * Makes `names` (entry paths) equal, and all names that conflict with them.
   * @throws GsyncdError 'peer' when the connection is lost; running it again is safe
   */
  async run(names: Iterable<string>): Promise<ReconcileResult> {
    const result: ReconcileResult = {
      fixedCount: 0,
      equalNames: new Set(),
      touchedKeys: new Set(),
      unresolved: new Map(),
      denied: new Set(),
      dataGfids: new Set(),
      metaGfids: new Set(),
    };
    const run: RunState = {
      removableInos: null,
      pendingNames: new Set(names),
      nextNames: new Set(),
      reasons: new Map(),
      blockingNames: new Set(),
      tempNamed: new Map(),
      linkedNames: new Set(),
      removedNameCounts: new Map(),
      followUp: emptyFollowUp(),
      result,
    };
    let fixedCount = 0;
    let stuckRounds = 0;
    for (let round = 0; round < MAX_ROUNDS && run.pendingNames.size > 0 && stuckRounds < MAX_STUCK_ROUNDS; round++) {
      const before = run.pendingNames;
      fixedCount += await this.#round(run);
      const isUnchanged = run.nextNames.size === before.size && [...run.nextNames].every((name) => before.has(name));
      stuckRounds = isUnchanged ? stuckRounds + 1 : 0;
      run.pendingNames = run.nextNames;
      run.nextNames = new Set();
    }
    for (const name of run.pendingNames) {
      result.unresolved.set(
        name,
        run.reasons.get(name) ??
          result.unresolved.get(name) ?? { gfid: null, reason: 'still differs after conflict resolution' },
      );
      result.equalNames.delete(name);
    }
    await this.#clearTempNames(run);
    for (const name of result.denied) if (!result.unresolved.has(name)) result.denied.delete(name);
    return { ...result, fixedCount };
  }

  /** @returns those of `names` that the secondary has or cannot look up */
  async findPresentNames(names: readonly string[]): Promise<string[]> {
    const { found } = await this.#probe.lookup(names);
    return names.filter((name) => found.get(name) !== null);
  }

  /** Whether the secondary has a directory, and at no other path than the primary, although its mount denies that path. */
  async isDenied(gfid: Gfid): Promise<boolean> {
    try {
      if (!(await this.#probe.exists(gfid))) return false;
      const path = await this.#probe.pathOf(gfid);
      return path === null || path === (await directoryPath(this.#deps.brick, gfid));
    } catch (error) {
      if (!(error instanceof RemoteCallError) && inodeErrorOf(error) === null) throw error;
      return false;
    }
  }

  /** Compares all pending names and applies the resulting operations. @returns the number of fixed names */
  async #round(run: RunState): Promise<number> {
    run.removedNameCounts.clear();
    run.followUp = emptyFollowUp();
    const names = [...run.pendingNames];
    const [{ found: onPrimary, errors: primaryErrors }, { found: onSecondary, errors: secondaryErrors, denied }] =
      await Promise.all([lookUpEntries(this.#deps.view, names), this.#probe.lookup(names)]);
    for (const name of denied) run.result.denied.add(name);
    const clearOps: EntryOp[] = [];
    const placements: { name: string; entry: PrimaryEntry }[] = [];
    let fixedCount = 0;
    for (const name of names) {
      const primaryEntry = onPrimary.get(name) ?? null;
      const error = secondaryErrors.get(name) ?? primaryErrors.get(name);
      if (error !== undefined) {
        this.#retryNextRound(run, name, primaryEntry?.gfid ?? null, error);
        continue;
      }
      const secondaryEntry = onSecondary.get(name) ?? null;
      for (const key of [name, primaryEntry?.gfid, secondaryEntry?.gfid]) if (key) run.result.touchedKeys.add(key);
      const canStay =
        this.#deps.deletes === 'ignore' && !run.blockingNames.has(name) && !name.startsWith(TEMP_PATH_PREFIX);
      const isEqual =
        primaryEntry === null
          ? secondaryEntry === null || canStay
          : secondaryEntry !== null && isSameInode(secondaryEntry, primaryEntry.gfid);
      if (isEqual) {
        run.result.equalNames.add(name);
        fixedCount += run.reasons.has(name) ? 1 : 0;
        continue;
      }
      const mustStay = secondaryEntry !== null && (await tryInode(this.#mustStay(run, name, secondaryEntry)));
      if (mustStay instanceof InodeError) {
        this.#retryNextRound(run, name, primaryEntry?.gfid ?? secondaryEntry?.gfid ?? null, mustStay.reason);
        continue;
      }
      if (secondaryEntry !== null && mustStay) {
        if (primaryEntry === null) run.result.equalNames.add(name);
        else
          run.result.unresolved.set(name, {
            gfid: primaryEntry.gfid,
            reason: `the secondary has ${secondaryEntry.gfid ?? 'another file'} there, and gfid-conflict-resolution is off`,
          });
        continue;
      }
      this.#retryNextRound(
        run,
        name,
        primaryEntry?.gfid ?? secondaryEntry?.gfid ?? null,
        secondaryEntry === null
          ? 'missing on the secondary'
          : `the secondary has ${secondaryEntry.gfid ?? 'another file'} there`,
      );
      if (secondaryEntry !== null)
        clearOps.push(...(await this.#decideOrRetry(run, name, () => this.#clear(run, name, secondaryEntry))));
      if (primaryEntry !== null) placements.push({ name, entry: primaryEntry });
    }
    await this.#recordFollowUp(run);
    this.#noteFailures(run, await this.#deps.sync.apply(clearOps));
    const placeOps: EntryOp[] = [];
    const exists = await this.#lookUpExistence(placements);
    for (const { name, entry } of placements)
      placeOps.push(...(await this.#decideOrRetry(run, name, () => this.#place(run, name, entry, exists))));
    await this.#recordFollowUp(run);
    const outcome = await this.#deps.sync.apply(placeOps);
    this.#noteFailures(run, outcome);
    for (const op of failedOps(outcome))
      if (op.op === 'RENAME' && op.entry1 !== undefined) await this.#compareAbove(run, op.entry1);
    return fixedCount;
  }

  async #recordFollowUp({ followUp }: RunState): Promise<void> {
    if (followUp.names.size + followUp.dataGfids.size + followUp.metaGfids.size > 0)
      await this.#deps.recordFollowUp(followUp);
  }

  /** Adds the directories above `name` on the primary to the next round. A directory cannot be moved below itself, so an
   *  entry inside it that is above its new path must leave it first. */
  async #compareAbove(run: RunState, name: string): Promise<void> {
    const seen = new Set<string>();
    for (let { parent } = splitEntryPath(name); parent !== ROOT_GFID;) {
      const location = await tryInode(this.#deps.brick.dirLocation(parent));
      if (location === null || location instanceof InodeError) return;
      const above = entryPath(location.parent, location.name);
      if (seen.has(above)) return; // moved meanwhile
      seen.add(above);
      run.nextNames.add(above);
      parent = location.parent;
    }
  }

  /** Whether an entry must stay on the secondary because it did not come from the primary. */
  async #mustStay(run: RunState, name: string, secondaryEntry: SecondaryEntry): Promise<boolean> {
    const { removable } = this.#deps;
    if (removable === 'all' || name.startsWith(TEMP_PATH_PREFIX) || removable.renameTargets.has(name)) return false;
    if (secondaryEntry.gfid === null) {
      run.removableInos ??= new Set([...removable.gfids.keys()].map(gfidToIno));
      return secondaryEntry.ino === null || !run.removableInos.has(secondaryEntry.ino);
    }
    return (
      !removable.gfids.has(secondaryEntry.gfid) && (await this.#deps.view.lstat(gfidPath(secondaryEntry.gfid))) === null
    );
  }

  /** Runs `decide`. It may fail because another worker removes the entry, the peer's mount denies its path, or the primary
   *  cannot look it up. Then the name is left for the next round. */
  async #decideOrRetry(run: RunState, name: string, decide: () => Promise<EntryOp[]>): Promise<EntryOp[]> {
    try {
      return await decide();
    } catch (error) {
      if (!(error instanceof RemoteCallError) && inodeErrorOf(error) === null) throw error;
      run.reasons.set(name, { gfid: run.reasons.get(name)?.gfid ?? null, reason: errorLine(error) });
      // EIO comes from the volume, so another mount would get it, too.
      if (error instanceof RemoteCallError && error.errno !== EIO) run.result.denied.add(name);
      return [];
    }
  }

  #retryNextRound(run: RunState, name: string, gfid: Gfid | null, reason: string): void {
    run.nextNames.add(name);
    if (!run.reasons.has(name)) run.reasons.set(name, { gfid, reason });
  }

  /** @returns operations that free `name`, where the secondary has `secondaryEntry` */
  async #clear(run: RunState, name: string, secondaryEntry: SecondaryEntry): Promise<EntryOp[]> {
    const { view, brick, secondary } = this.#deps;
    if (secondaryEntry.gfid === null) {
      // A stock peer cannot unlink or move a name that is not UTF-8, but it can purge it.
      const { parent, name: base } = splitEntryPath(name);
      await secondary.purge(gfidPath(parent), [base]);
      return [];
    }
    const gfid = secondaryEntry.gfid;
    const stat = await view.lstat(gfidPath(gfid));
    if (stat === null) {
      if (!secondaryEntry.isDir) return [{ op: 'UNLINK', gfid, entry: name }];
      const children = await this.#probe.children(gfid);
      if (children === null || children.length === 0) return [{ op: 'RMDIR', gfid, entry: name }];
      for (const child of children) {
        run.nextNames.add(entryPath(gfid, child));
        run.blockingNames.add(entryPath(gfid, child));
      }
      return [];
    }
    const locations = secondaryEntry.isDir ? [await brick.dirLocation(gfid)] : await brick.fileLocations(gfid);
    const primaryNames = locations
      .filter((location) => location !== null)
      .map((location) => entryPath(location.parent, location.name));
    for (const location of primaryNames) run.nextNames.add(location);
    const removedCount = run.removedNameCounts.get(gfid) ?? 0;
    if (!secondaryEntry.isDir && (await this.#probe.linkCount(gfid)) - removedCount > 1) {
      run.removedNameCounts.set(gfid, removedCount + 1);
      return [{ op: 'UNLINK', gfid, entry: name }];
    }
    const tempEntry = this.#assignTempPath(run, gfid, secondaryEntry.isDir);
    return name === tempEntry
      ? []
      : [{ op: 'RENAME', gfid, entry: name, entry1: tempEntry, stat: toOpStat(stat), link: null }];
  }

  /** Looks up which of the inodes to place, and of their parents, exist on the secondary. The lookups are concurrent, since
   *  each takes a round trip. */
  async #lookUpExistence(
    placements: readonly { name: string; entry: PrimaryEntry }[],
  ): Promise<(gfid: Gfid) => Promise<boolean>> {
    const answers = new Map<Gfid, Promise<boolean>>();
    const gfids = new Set(placements.flatMap(({ name, entry }) => [splitEntryPath(name).parent, entry.gfid]));
    await mapBounded([...gfids], LOOKUPS_AT_ONCE, (gfid) => {
      const answer = this.#probe.exists(gfid);
      answers.set(gfid, answer);
      // The code that awaits the answer handles its failure.
      return answer.then(
        () => undefined,
        () => undefined,
      );
    });
    return (gfid) => answers.get(gfid) ?? this.#probe.exists(gfid);
  }

  /** @returns operations that put `entry` at `name`, which is free or will be */
  async #place(
    run: RunState,
    name: string,
    entry: PrimaryEntry,
    exists: (gfid: Gfid) => Promise<boolean>,
  ): Promise<EntryOp[]> {
    const { parent } = splitEntryPath(name);
    if (!(await exists(parent))) {
      const location = await this.#deps.brick.dirLocation(parent);
      if (location !== null) run.nextNames.add(entryPath(location.parent, location.name));
      return [];
    }
    const isPresent = await exists(entry.gfid);
    if (entry.kind === 'dir') return isPresent ? this.#moveDir(run, name, entry) : this.#makeDir(run, name, entry);
    return this.#placeFile(run, name, entry, isPresent);
  }

  async #makeDir(run: RunState, name: string, { gfid, stat }: PrimaryEntry): Promise<EntryOp[]> {
    const children = await this.#deps.brick.childNames(gfid);
    for (const set of [run.result.metaGfids, run.followUp.metaGfids, run.followUp.xattrGfids]) set.add(gfid);
    // The directory's content may have been lost with it, so all of it is compared.
    for (const child of children) {
      run.nextNames.add(entryPath(gfid, child));
      run.followUp.names.add(entryPath(gfid, child));
    }
    return this.#createAt(run, name, gfid, stat, (entry) => ({
      op: 'MKDIR',
      gfid,
      entry,
      mode: stat.mode,
      uid: stat.uid,
      gid: stat.gid,
    }));
  }

  async #moveDir(run: RunState, name: string, { gfid, stat }: PrimaryEntry): Promise<EntryOp[]> {
    const from = run.tempNamed.has(gfid)
      ? tempPath(gfid)
      : ((await this.#probe.locate(gfid)) ?? (await this.#findTempEntry(gfid)));
    if (from === null || from === name) run.result.denied.add(name);
    if (from === null) {
      run.reasons.set(name, { gfid, reason: 'directory is on the secondary, at an unknown path' });
      return [];
    }
    if (from === name) return [];
    if (!isUtf8Name(from) && this.#deps.peerNames === 'utf8') {
      const { parent, name: base } = splitEntryPath(from);
      await this.#deps.secondary.purge(gfidPath(parent), [base]);
      return []; // the next round creates it again
    }
    run.nextNames.add(from);
    return [{ op: 'RENAME', gfid, entry: from, entry1: name, stat: toOpStat(stat), link: null }];
  }

  /** @returns the temporary name under which an earlier run or a killed worker left a directory, or null */
  async #findTempEntry(gfid: Gfid): Promise<string | null> {
    const tempEntry = tempPath(gfid);
    const secondaryEntry = (await this.#probe.lookup([tempEntry])).found.get(tempEntry);
    return secondaryEntry?.gfid === gfid ? tempEntry : null;
  }

  async #placeFile(
    run: RunState,
    name: string,
    { gfid, stat, kind }: PrimaryEntry,
    isPresent: boolean,
  ): Promise<EntryOp[]> {
    const link = kind === 'symlink' ? await this.#deps.view.readlink(gfidPath(gfid)) : null;
    if (!isPresent && kind === 'symlink' && this.#deps.peerNames === 'utf8' && link !== null && !isUtf8Name(link)) {
      run.reasons.set(name, { gfid, reason: 'stock secondary: symlink target is not UTF-8' });
      return [];
    }
    // A symlink's owner must follow, too: in a set-gid directory it is created with the directory's group.
    (kind === 'file' ? run.result.dataGfids : run.result.metaGfids).add(gfid);
    if (!isPresent)
      for (const set of kind === 'file' ? [run.followUp.dataGfids] : [run.followUp.metaGfids, run.followUp.xattrGfids])
        set.add(gfid);
    const makeOp = (entry: string): EntryOp =>
      (kind === 'special' || kind === 'device') && !isPresent
        ? {
            op: 'MKNOD',
            gfid,
            entry,
            mode: stat.mode,
            uid: stat.uid,
            gid: stat.gid,
            rdev: kind === 'device' ? stat.rdev : undefined,
          }
        : { op: 'LINK', gfid, entry, stat: toOpStat(stat), link };
    if (!isPresent) return this.#createAt(run, name, gfid, stat, makeOp);
    if (!run.linkedNames.has(name)) {
      run.linkedNames.add(name);
      return [makeOp(name)];
    }
    return this.#createViaTempName(run, name, gfid, stat, makeOp);
  }

  /** A stock peer cannot create a name that is not UTF-8, but it can rename to it. */
  #createAt(run: RunState, name: string, gfid: Gfid, stat: ViewStat, makeOp: (entry: string) => EntryOp): EntryOp[] {
    return this.#deps.peerNames === 'bytes' || isUtf8Name(name)
      ? [makeOp(name)]
      : this.#createViaTempName(run, name, gfid, stat, makeOp);
  }

  #createViaTempName(
    run: RunState,
    name: string,
    gfid: Gfid,
    stat: ViewStat,
    makeOp: (entry: string) => EntryOp,
  ): EntryOp[] {
    // If the rename fails, the next round links the file to its name, and the temporary name must be removed.
    const tempEntry = this.#assignTempPath(run, gfid, fileKind(stat.mode) === 'dir');
    return [
      makeOp(tempEntry),
      { op: 'RENAME', gfid, entry: tempEntry, entry1: name, stat: toOpStat(stat), link: null },
    ];
  }

  /** @returns the temporary name of a gfid. It is put on the failure list, so that the next worker finds it if this one is
   *  killed */
  #assignTempPath(run: RunState, gfid: Gfid, isDir: boolean): string {
    const tempEntry = tempPath(gfid);
    run.tempNamed.set(gfid, isDir ? 'dir' : 'other');
    run.followUp.names.add(tempEntry);
    return tempEntry;
  }

  #noteFailures(run: RunState, outcome: EntryOutcome): void {
    const failed = [
      ...outcome.failures.map(({ op, errno }) => ({ op, reason: explainPeerErrno(errno) })),
      ...outcome.failedItems.map(({ item: op, reason }) => ({ op, reason })),
    ];
    // An entry that could not be created under its temporary name cannot be renamed from it.
    const failedCreates = new Map(
      failed.filter(({ op }) => op.op !== 'RENAME').map(({ op, reason }) => [op.entry, `${op.op}: ${reason}`]),
    );
    for (const { op, reason } of failed)
      this.#noteReason(run, op, failedCreates.get(op.entry) ?? `${op.op}: ${reason}`);
  }

  #noteReason(run: RunState, op: EntryOp, reason: string): void {
    for (const name of [op.entry, op.entry1]) {
      if (name !== undefined && run.nextNames.has(name)) run.reasons.set(name, { gfid: op.gfid, reason });
    }
  }

  /** Removes the temporary names of files that have their right names by now. */
  async #clearTempNames(run: RunState): Promise<void> {
    if (run.tempNamed.size === 0) return;
    const { equalNames, unresolved } = run.result;
    const { found, errors } = await this.#probe.lookup([...run.tempNamed.keys()].map(tempPath));
    const ops: EntryOp[] = [];
    for (const [gfid, kind] of run.tempNamed) {
      const tempEntry = tempPath(gfid);
      const isPresent = errors.has(tempEntry) || (found.get(tempEntry) ?? null) !== null;
      const canRemove =
        kind === 'other' &&
        ((await this.#probe.linkCount(gfid)) > 1 || (await tryInode(this.#deps.view.lstat(gfidPath(gfid)))) === null);
      if (isPresent && canRemove) ops.push({ op: 'UNLINK', gfid, entry: tempEntry });
      if (isPresent && !canRemove) {
        equalNames.delete(tempEntry);
        unresolved.set(tempEntry, {
          gfid,
          reason: 'kept under a temporary name: its path on the primary is unknown to this brick',
        });
      } else {
        equalNames.add(tempEntry);
        unresolved.delete(tempEntry);
      }
    }
    for (const { entry, gfid } of failedOps(await this.#deps.sync.apply(ops))) {
      equalNames.delete(entry);
      unresolved.set(entry, { gfid, reason: 'kept under a temporary name: cannot remove that name' });
    }
  }
}

function emptyFollowUp(): FollowUp {
  return { names: new Set(), dataGfids: new Set(), metaGfids: new Set(), xattrGfids: new Set() };
}

function failedOps({ failures, failedItems }: EntryOutcome): EntryOp[] {
  return [...failures.map(({ op }) => op), ...failedItems.map(({ item }) => item)];
}
