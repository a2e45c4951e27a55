// gfid conflict resolution: makes names on the secondary equal to the primary's present state. The reference decides by the
// failed operation alone (fix_possible_entry_failures). When several conflicts are entangled, it gives up or goes Faulty.
// This class compares both sides and repeats two steps until they are equal:
// 1. clear: an entry that has a wrong name makes room. If it is gone on the primary, it is removed. If it has another path
// there, it is moved to a temporary name, which resolves swaps and cycles.
// 2. place: a missing entry is created, linked, or moved from its present path, parents before children.
// Invariant: an inode that exists on the primary is not removed from the secondary until it has another name there.

import { constants } from 'node:os';
import { errorLine } from '../../errors.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { entryPath, gfidPath, gfidToIno, ROOT_GFID, splitEntryPath, type Gfid } from '../../protocol/gfid.js';
import type { EntryOp } from '../../protocol/secondary.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { EntryOutcome } from './entry-sync.js';
import { LOOKUPS_AT_ONCE } from '../batch/lookups.js';
import { TEMP_PATH_PREFIX, tempPath } from '../../protocol/temp-names.js';
import { entriesAt, type PrimaryEntry } from './primary-lookup.js';
import type { Owed, ReconcileDeps, ReconcileResult, Unresolved } from './reconcile-types.js';
import { holds, isPlainPath, SecondaryProbe, type SecondaryEntry } from './secondary-probe.js';
import { tryInode, peerReason, InodeError, inodeErrorOf } from '../inode-error.js';
import { fileKind, toOpStat, type ViewStat } from '../../protocol/view.js';

const { EIO } = constants.errno;
const MAX_ROUNDS = 64;
/** Rounds without progress: the primary may be changing the names meanwhile. */
const MAX_STUCK_ROUNDS = 3;

interface Run {
  /** Inode numbers of the removable gfids, computed on first use. */
  removableInos: ReadonlySet<bigint> | null;
  pending: Set<string>;
  next: Set<string>;
  readonly reasons: Map<string, Unresolved>;
  /** Names that must be removed to free another name, even if deletes are ignored. */
  readonly inTheWay: Set<string>;
  readonly parked: Map<Gfid, 'dir' | 'other'>;
  /** Names for which a link was tried. A brick that kept a gfid2path xattr of a deleted name rejects every link to that name,
   *  but accepts a rename to it. */
  readonly linked: Set<string>;
  /** Number of names of a file that this round removes. */
  readonly going: Map<Gfid, number>;
  /** Work that must follow the entries that this round creates. */
  owed: Owed;
  readonly result: ReconcileResult;
}

export class Reconciler {
  readonly #deps: ReconcileDeps;
  readonly #truth: SecondaryProbe;

  constructor(deps: ReconcileDeps) {
    this.#deps = deps;
    this.#truth = new SecondaryProbe(deps.secondary, deps.sync, deps.peerNames);
  }

  /**
   * Makes `names` (entry paths) equal, and all names that conflict with them.
   * @throws GsyncdError 'peer' when the connection is lost; running it again is safe
   */
  async run(names: Iterable<string>): Promise<ReconcileResult> {
    const result: ReconcileResult = { fixed: 0, agreed: new Set(), touched: new Set(), unresolved: new Map(), denied: new Set(), dataGfids: new Set(), metaGfids: new Set() };
    const run: Run = {
      removableInos: null,
      pending: new Set(names),
      next: new Set(),
      reasons: new Map(),
      inTheWay: new Set(),
      parked: new Map(),
      linked: new Set(),
      going: new Map(),
      owed: nothingOwed(),
      result,
    };
    let fixed = 0;
    let stuck = 0;
    for (let round = 0; round < MAX_ROUNDS && run.pending.size > 0 && stuck < MAX_STUCK_ROUNDS; round++) {
      const before = run.pending;
      fixed += await this.#round(run);
      const unchanged = run.next.size === before.size && [...run.next].every((name) => before.has(name));
      stuck = unchanged ? stuck + 1 : 0;
      run.pending = run.next;
      run.next = new Set();
    }
    for (const name of run.pending) {
      result.unresolved.set(name, run.reasons.get(name) ?? result.unresolved.get(name) ?? { gfid: null, reason: 'still differs after conflict resolution' });
      result.agreed.delete(name);
    }
    await this.#unpark(run);
    for (const name of result.denied) if (!result.unresolved.has(name)) result.denied.delete(name);
    return { ...result, fixed };
  }

