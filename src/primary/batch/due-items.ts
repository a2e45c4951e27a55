// Retries the due entries of the failure list: adds gfids to a plan and compares the names.

import { gfidPath, ROOT_GFID, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { PrimaryDeps } from '../deps.js';
import type { EntryPhase, EntryPhaseResult } from './entry-phase.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import { emptyPlan, type Plan } from './plan.js';
import { contentsOf } from '../reconcile/primary-lookup.js';
import { tryInode, InodeError } from '../inode-error.js';
import { fileKind } from '../../protocol/view.js';

export class DueItems {
  readonly #deps: PrimaryDeps;
  readonly #entries: EntryPhase;

  constructor(deps: PrimaryDeps, entries: EntryPhase) {
    this.#deps = deps;
    this.#entries = entries;
  }

  async addTo(plan: Plan): Promise<void> {
    const { failures, volume } = this.#deps;
    const due = failures.due(Date.now());
    const names: string[] = [];
    const passedOver: string[] = [];
    const gfids = new Set<Gfid>();
    const dataGfids: Gfid[] = [];
    for (const { kind, gfid, entry } of due) {
      if (kind === 'entry' && entry !== undefined) {
        if (gfid === ROOT_GFID) passedOver.push(entry);
        else {
          names.push(entry);
          gfids.add(gfid);
        }
      } else if (kind === 'meta' && !plan.dataGfids.has(gfid)) plan.metaGfids.set(gfid, null);
      else if (kind === 'xattrs') plan.xattrs.add(gfid);
      else if (kind === 'data') dataGfids.push(gfid);
    }
    await mapBounded(dataGfids, LOOKUPS_AT_ONCE, async (gfid) => {
      const stat = await tryInode(volume.lstat(gfidPath(gfid)));
      if (stat instanceof InodeError) failures.add({ kind: 'data', gfid, reason: stat.reason });
      else if (stat === null || fileKind(stat.mode) === 'file') plan.dataGfids.set(gfid, 'written');
      else {
        // Only files have content. Earlier versions listed xattrs of other types under 'data'.
        failures.resolve('data', gfid);
        failures.owe({ kind: 'xattrs', gfid, reason: 'xattrs not synced yet' });
        plan.xattrs.add(gfid);
      }
    });
    names.push(...(await this.#addPassedOver(plan, passedOver)));
    addFixed(plan, await this.#entries.retry(names, gfids));
  }

  /** Entries that a crawl skipped may differ in content and attributes, even if their names are right. @returns names to
   *  compare */
  async #addPassedOver(plan: Plan, entries: readonly string[]): Promise<Set<string>> {
    const { brick, failures, volume } = this.#deps;
    const { names, dataGfids, metaGfids, troubles } = await contentsOf(volume, brick, entries);
    for (const [entry, reason] of troubles) failures.add({ kind: 'entry', gfid: ROOT_GFID, entry, reason });
    addFixed(plan, { dataGfids, metaGfids });
    // Added before the comparison removes the names from the list.
    const reason = 'skipped by a crawl, not synced yet';
    for (const gfid of dataGfids) {
      plan.xattrs.add(gfid);
      for (const kind of ['data', 'xattrs'] as const) failures.owe({ kind, gfid, reason });
    }
    for (const gfid of metaGfids) for (const kind of ['meta', 'xattrs'] as const) failures.owe({ kind, gfid, reason });
    return names;
  }

  /** Size, mtime, mode and owner of a plan's files on the primary now, as one comparable text. */
  async looks({ dataGfids, metaGfids }: Plan): Promise<Map<Gfid, string>> {
    const looks = new Map<Gfid, string>();
    await mapBounded([...new Set([...dataGfids.keys(), ...metaGfids.keys()])], LOOKUPS_AT_ONCE, async (gfid) => {
      const stat = await tryInode(this.#deps.volume.lstat(gfidPath(gfid)));
      if (stat !== null && !(stat instanceof InodeError)) looks.set(gfid, [stat.size, stat.mtime, stat.mode, stat.uid, stat.gid].join(' '));
    });
    return looks;
  }

  /** A passive worker's retry may end after the active worker has sent a later change, and so restore an earlier state. This
   *  puts files that changed since `before` on the failure list again. */
  async keepChanged(before: ReadonlyMap<Gfid, string>): Promise<void> {
    const gone = emptyPlan();
    for (const gfid of before.keys()) gone.metaGfids.set(gfid, null);
    const now = await this.looks(gone);
    const { failures } = this.#deps;
    const changed = [...now].filter(([gfid, look]) => before.get(gfid) !== look);
    for (const [gfid] of changed) for (const kind of ['meta', 'data'] as const) failures.owe({ kind, gfid, reason: 'changed during the transfer' });
    if (changed.length > 0) await failures.persist();
  }
}

/** Adds the files that conflict resolution created or linked. Their content and attributes must be sent. */
export function addFixed(plan: Plan, { dataGfids, metaGfids }: EntryPhaseResult): void {
  for (const gfid of dataGfids) if (!plan.dataGfids.has(gfid)) plan.dataGfids.set(gfid, 'linked');
  for (const gfid of metaGfids) {
    if (!plan.metaGfids.has(gfid)) plan.metaGfids.set(gfid, null);
    plan.xattrs.add(gfid);
  }
}
