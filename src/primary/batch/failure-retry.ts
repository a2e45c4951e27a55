// Retries the due entries of the failure list: adds gfids to a plan and compares the names.

import { gfidPath, ROOT_GFID, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { PrimaryDeps } from '../deps.js';
import type { EntryPhase, EntryPhaseResult } from './entry-phase.js';
import { LOOKUPS_AT_ONCE } from './lookups.js';
import type { Plan } from './plan.js';
import { lookUpContents } from '../reconcile/primary-lookup.js';
import { tryInode, InodeError } from '../inode-error.js';
import { fileKind } from '../../protocol/view.js';

export class FailureRetry {
  readonly #deps: PrimaryDeps;
  readonly #entryPhase: EntryPhase;

  constructor(deps: PrimaryDeps, entryPhase: EntryPhase) {
    this.#deps = deps;
    this.#entryPhase = entryPhase;
  }

  async addTo(plan: Plan): Promise<void> {
    const { failures, volume } = this.#deps;
    const due = failures.due(Date.now());
    const names: string[] = [];
    const skippedEntries: string[] = [];
    const gfids = new Set<Gfid>();
    const dataGfids: Gfid[] = [];
    for (const { kind, gfid, entry } of due) {
      if (kind === 'entry' && entry !== undefined) {
        if (gfid === ROOT_GFID) skippedEntries.push(entry);
        else {
          names.push(entry);
          gfids.add(gfid);
        }
      } else if (kind === 'meta' && !plan.dataGfids.has(gfid)) plan.metaGfids.set(gfid, null);
      else if (kind === 'xattrs') plan.xattrGfids.add(gfid);
      else if (kind === 'data') dataGfids.push(gfid);
    }
    await mapBounded(dataGfids, LOOKUPS_AT_ONCE, async (gfid) => {
      const stat = await tryInode(volume.lstat(gfidPath(gfid)));
      if (stat instanceof InodeError) failures.add({ kind: 'data', gfid, reason: stat.reason });
      else if (stat === null || fileKind(stat.mode) === 'file') plan.dataGfids.set(gfid, 'written');
      else {
        // Only files have content. Earlier versions listed xattrs of other types under 'data'.
        failures.resolve('data', gfid);
        failures.addPending({ kind: 'xattrs', gfid, reason: 'xattrs not synced yet' });
        plan.xattrGfids.add(gfid);
      }
    });
    names.push(...(await this.#addSkipped(plan, skippedEntries)));
    addRecreated(plan, await this.#entryPhase.retry(names, gfids));
  }

  /** Entries that a crawl skipped may differ in content and attributes, even if their names are right. @returns names to
   *  compare */
  async #addSkipped(plan: Plan, skippedEntries: readonly string[]): Promise<Set<string>> {
    const { brick, failures, volume } = this.#deps;
    const { names, dataGfids, metaGfids, errors } = await lookUpContents(volume, brick, skippedEntries);
    for (const [entry, reason] of errors) failures.add({ kind: 'entry', gfid: ROOT_GFID, entry, reason });
    addRecreated(plan, { dataGfids, metaGfids });
    // Added before the comparison removes the names from the list.
    const reason = 'skipped by a crawl, not synced yet';
    for (const gfid of dataGfids) {
      plan.xattrGfids.add(gfid);
      for (const kind of ['data', 'xattrs'] as const) failures.addPending({ kind, gfid, reason });
    }
    for (const gfid of metaGfids)
      for (const kind of ['meta', 'xattrs'] as const) failures.addPending({ kind, gfid, reason });
    return names;
  }

  /** Size, mtime, mode and owner of files on the primary now, as one comparable text. */
  async fingerprints(gfids: Iterable<Gfid>): Promise<Map<Gfid, string>> {
    const fingerprints = new Map<Gfid, string>();
    await mapBounded([...new Set(gfids)], LOOKUPS_AT_ONCE, async (gfid) => {
      const stat = await tryInode(this.#deps.volume.lstat(gfidPath(gfid)));
      if (stat !== null && !(stat instanceof InodeError))
        fingerprints.set(gfid, [stat.size, stat.mtime, stat.mode, stat.uid, stat.gid].join(' '));
    });
    return fingerprints;
  }

  /** A passive worker's retry may end after the active worker has sent a later change, and so restore an earlier state. This
   *  puts files that changed since `before` on the failure list again. */
  async relistChanged(before: ReadonlyMap<Gfid, string>): Promise<void> {
    const now = await this.fingerprints(before.keys());
    const { failures } = this.#deps;
    const changed = [...now].filter(([gfid, fingerprint]) => before.get(gfid) !== fingerprint);
    for (const [gfid] of changed)
      for (const kind of ['meta', 'data'] as const)
        failures.addPending({ kind, gfid, reason: 'changed during the transfer' });
    if (changed.length > 0) await failures.persist();
  }
}

/** Adds the files that conflict resolution created or linked. Their content and attributes must be sent. */
export function addRecreated(plan: Plan, { dataGfids, metaGfids }: EntryPhaseResult): void {
  for (const gfid of dataGfids) if (!plan.dataGfids.has(gfid)) plan.dataGfids.set(gfid, 'linked');
  for (const gfid of metaGfids) {
    if (!plan.metaGfids.has(gfid)) plan.metaGfids.set(gfid, null);
    plan.xattrGfids.add(gfid);
  }
}