  /** @returns those of `names` that the secondary has or cannot look up */
  async present(names: readonly string[]): Promise<string[]> {
    const { found } = await this.#truth.lookup(names);
    return names.filter((name) => found.get(name) !== null);
  }

  /** Compares all pending names and applies the resulting operations. @returns the number of fixed names */
  async #round(run: Run): Promise<number> {
    run.going.clear();
    run.owed = nothingOwed();
    const names = [...run.pending];
    const [{ found: wanted, troubles }, { found, errors, denied }] = await Promise.all([entriesAt(this.#deps.view, names), this.#truth.lookup(names)]);
    for (const name of denied) run.result.denied.add(name);
    const clear: EntryOp[] = [];
    const place: { name: string; entry: PrimaryEntry }[] = [];
    let agreed = 0;
    for (const name of names) {
      const here = wanted.get(name) ?? null;
      const error = errors.get(name) ?? troubles.get(name);
      if (error !== undefined) {
        this.#keep(run, name, here?.gfid ?? null, error);
        continue;
      }
      const there = found.get(name) ?? null;
      for (const key of [name, here?.gfid, there?.gfid]) if (key) run.result.touched.add(key);
      const mayStay = this.#deps.deletes === 'ignore' && !run.inTheWay.has(name) && !name.startsWith(TEMP_PATH_PREFIX);
      const same = here === null ? there === null || mayStay : there !== null && holds(there, here.gfid);
      if (same) {
        run.result.agreed.add(name);
        agreed += run.reasons.has(name) ? 1 : 0;
        continue;
      }
      const stays = there !== null && (await tryInode(this.#mustStay(run, name, there)));
      if (stays instanceof InodeError) {
        this.#keep(run, name, here?.gfid ?? there?.gfid ?? null, stays.reason);
        continue;
      }
      if (there !== null && stays) {
        if (here === null) run.result.agreed.add(name);
        else run.result.unresolved.set(name, { gfid: here.gfid, reason: `the secondary has ${there.gfid ?? 'another file'} there, and gfid-conflict-resolution is off` });
        continue;
      }
      this.#keep(run, name, here?.gfid ?? there?.gfid ?? null, there === null ? 'missing on the secondary' : `the secondary has ${there.gfid ?? 'another file'} there`);
      if (there !== null) clear.push(...(await this.#tried(run, name, () => this.#clear(run, name, there))));
      if (here !== null) place.push({ name, entry: here });
    }
    await this.#owe(run);
    this.#note(run, await this.#deps.sync.apply(clear));
    const ops: EntryOp[] = [];
    const isThere = await this.#existing(place);
    for (const { name, entry } of place) ops.push(...(await this.#tried(run, name, () => this.#place(run, name, entry, isThere))));
    await this.#owe(run);
    const outcome = await this.#deps.sync.apply(ops);
    this.#note(run, outcome);
    for (const op of failedOps(outcome)) if (op.op === 'RENAME' && op.entry1 !== undefined) await this.#compareAbove(run, op.entry1);
    return agreed;
  }

  async #owe({ owed }: Run): Promise<void> {
    if (owed.names.size + owed.dataGfids.size + owed.metaGfids.size > 0) await this.#deps.owe(owed);
  }

  /** Adds the directories above `name` on the primary to the next round. A directory cannot be moved below itself, so an
   *  entry inside it that is above its new path must leave it first. */
  async #compareAbove(run: Run, name: string): Promise<void> {
    const seen = new Set<string>();
    for (let { parent } = splitEntryPath(name); parent !== ROOT_GFID; ) {
      const home = await tryInode(this.#deps.brick.dirLocation(parent));
      if (home === null || home instanceof InodeError) return;
      const above = entryPath(home.parent, home.name);
      if (seen.has(above)) return; // moved meanwhile
      seen.add(above);
      run.next.add(above);
      parent = home.parent;
    }
  }

  /** Whether an entry must stay on the secondary because it did not come from the primary. */
  async #mustStay(run: Run, name: string, there: SecondaryEntry): Promise<boolean> {
    const { removable } = this.#deps;
    if (removable === 'all' || name.startsWith(TEMP_PATH_PREFIX) || removable.targets.has(name)) return false;
    if (there.gfid === null) {
      run.removableInos ??= new Set([...removable.gfids.keys()].map(gfidToIno));
      return there.ino === null || !run.removableInos.has(there.ino);
    }
    return !removable.gfids.has(there.gfid) && (await this.#deps.view.lstat(gfidPath(there.gfid))) === null;
  }

  /** Runs `decide`. It may fail because another worker removes the entry, the peer's mount denies its path, or the primary
   *  cannot look it up. Then the name is left for the next round. */
  async #tried(run: Run, name: string, decide: () => Promise<EntryOp[]>): Promise<EntryOp[]> {
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

  #keep(run: Run, name: string, gfid: Gfid | null, reason: string): void {
    run.next.add(name);
    if (!run.reasons.has(name)) run.reasons.set(name, { gfid, reason });
  }

  /** @returns operations that free `name`, where the secondary has `there` */
  async #clear(run: Run, name: string, there: SecondaryEntry): Promise<EntryOp[]> {
    const { view, brick, secondary } = this.#deps;
    if (there.gfid === null) {
      // A stock peer cannot unlink or move a name that is not UTF-8, but it can purge it.
      const { parent, name: base } = splitEntryPath(name);
      await secondary.purge(gfidPath(parent), [base]);
      return [];
    }
    const gfid = there.gfid;
    const alive = await view.lstat(gfidPath(gfid));
    if (alive === null) {
      if (!there.isDir) return [{ op: 'UNLINK', gfid, entry: name }];
      const children = await this.#truth.children(gfid);
      if (children === null || children.length === 0) return [{ op: 'RMDIR', gfid, entry: name }];
      for (const child of children) {
        run.next.add(entryPath(gfid, child));
        run.inTheWay.add(entryPath(gfid, child));
      }
      return [];
    }
    const homes = there.isDir ? [await brick.dirLocation(gfid)] : await brick.fileLocations(gfid);
    const known = homes.filter((home) => home !== null).map((home) => entryPath(home.parent, home.name));
    for (const home of known) run.next.add(home);
    const going = run.going.get(gfid) ?? 0;
    if (!there.isDir && (await this.#truth.linkCount(gfid)) - going > 1) {
      run.going.set(gfid, going + 1);
      return [{ op: 'UNLINK', gfid, entry: name }];
    }
    const park = this.#park(run, gfid, there.isDir);
    return name === park ? [] : [{ op: 'RENAME', gfid, entry: name, entry1: park, stat: toOpStat(alive), link: null }];
  }

  /** Looks up which of the inodes to place, and of their parents, exist on the secondary. The lookups are concurrent, since
   *  each takes a round trip. */
  async #existing(place: readonly { name: string; entry: PrimaryEntry }[]): Promise<(gfid: Gfid) => Promise<boolean>> {
    const answers = new Map<Gfid, Promise<boolean>>();
    const gfids = new Set(place.flatMap(({ name, entry }) => [splitEntryPath(name).parent, entry.gfid]));
    await mapBounded([...gfids], LOOKUPS_AT_ONCE, (gfid) => {
      const answer = this.#truth.exists(gfid);
      answers.set(gfid, answer);
      // The code that awaits the answer handles its failure.
      return answer.then(() => undefined, () => undefined);
    });
    return (gfid) => answers.get(gfid) ?? this.#truth.exists(gfid);
  }

  /** @returns operations that put `entry` at `name`, which is free or will be */
  async #place(run: Run, name: string, entry: PrimaryEntry, isThere: (gfid: Gfid) => Promise<boolean>): Promise<EntryOp[]> {
    const { parent } = splitEntryPath(name);
    if (!(await isThere(parent))) {
      const home = await this.#deps.brick.dirLocation(parent);
      if (home !== null) run.next.add(entryPath(home.parent, home.name));
      return [];
    }
    const present = await isThere(entry.gfid);
    if (entry.kind === 'dir') return present ? this.#moveDir(run, name, entry) : this.#makeDir(run, name, entry);
    return this.#placeFile(run, name, entry, present);
  }

  async #makeDir(run: Run, name: string, { gfid, stat }: PrimaryEntry): Promise<EntryOp[]> {
    const children = await this.#deps.brick.childNames(gfid);
    for (const set of [run.result.metaGfids, run.owed.metaGfids, run.owed.xattrs]) set.add(gfid);
    // The directory's content may have been lost with it, so all of it is compared.
    for (const child of children) {
      run.next.add(entryPath(gfid, child));
      run.owed.names.add(entryPath(gfid, child));
    }
    return this.#viaPlainName(run, name, gfid, stat, (entry) => ({ op: 'MKDIR', gfid, entry, mode: stat.mode, uid: stat.uid, gid: stat.gid }));
  }

  async #moveDir(run: Run, name: string, { gfid, stat }: PrimaryEntry): Promise<EntryOp[]> {
    const from = run.parked.has(gfid) ? tempPath(gfid) : ((await this.#truth.locate(gfid)) ?? (await this.#parkedBefore(gfid)));
    if (from === null || from === name) run.result.denied.add(name);
    if (from === null) {
      run.reasons.set(name, { gfid, reason: 'directory is on the secondary, at an unknown path' });
      return [];
    }
    if (from === name) return [];
    if (!isPlainPath(from) && this.#deps.peerNames === 'utf8') {
      const { parent, name: base } = splitEntryPath(from);
      await this.#deps.secondary.purge(gfidPath(parent), [base]);
      return []; // the next round creates it again
    }
    run.next.add(from);
    return [{ op: 'RENAME', gfid, entry: from, entry1: name, stat: toOpStat(stat), link: null }];
  }

  /** @returns the temporary name under which an earlier run or a killed worker left a directory, or null */
  async #parkedBefore(gfid: Gfid): Promise<string | null> {
    const park = tempPath(gfid);
    const there = (await this.#truth.lookup([park])).found.get(park);
    return there?.gfid === gfid ? park : null;
  }

  async #placeFile(run: Run, name: string, { gfid, stat, kind }: PrimaryEntry, present: boolean): Promise<EntryOp[]> {
    const link = kind === 'symlink' ? await this.#deps.view.readlink(gfidPath(gfid)) : null;
    if (!present && kind === 'symlink' && this.#deps.peerNames === 'utf8' && link !== null && !isPlainPath(link)) {
      run.reasons.set(name, { gfid, reason: 'stock secondary: symlink target is not UTF-8' });
      return [];
    }
    // A symlink's owner must follow, too: in a set-gid directory it is created with the directory's group.
    (kind === 'file' ? run.result.dataGfids : run.result.metaGfids).add(gfid);
    if (!present) for (const set of kind === 'file' ? [run.owed.dataGfids] : [run.owed.metaGfids, run.owed.xattrs]) set.add(gfid);
    const make = (entry: string): EntryOp =>
      (kind === 'special' || kind === 'device') && !present
        ? { op: 'MKNOD', gfid, entry, mode: stat.mode, uid: stat.uid, gid: stat.gid, ...(kind === 'device' && stat.rdev !== undefined ? { rdev: stat.rdev } : {}) }
        : { op: 'LINK', gfid, entry, stat: toOpStat(stat), link };
    if (!present) return this.#viaPlainName(run, name, gfid, stat, make);
    if (!run.linked.has(name)) {
      run.linked.add(name);
      return [make(name)];
    }
    return this.#viaParkingName(run, name, gfid, stat, make);
  }

  /** A stock peer cannot create a name that is not UTF-8, but it can rename to it. */
  #viaPlainName(run: Run, name: string, gfid: Gfid, stat: ViewStat, make: (entry: string) => EntryOp): EntryOp[] {
    return this.#deps.peerNames === 'bytes' || isPlainPath(name) ? [make(name)] : this.#viaParkingName(run, name, gfid, stat, make);
  }

  #viaParkingName(run: Run, name: string, gfid: Gfid, stat: ViewStat, make: (entry: string) => EntryOp): EntryOp[] {
    // If the rename fails, the next round links the file to its name, and the temporary name must be removed.
    const park = this.#park(run, gfid, fileKind(stat.mode) === 'dir');
    return [make(park), { op: 'RENAME', gfid, entry: park, entry1: name, stat: toOpStat(stat), link: null }];
  }

  /** @returns the temporary name of a gfid. It is put on the failure list, so that the next worker finds it if this one is
   *  killed */
  #park(run: Run, gfid: Gfid, isDir: boolean): string {
    const park = tempPath(gfid);
    run.parked.set(gfid, isDir ? 'dir' : 'other');
    run.owed.names.add(park);
    return park;
  }

