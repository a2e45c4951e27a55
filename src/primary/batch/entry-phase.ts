// Applies a batch's entry operations, then compares every name that failed or is doubtful. A name that stays different goes
// to the failure list. It never causes an exception.

import { entryPath, gfidPath, splitEntryPath, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { EntryOp } from '../../protocol/secondary.js';
import type { PrimaryDeps } from '../deps.js';
import type { KnownEntries } from '../reconcile/replay-tracker.js';
import { EntrySync, OWN_OPS_PER_CALL, STOCK_OPS_PER_CALL, type EntryOutcome } from '../reconcile/entry-sync.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import { TEMP_PATH_PREFIX } from '../../protocol/temp-names.js';
import { expandNamesToCompare, createdNames, type Plan } from './plan.js';
import { Reconciler } from '../reconcile/reconcile.js';
import type { FollowUp, ReconcileResult } from '../reconcile/reconcile-types.js';
import { isUtf8Name } from '../../names.js';
import { tryInode, InodeError } from '../inode-error.js';
import { fileKind, type PrimaryView } from '../../protocol/view.js';

export interface EntryPhaseResult {
  /** Files that conflict resolution created or linked. */
  readonly dataGfids: Set<Gfid>;
  readonly metaGfids: Set<Gfid>;
}

export class EntryPhase {
  readonly #deps: PrimaryDeps;
  readonly #sync: EntrySync;
  readonly #removable: 'all' | KnownEntries;
  readonly #reconciler: Reconciler;
  #lastTurn: Promise<unknown> = Promise.resolve();

  constructor(deps: PrimaryDeps, deletes: 'apply' | 'ignore') {
    this.#deps = deps;
    this.#removable = deps.config.get('gfid-conflict-resolution') ? 'all' : deps.replayTracker.known;
    const { volume: view, brick, secondary, peerNames } = deps;
    this.#sync = new EntrySync(secondary, peerNames === 'bytes' ? OWN_OPS_PER_CALL : STOCK_OPS_PER_CALL);
    this.#reconciler = new Reconciler({
      view,
      brick,
      secondary,
      sync: this.#sync,
      deletes,
      removable: this.#removable,
      peerNames,
      recordFollowUp: (followUp) => this.#recordFollowUp(followUp),
    });
  }

  /** @throws GsyncdError 'peer' when the connection to the secondary is lost, or it cannot take any entries */
  apply(plan: Plan): Promise<EntryPhaseResult> {
    return this.#serialise(() => this.#apply(plan));
  }

  /** A changelog has no device numbers, so they are read from the primary's mount. A node that is gone needs none.
   *  @returns null when the lookup fails */
  async #withDeviceNumber(op: EntryOp): Promise<EntryOp | null> {
    if (fileKind(op.mode ?? op.stat?.mode ?? 0) !== 'device') return op;
    if (this.#deps.peerNames === 'utf8')
      this.#deps.log.warn('stock secondary: device node is created without its numbers', {
        gfid: op.gfid,
        entry: op.entry,
      });
    const stat = await tryInode(this.#deps.volume.lstat(gfidPath(op.gfid)));
    if (stat instanceof InodeError) return null;
    return stat?.rdev === undefined ? op : { ...op, rdev: stat.rdev };
  }

  /** Rebalance moves a file to the brick that had its linkto file. The changelog then has the removal of the linkto file as
   *  an UNLINK of the name. */
  async #isOnBrick({ op, gfid, entry }: EntryOp): Promise<boolean> {
    if (op !== 'UNLINK') return false;
    const names = await tryInode(this.#deps.brick.fileLocations(gfid));
    return !(names instanceof InodeError) && names.some(({ parent, name }) => entryPath(parent, name) === entry);
  }

  async #apply(plan: Plan): Promise<EntryPhaseResult> {
    const result: EntryPhaseResult = { dataGfids: new Set(), metaGfids: new Set() };
    const ops: EntryOp[] = [];
    if (this.#removable !== 'all') this.#deps.replayTracker.markOpsKnown(plan.entries);
    const namesToCompare = new Set([...plan.namesToCompare, ...this.#deps.replayTracker.touchedNames(plan.entries)]);
    if (this.#deps.replayTracker.isReplaying)
      for (const name of await this.#vanishedNames(plan.entries)) namesToCompare.add(name);
    for (const op of plan.entries) {
      for (const name of namesOf(op)) if (this.#deps.failures.hasEntry(name)) namesToCompare.add(name);
      const preparedOp = this.#isAcceptedByPeer(op) ? await this.#withDeviceNumber(op) : null;
      if (preparedOp !== null) {
        ops.push(preparedOp);
        if (this.#mayFailSilently(op) || (await this.#isOnBrick(op))) namesToCompare.add(op.entry);
      } else for (const name of namesOf(op)) namesToCompare.add(name);
    }
    const outcome = await this.#sync.apply(ops, async (soFar) => {
      const names = failedNames(soFar);
      for (const name of names) namesToCompare.add(name);
      // The final comparison below decides about unresolved names and files under temporary names.
      const { unresolved } = await this.#reconcile(names, result, 'interim');
      for (const name of unresolved.keys()) namesToCompare.add(name);
    });
    this.#logFailures(outcome);
    for (const name of failedNames(outcome)) namesToCompare.add(name);
    const names = expandNamesToCompare(plan.entries, namesToCompare);
    if (names.size === 0) return result;
    const { unresolved } = await this.#reconcile(names, result);
    if (unresolved.size > 0) this.#deps.log.error('Failed to fix entry ops', { count: unresolved.size });
    else if (outcome.failures.length + outcome.failedItems.length > 0)
      this.#deps.log.info('Successfully fixed all entry ops with gfid mismatch');
    return result;
  }

  /** Compares names that an earlier batch could not make equal.
   *  @param gfids gfids that the primary had at these names */
  async retry(names: readonly string[], gfids: Iterable<Gfid> = []): Promise<EntryPhaseResult> {
    const result: EntryPhaseResult = { dataGfids: new Set(), metaGfids: new Set() };
    if (this.#removable !== 'all') this.#deps.replayTracker.markKnown(gfids);
    if (names.length > 0) await this.#serialise(() => this.#reconcile(names, result));
    return result;
  }

  /** Compares those of the names that the primary no longer has or cannot look up. */
  async retryGone(names: Iterable<string>, gfids: Iterable<Gfid>): Promise<EntryPhaseResult> {
    return this.retry(await findGoneNames(this.#deps.volume, names), gfids);
  }

  /** @returns those of the names that the secondary has or cannot look up */
  findPresentNames(names: Iterable<string>): Promise<string[]> {
    return this.#reconciler.findPresentNames([...names]);
  }

  /** Compares the temporary names that a killed worker left on the secondary. The comparison moves or removes their files. */
  async clearTempNames(): Promise<EntryPhaseResult> {
    return this.retry(
      this.#deps.failures.items().flatMap(({ entry }) => (entry?.startsWith(TEMP_PATH_PREFIX) === true ? [entry] : [])),
    );
  }

  /** Serialises the comparisons. A batch's entry operations and the retries of the batch before it are concurrent, and must
   *  not mix. A comparison relies on the files that it has moved, also to temporary names. */
  #serialise<T>(task: () => Promise<T>): Promise<T> {
    const turn = this.#lastTurn.then(task);
    this.#lastTurn = turn.catch(() => undefined);
    return turn;
  }

  async #reconcile(
    names: Iterable<string>,
    target: EntryPhaseResult,
    verdict: 'final' | 'interim' = 'final',
  ): Promise<ReconcileResult> {
    const result = await this.#reconciler.run(names);
    if (verdict === 'final') for (const [name, { gfid, reason }] of result.unresolved) this.#fail(name, gfid, reason);
    if (verdict === 'final' && result.denied.size > 0) this.#deps.outdatedMounts?.noteDenial();
    this.#deps.replayTracker.markTouched(result.touchedKeys);
    for (const gfid of result.dataGfids) target.dataGfids.add(gfid);
    for (const gfid of result.metaGfids) target.metaGfids.add(gfid);
    for (const name of result.equalNames) this.#deps.failures.resolveEntry(name);
    if (result.fixedCount > 0)
      this.#deps.log.info('Fixed names that differed on the secondary', { count: result.fixedCount });
    return result;
  }

  isDenied(gfid: Gfid): Promise<boolean> {
    return this.#reconciler.isDenied(gfid);
  }

  /** Puts everything that must follow on the failure list. Entries are resolved as names are compared, and data and
   *  attributes sent. */
  async #recordFollowUp({ names, dataGfids, metaGfids, xattrGfids }: FollowUp): Promise<void> {
    const { failures } = this.#deps;
    const reason = 'recreated by conflict resolution, content not synced yet';
    for (const name of names)
      failures.addPending({ kind: 'entry', gfid: splitEntryPath(name).parent, entry: name, reason });
    for (const gfid of dataGfids) failures.addPending({ kind: 'data', gfid, reason });
    for (const gfid of metaGfids) failures.addPending({ kind: 'meta', gfid, reason });
    for (const gfid of xattrGfids) failures.addPending({ kind: 'xattrs', gfid, reason });
    await failures.persist();
  }

  /**
   * Names that a replay's operations create and that the primary no longer has or cannot look up. As a rule a later changelog
   * removes them. If this brick was down meanwhile, it may not: the changelogs of the heal record new names, but no deletes.
   */
  #vanishedNames(entries: readonly EntryOp[]): Promise<string[]> {
    const { volume, names = volume } = this.#deps;
    return findGoneNames(names, createdNames(entries));
  }

  /** A stock peer encodes names strictly and raises on others. Such an operation is left to the comparison. */
  #isAcceptedByPeer(op: EntryOp): boolean {
    if (this.#deps.peerNames === 'bytes') return true;
    return namesOf(op).every(isUtf8Name) && isUtf8Name(op.link ?? '');
  }

  /** A brick rejects a link to a name whose gfid2path xattr it kept (EEXIST). A stock peer then looks up the name. If nothing
   *  has it, the peer reports no failure. */
  #mayFailSilently({ op, link }: EntryOp): boolean {
    return this.#deps.peerNames === 'utf8' && op === 'LINK' && (link ?? null) === null;
  }

  #fail(name: string, gfid: Gfid | null, reason: string): void {
    this.#deps.log.error('ENTRY FAILED', { data: name, gfid, reason });
    this.#deps.failures.add({ kind: 'entry', gfid: gfid ?? splitEntryPath(name).parent, entry: name, reason });
  }

  #logFailures({ failures, failedItems }: EntryOutcome): void {
    if (failures.length > 0) this.#deps.log.info('Entry ops failed with gfid mismatch', { count: failures.length });
    for (const { item, reason } of failedItems) {
      this.#deps.log.warn('Entry op raised an exception on the secondary', {
        op: item.op,
        gfid: item.gfid,
        entry: item.entry,
        error: reason,
      });
    }
  }
}

/** @returns the names that are gone or cannot be looked up */
async function findGoneNames(view: Pick<PrimaryView, 'lstat'>, names: Iterable<string>): Promise<string[]> {
  const goneNames: string[] = [];
  await mapBounded([...names], LOOKUPS_AT_ONCE, async (name) => {
    const stat = await tryInode(view.lstat(name));
    if (stat === null || stat instanceof InodeError) goneNames.push(name);
  });
  return goneNames;
}

function namesOf(op: EntryOp): string[] {
  return op.entry1 === undefined ? [op.entry] : [op.entry, op.entry1];
}

function failedNames({ failures, failedItems }: EntryOutcome): Set<string> {
  const names = new Set<string>();
  for (const { op, info } of failures) {
    for (const name of namesOf(op)) names.add(name);
    if (info.secondaryEntry !== null) names.add(info.secondaryEntry);
  }
  for (const { item } of failedItems) for (const name of namesOf(item)) names.add(name);
  return names;
}
