// Applies a batch's namespace: entry operations, then the comparison of every name that failed or is in doubt. What cannot be
// made equal goes to the durable list, never to an exception.

import { errorLine, isGsyncdError } from '../../errors.js';
import { entryPath, gfidPath, splitEntryPath, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { EntryOp, Secondary } from '../../protocol/secondary.js';
import type { PrimaryDeps } from '../deps.js';
import type { Known } from '../reconcile/replay-tracker.js';
import { EntrySync, OWN_OPS_PER_CALL, STOCK_ENTRY_SYNC, type EntryOutcome } from '../reconcile/entry-sync.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import { TEMP_PATH_PREFIX } from '../../protocol/temp-names.js';
import { doubtfulNames, namesGiven, type Plan } from './plan.js';
import { Reconciler } from '../reconcile/reconcile.js';
import type { Owed, ReconcileResult } from '../reconcile/reconcile-types.js';
import { isPlainPath } from '../reconcile/secondary-probe.js';
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
  readonly #deletes: 'apply' | 'ignore';
  readonly #removable: 'all' | Known;
  readonly #reconciler: Reconciler;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(deps: PrimaryDeps, deletes: 'apply' | 'ignore') {
    this.#deps = deps;
    this.#deletes = deletes;
    this.#removable = deps.config.get('gfid-conflict-resolution') ? 'all' : deps.replayTracker.known;
    this.#sync = this.#syncThrough(deps.secondary);
    this.#reconciler = this.#reconcilerOf(deps, this.#sync);
  }

  #syncThrough(secondary: Secondary): EntrySync {
    const { entryLanes: lanes = null } = this.#deps;
    return new EntrySync(secondary, lanes === null ? STOCK_ENTRY_SYNC : { lanes, opsPerCall: OWN_OPS_PER_CALL });
  }

  #reconcilerOf({ volume: view, secondary }: Pick<PrimaryDeps, 'volume' | 'secondary'>, sync: EntrySync): Reconciler {
    const { brick, peerNames } = this.#deps;
    return new Reconciler({ view, brick, secondary, sync, deletes: this.#deletes, removable: this.#removable, peerNames, owe: (what) => this.#owe(what) });
  }

  /** @throws GsyncdError 'peer' when the secondary as a whole is lost */
  apply(plan: Plan): Promise<EntryPhaseResult> {
    return this.#inTurn(() => this.#apply(plan));
  }

  /** A changelog does not say which device a node is: the primary's mount does. A node that is gone needs none; null when
   *  the mount does not say. */
  async #withDeviceNumber(op: EntryOp): Promise<EntryOp | null> {
    if (fileKind(op.mode ?? op.stat?.mode ?? 0) !== 'device') return op;
    if (this.#deps.peerNames === 'utf8') this.#deps.log.warn('stock secondary: device node is created without its numbers', { gfid: op.gfid, entry: op.entry });
    const stat = await tryInode(this.#deps.volume.lstat(gfidPath(op.gfid)));
    if (stat instanceof InodeError) return null;
    return stat?.rdev === undefined ? op : { ...op, rdev: stat.rdev };
  }

  /** Rebalance moves a file to the brick that had its linkto file, and the linkto file's end is recorded as the name's. */
  async #isStillThere({ op, gfid, entry }: EntryOp): Promise<boolean> {
    if (op !== 'UNLINK') return false;
    const names = await tryInode(this.#deps.brick.fileLocations(gfid));
    return !(names instanceof InodeError) && names.some(({ parent, name }) => entryPath(parent, name) === entry);
  }

  async #apply(plan: Plan): Promise<EntryPhaseResult> {
    const result: EntryPhaseResult = { dataGfids: new Set(), metaGfids: new Set() };
    const ops: EntryOp[] = [];
    if (this.#removable !== 'all') this.#deps.replayTracker.markOpsKnown(plan.entries);
    const seeds = new Set([...plan.doubtful, ...this.#deps.replayTracker.touchedNames(plan.entries)]);
    if (this.#deps.replayTracker.isReplaying) for (const name of await this.#vanished(plan.entries)) seeds.add(name);
    for (const op of plan.entries) {
      for (const name of namesOf(op)) if (this.#deps.failures.hasEntry(name)) seeds.add(name);
      const ready = this.#isTakenByPeer(op) ? await this.#withDeviceNumber(op) : null;
      if (ready !== null) {
        ops.push(ready);
        if (this.#mayFailInSilence(op) || (await this.#isStillThere(op))) seeds.add(op.entry);
      } else for (const name of namesOf(op)) seeds.add(name);
    }
    const outcome = await this.#sync.apply(ops, async (soFar) => {
      const names = troubledNames(soFar);
      for (const name of names) seeds.add(name);
      // Names that it leaves open, and files under temporary names, are compared again at the end, which decides.
      const { unresolved } = await this.#reconcile(names, result, 'interim');
      for (const name of unresolved.keys()) seeds.add(name);
    });
    this.#logTrouble(outcome);
    for (const name of troubledNames(outcome)) seeds.add(name);
    const names = doubtfulNames(plan.entries, seeds);
    if (names.size === 0) return result;
    const { unresolved } = await this.#reconcile(names, result);
    if (unresolved.size > 0) this.#deps.log.error('Failed to fix entry ops', { count: unresolved.size });
    else if (outcome.failures.length + outcome.failedItems.length > 0) this.#deps.log.info('Successfully fixed all entry ops with gfid mismatch');
    return result;
  }

  /** Tries names again that an earlier batch had to leave. `gfids` are those that the primary had there. */
  async retry(names: readonly string[], gfids: Iterable<Gfid> = []): Promise<EntryPhaseResult> {
    const result: EntryPhaseResult = { dataGfids: new Set(), metaGfids: new Set() };
    if (this.#removable !== 'all') this.#deps.replayTracker.markKnown(gfids);
    if (names.length > 0) await this.#inTurn(() => this.#reconcile(names, result));
    return result;
  }

  /** Compares those of the names that the primary has no more, or of which it does not say. */
  async retryGone(names: Iterable<string>, gfids: Iterable<Gfid>): Promise<EntryPhaseResult> {
    return this.retry(await goneFrom(this.#deps.volume, names), gfids);
  }

  /** Those of the names that the secondary has, or does not tell of. */
  leftBehind(names: Iterable<string>): Promise<string[]> {
    return this.#reconciler.present([...names]);
  }

  /** Puts away what a killed worker left parked on the secondary. */
  async clearParked(): Promise<EntryPhaseResult> {
    return this.retry(this.#deps.failures.items().flatMap(({ entry }) => (entry?.startsWith(TEMP_PATH_PREFIX) === true ? [entry] : [])));
  }

  /** A batch's namespace and the retries of the batch before it come at the same time, and must not be mixed: a
   *  comparison that is halfway through relies on what it parked and moved. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work);
    this.#turn = turn.catch(() => undefined);
    return turn;
  }

  async #reconcile(names: Iterable<string>, into: EntryPhaseResult, verdict: 'final' | 'interim' = 'final'): Promise<ReconcileResult> {
    const first = await this.#reconciler.run(names);
    const result = verdict === 'final' && first.denied.size > 0 ? await this.#lookAgain(first) : first;
    this.#deps.replayTracker.markTouched(result.touched);
    for (const gfid of result.dataGfids) into.dataGfids.add(gfid);
    for (const gfid of result.metaGfids) into.metaGfids.add(gfid);
    for (const name of result.agreed) this.#deps.failures.resolveEntry(name);
    if (verdict === 'final') for (const [name, { gfid, reason }] of result.unresolved) this.#fail(name, gfid, reason);
    if (result.fixed > 0) this.#deps.log.info('Fixed names that differed on the secondary', { count: result.fixed });
    return result;
  }

  /** Compares what is left through mounts that have seen nothing yet. */
  async #lookAgain(first: ReconcileResult): Promise<ReconcileResult> {
    const view = await this.#deps.openFreshView?.();
    if (view === undefined || view === null) return first;
    try {
      const again = await this.#reconcilerOf(view, this.#syncThrough(view.secondary)).run(first.unresolved.keys());
      return {
        ...again,
        fixed: first.fixed + again.fixed,
        agreed: new Set([...first.agreed, ...again.agreed]),
        touched: new Set([...first.touched, ...again.touched]),
        dataGfids: new Set([...first.dataGfids, ...again.dataGfids]),
        metaGfids: new Set([...first.metaGfids, ...again.metaGfids]),
      };
    } catch (error) {
      // The view's own connection: the worker's goes on, and what is left is tried again later.
      if (!isGsyncdError(error, 'peer')) throw error;
      this.#deps.log.warn('cannot open a fresh mount', { error: errorLine(error) });
      return first;
    } finally {
      await view.close();
    }
  }

  /** Resolved one by one as names are compared, data and attributes sent. */
  async #owe({ names, dataGfids, metaGfids, xattrs }: Owed): Promise<void> {
    const { failures } = this.#deps;
    const reason = 'recreated by conflict resolution, content not synced yet';
    for (const name of names) failures.owe({ kind: 'entry', gfid: splitEntryPath(name).parent, entry: name, reason });
    for (const gfid of dataGfids) failures.owe({ kind: 'data', gfid, reason });
    for (const gfid of metaGfids) failures.owe({ kind: 'meta', gfid, reason });
    for (const gfid of xattrs) failures.owe({ kind: 'xattrs', gfid, reason });
    await failures.persist();
  }

  /**
   * Names that operations of a replay give and the primary has no more, or does not tell of. As a rule a later changelog
   * takes them away, but not where this brick was down meanwhile: the changelogs of the heal that followed tell of names
   * that came, and are silent about those that went.
   */
  #vanished(entries: readonly EntryOp[]): Promise<string[]> {
    const { volume, names = volume } = this.#deps;
    return goneFrom(names, namesGiven(entries));
  }

  /** A stock peer encodes names strictly: an operation that it would raise on is left to the comparison. */
  #isTakenByPeer(op: EntryOp): boolean {
    if (this.#deps.peerNames === 'bytes') return true;
    return namesOf(op).every(isPlainPath) && isPlainPath(op.link ?? '');
  }

  /** A stock peer that is refused a link (EEXIST) looks who has the name, and when nobody has, it says nothing: a brick
   *  refuses a link to a name of which it kept a mark. */
  #mayFailInSilence({ op, link }: EntryOp): boolean {
    return this.#deps.peerNames === 'utf8' && op === 'LINK' && (link ?? null) === null;
  }

  #fail(name: string, gfid: Gfid | null, reason: string): void {
    this.#deps.log.error('ENTRY FAILED', { data: name, gfid, reason });
    this.#deps.failures.add({ kind: 'entry', gfid: gfid ?? splitEntryPath(name).parent, entry: name, reason });
  }

  #logTrouble({ failures, failedItems }: EntryOutcome): void {
    if (failures.length > 0) this.#deps.log.info('Entry ops failed with gfid mismatch', { count: failures.length });
    for (const { item, reason } of failedItems) {
      this.#deps.log.warn('Entry op raised an exception on the secondary', { op: item.op, gfid: item.gfid, entry: item.entry, error: reason });
    }
  }
}

/** Names to compare, since they are gone or cannot be looked up. */
async function goneFrom(view: Pick<PrimaryView, 'lstat'>, names: Iterable<string>): Promise<string[]> {
  const gone: string[] = [];
  await mapBounded([...names], LOOKUPS_AT_ONCE, async (name) => {
    const stat = await tryInode(view.lstat(name));
    if (stat === null || stat instanceof InodeError) gone.push(name);
  });
  return gone;
}

function namesOf(op: EntryOp): string[] {
  return op.entry1 === undefined ? [op.entry] : [op.entry, op.entry1];
}

function troubledNames({ failures, failedItems }: EntryOutcome): Set<string> {
  const names = new Set<string>();
  for (const { op, info } of failures) {
    for (const name of namesOf(op)) names.add(name);
    if (info.secondaryEntry !== null) names.add(info.secondaryEntry);
  }
  for (const { item } of failedItems) for (const name of namesOf(item)) names.add(name);
  return names;
}