  #note(run: Run, outcome: EntryOutcome): void {
    const failed = [...outcome.failures.map(({ op, errno }) => ({ op, reason: peerReason(errno) })), ...outcome.failedItems.map(({ item: op, reason }) => ({ op, reason }))];
    // An entry that could not be created under its temporary name cannot be renamed from it.
    const made = new Map(failed.filter(({ op }) => op.op !== 'RENAME').map(({ op, reason }) => [op.entry, `${op.op}: ${reason}`]));
    for (const { op, reason } of failed) this.#reason(run, op, made.get(op.entry) ?? `${op.op}: ${reason}`);
  }

  #reason(run: Run, op: EntryOp, reason: string): void {
    for (const name of [op.entry, op.entry1]) {
      if (name !== undefined && run.next.has(name)) run.reasons.set(name, { gfid: op.gfid, reason });
    }
  }

  /** Removes the temporary names of files that have their right names by now. */
  async #unpark(run: Run): Promise<void> {
    if (run.parked.size === 0) return;
    const { agreed, unresolved } = run.result;
    const { found, errors } = await this.#truth.lookup([...run.parked.keys()].map(tempPath));
    const ops: EntryOp[] = [];
    for (const [gfid, kind] of run.parked) {
      const park = tempPath(gfid);
      const there = errors.has(park) || (found.get(park) ?? null) !== null;
      const safe = kind === 'other' && ((await this.#truth.linkCount(gfid)) > 1 || (await tryInode(this.#deps.view.lstat(gfidPath(gfid)))) === null);
      if (there && safe) ops.push({ op: 'UNLINK', gfid, entry: park });
      if (there && !safe) {
        agreed.delete(park);
        unresolved.set(park, { gfid, reason: 'kept under a temporary name: its path on the primary is unknown to this brick' });
      } else {
        agreed.add(park);
        unresolved.delete(park);
      }
    }
    for (const { entry, gfid } of failedOps(await this.#deps.sync.apply(ops))) {
      agreed.delete(entry);
      unresolved.set(entry, { gfid, reason: 'kept under a temporary name: cannot remove that name' });
    }
  }
}

function nothingOwed(): Owed {
  return { names: new Set(), dataGfids: new Set(), metaGfids: new Set(), xattrs: new Set() };
}

function failedOps({ failures, failedItems }: EntryOutcome): EntryOp[] {
  return [...failures.map(({ op }) => op), ...failedItems.map(({ item }) => item)];
}
