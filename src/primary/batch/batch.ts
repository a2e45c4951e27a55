// Processes batches of changelogs: plan, entry operations, attributes, data, marks. Port of process() and process_change(),
// with two differences. All changelogs of a batch are planned together, so that a file is sent once per batch. The entry
// operations of a batch are applied while the data of the batch before it is sent. Invariant: a batch is committed (stime,
// done, archive) after the batch before it. By then everything in it has arrived, is gone from the primary, or is in the
// failure list on disk.

import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { parseText } from '../../changelog/text.js';
import type { ChangeRecord } from '../../changelog/record.js';
import { INTERNAL_ROOT_NAMES } from '../../gluster/brick.js';
import { entryPath, gfidPath, ROOT_GFID, type Gfid } from '../../protocol/gfid.js';
import type { DataItem } from '../../queue/engine.js';
import type { BoxResult } from '../../queue/syncer.js';
import type { EntryOp } from '../../protocol/secondary.js';
import { batchLines } from './batch-stats.js';
import { syncData, syncXattrs } from './data-phase.js';
import type { PrimaryDeps } from '../deps.js';
import { addFixed, DueItems } from './due-items.js';
import { EntryPhase } from './entry-phase.js';
import { answerNeeds } from './lookups.js';
import { applyMetaOps } from './meta-phase.js';
import { createUnderNewNames, emptyPlan, finishPlan, planNeeds, planRecords, takesAway, type Plan, type PlanOptions } from './plan.js';
import { tryInode, InodeError } from '../inode-error.js';
import { fileKind } from '../../protocol/view.js';

/** Limit for the names of a crawl's uncommitted batches, which are held in memory. */
const MAX_WALK_NAMES = 1 << 13;

export type CrawlName = 'xsync' | 'live_changelog' | 'history_changelog';

/** A group of changelogs in libgfchangelog's text form, oldest first. */
export interface Batch {
  readonly changes: readonly string[];
  readonly crawl: CrawlName;
  /** How to treat the entry operations of a changelog with this time. */
  readonly entriesOf: (changeTime: number) => PlanOptions['entries'];
  /** Called when the entry operations are applied: raises entry_stime. */
  readonly entriesApplied: (lastChangeTime: number) => Promise<void>;
  /** Called when all of the batch is synced or in the failure list: raises stime, marks the changelogs as done, archives them. */
  readonly commit: (lastChangeTime: number) => Promise<void>;
  /** Whether this brick has been synced before. */
  readonly synced: () => Promise<boolean>;
  /** More fields for "Batch Completed". */
  readonly marks: () => Promise<Record<string, unknown>>;
}

export interface BatchSlots {
  readonly deletes: 'apply' | 'ignore';
  readonly syncData: (items: readonly DataItem[]) => Promise<BoxResult>;
  readonly syncAttributes: (gfids: readonly Gfid[], signal: AbortSignal) => Promise<BoxResult>;
}

/** State of a batch whose entry operations are applied. */
interface BatchProgress {
  readonly counts: { readonly data: number; readonly meta: number };
  readonly timing: { readonly startMs: number; readonly entryS: number; readonly last: number; readonly before: Promise<void> };
}

export class BatchPipeline {
  readonly #deps: PrimaryDeps;
  readonly #slots: BatchSlots;
  readonly #entries: EntryPhase;
  readonly #due: DueItems;
  #before: Promise<void> = Promise.resolve();
  /** Uncommitted batches, oldest first. */
  readonly #underWay: { readonly names: number; readonly committed: Promise<void> }[] = [];
  #retriesDue = false;

  constructor(deps: PrimaryDeps, slots: BatchSlots) {
    this.#deps = deps;
    this.#slots = slots;
    this.#entries = new EntryPhase(deps, slots.deletes);
    this.#due = new DueItems(deps, this.#entries);
  }

  /**
   * Applies the batch's entry operations, waits for earlier batches if it must, and starts its attributes and data.
   * @throws GsyncdError of this batch or an earlier one; then no later batch is committed
   */
  async submit(batch: Batch, signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    const last = changeTime(batch.changes.at(-1) ?? '');
    if (batch.crawl !== 'xsync') this.#deps.mountSelector.changed(last);
    const plan = await this.#plan(batch);
    const counts = { entry: plan.entries.length, data: plan.dataGfids.size, meta: plan.metaGfids.size };
    this.#deps.status.addCounts(counts);
    const entryStartMs = performance.now();
    const fixed = await this.#entries.apply(plan);
    const entryS = (performance.now() - entryStartMs) / 1000;
    this.#deps.status.addCounts({ entry: -counts.entry });
    addFixed(plan, fixed);
    if (batch.crawl !== 'xsync') this.#deps.replayTracker.expireBefore(last);
    await this.#deps.failures.persist();
    await batch.entriesApplied(last);

    await this.#roomFor(batch, counts.entry);
    const committed = this.#finish(batch, plan, { counts, timing: { startMs, entryS, last, before: this.#before } }, signal);
    // A later submit() or drain() reports a failure. Until then it must not be an unhandled rejection.
    committed.catch(() => undefined);
    this.#underWay.push({ names: counts.entry, committed });
    this.#before = committed;
  }

  /** A crawl names each file once, so several of its batches may be sent concurrently. A changelog may change the attributes
   *  of a file that is still being sent, so its batch waits. @throws the error of an earlier batch */
  async #roomFor({ crawl }: Batch, names: number): Promise<void> {
    const room = crawl === 'xsync' ? MAX_WALK_NAMES - names : -1;
    while (this.#underWay.length > 0 && this.#underWay.reduce((sum, batch) => sum + batch.names, 0) > room) {
      await this.#underWay[0]?.committed;
      this.#underWay.shift();
    }
  }

  /** Waits until every submitted batch is committed. */
  async drain(): Promise<void> {
    await this.#before;
  }

  /** Moves files that a killed worker left under temporary names on the secondary to their right names, or removes them.
   *  @throws as submit() and drain() do */
  async clearParked(signal: AbortSignal): Promise<void> {
    const plan = emptyPlan();
    addFixed(plan, await this.#entries.clearParked());
    await this.#send(plan, [], signal);
  }

  /** Compares the names that these changelogs remove or rename and that the primary no longer has. @throws as submit() and
   *  drain() do */
  async compareGone(changes: readonly string[], signal: AbortSignal): Promise<void> {
    const names = new Set<string>();
    const gfids = new Set<Gfid>();
    for (const path of changes) {
      for (const record of parseText(await readFile(path), path)) {
        if (record.type !== 'entry' || !takesAway(record.fop)) continue;
        names.add(entryPath(record.parent, record.name));
        gfids.add(record.gfid);
      }
    }
    await this.#compare(names, gfids, signal);
    this.#deps.status.setFailures(this.#deps.failures.size);
  }

  /** Compares names that only the secondary has in these directories, and removes or moves them. @throws as submit() and
   *  drain() do */
  async compareDirectories(gfids: Iterable<Gfid>, signal: AbortSignal): Promise<void> {
    if (this.#slots.deletes === 'ignore') return;
    const { brick, secondary, log } = this.#deps;
    for (const gfid of gfids) {
      signal.throwIfAborted();
      const [there, here] = await Promise.all([tryInode(secondary.entries(gfidPath(gfid))), tryInode(brick.childNames(gfid))]);
      if (there instanceof InodeError || here instanceof InodeError) {
        // Most likely the directory is gone by now.
        log.warn('cannot compare directory', { gfid, error: (there instanceof InodeError ? there : (here as InodeError)).reason });
        continue;
      }
      const known = new Set(here);
      const extra = there.filter((name) => !known.has(name) && (gfid !== ROOT_GFID || !INTERNAL_ROOT_NAMES.has(name)));
      if (extra.length > 0) await this.#compare(extra.map((name) => entryPath(gfid, name)), [], signal);
    }
    this.#deps.status.setFailures(this.#deps.failures.size);
  }

  /** Compares those of the names that the primary no longer has, and sends the resulting attributes and data. */
  async #compare(names: Iterable<string>, gfids: Iterable<Gfid>, signal: AbortSignal): Promise<void> {
    const plan = emptyPlan();
    addFixed(plan, await this.#entries.retryGone(names, gfids));
    await this.#send(plan, [], signal);
  }

  /**
   * Every subvolume has every directory, so the workers of several bricks remove and rename the same ones. When one worker
   * removes a directory, another one's lookup can heal it back. When two workers rename a directory at the same time, its old
   * name can remain. GlusterFS reports neither.
   */
  async #compareTakenAway({ entries }: Plan, signal: AbortSignal): Promise<void> {
    const taken = this.#slots.deletes === 'ignore' ? [] : entries.filter(takesDirectoryAway);
    if (taken.length === 0) return;
    const left = await this.#entries.leftBehind(new Set(taken.map(({ entry }) => entry)));
    if (left.length > 0) await this.#compare(left, taken.map(({ gfid }) => gfid), signal);
  }

  /** Retries the due entries of the failure list when no batch does. @returns whether there were any */
  async retryDue(signal: AbortSignal): Promise<boolean> {
    await this.#before;
    if (this.#deps.failures.due(Date.now()).length === 0) return false;
    const plan = emptyPlan();
    await this.#due.addTo(plan);
    const before = await this.#due.looks(plan);
    await this.#send(plan, [], signal);
    await this.#due.keepChanged(before);
    this.#deps.status.setFailures(this.#deps.failures.size);
    return true;
  }

  /** Sends the attributes and data of a plan. When it resolves, everything that did not arrive is in the failure list on disk. */
  async #send(plan: Plan, files: readonly string[], signal: AbortSignal): Promise<void> {
    await applyMetaOps(this.#deps, plan.metaGfids);
    await this.#sendData(plan, files, signal);
    await this.#deps.failures.persist();
  }

  async #sendData(plan: Plan, files: readonly string[], signal: AbortSignal): Promise<void> {
    const { syncData: send, syncAttributes } = this.#slots;
    await syncData(this.#deps, plan.dataGfids, { files, send, entries: this.#entries, xattrs: plan.xattrs, fresh: plan.fresh, signal });
    await syncXattrs(this.#deps, plan, (gfids) => syncAttributes(gfids, signal));
  }

  async #plan(batch: Batch): Promise<Plan> {
    const { brick, config, failures, log, volume } = this.#deps;
    const changelogs = await Promise.all(
      batch.changes.map(async (path): Promise<{ time: number; records: ChangeRecord[] }> => {
        log.debug('processing change', { changelog: path });
        return { time: changeTime(path), records: parseText(await readFile(path), path) };
      }),
    );
    const needs = planNeeds(changelogs.flatMap(({ records }) => records));
    const xattrs = config.get('sync-xattrs') || config.get('sync-acls') ? 'sync' : 'ignore';
    const facts = await answerNeeds(volume, xattrs === 'sync' ? brick : null, needs);
    const replay = batch.crawl === 'live_changelog' && !this.#deps.replayTracker.isReplaying ? 'impossible' : 'possible';
    const data = batch.crawl === 'xsync' ? 'walked' : 'written';
    const plan = emptyPlan();
    const skipped: number[] = [];
    for (const { time, records } of changelogs) {
      const entries = batch.entriesOf(time);
      if (entries === 'applied-before') skipped.push(time);
      planRecords(plan, records, facts, { entries, deletes: this.#slots.deletes, xattrs, replay, data });
    }
    finishPlan(plan, (gfid) => facts.stats.get(gfid) === null);
    if (this.#deps.makesRenamed === true) createUnderNewNames(plan);
    for (const [gfid, stat] of facts.stats) if (stat === null) failures.resolveGone(gfid);
    for (const [gfid, reason] of plan.unknown) for (const kind of ['meta', 'data', 'xattrs'] as const) failures.add({ kind, gfid, reason });
    if (batch.crawl === 'xsync') {
      // A crawl of a brick that was synced before cannot detect removed xattrs.
      if (!(await batch.synced())) for (const gfid of plan.dataGfids.keys()) plan.fresh.add(gfid);
      else if (xattrs === 'sync') for (const gfid of plan.dataGfids.keys()) plan.xattrs.add(gfid);
    }
    for (const { level, message, fields } of plan.notes) log[level](message, fields);
    if (skipped.length > 0) {
      log.info('Skipping already processed entry ops', {
        from_changelog: skipped[0],
        to_changelog: skipped.at(-1),
        num_changelogs: skipped.length,
      });
    }
    return plan;
  }

  /** When several batches are uncommitted, only one of them retries the failure list. */
  async #finish(batch: Batch, plan: Plan, progress: BatchProgress, signal: AbortSignal): Promise<void> {
    if (this.#retriesDue) return this.#sendAndCommit(batch, plan, progress, signal);
    this.#retriesDue = true;
    try {
      await this.#due.addTo(plan);
      await this.#sendAndCommit(batch, plan, progress, signal);
    } finally {
      this.#retriesDue = false;
    }
  }

  async #sendAndCommit(batch: Batch, plan: Plan, { counts, timing }: BatchProgress, signal: AbortSignal): Promise<void> {
    const { failures, status, log } = this.#deps;
    const metaStartMs = performance.now();
    await applyMetaOps(this.#deps, plan.metaGfids);
    const metaS = (performance.now() - metaStartMs) / 1000;
    status.addCounts({ meta: -counts.meta });

    const dataStartMs = performance.now();
    const files = batch.changes.map((path) => basename(path));
    const dataFiles = plan.dataGfids.size;
    try {
      await this.#sendData(plan, files, signal);
      await this.#compareTakenAway(plan, signal);
    } finally {
      status.addCounts({ data: -counts.data });
    }
    await failures.persist();
    status.setFailures(failures.size);
    await timing.before;
    await batch.commit(timing.last);
    this.#deps.progress?.batchDone({ crawl: batch.crawl, changelogs: batch.changes.length, ops: plan.counts, dataFiles });

    const now = performance.now();
    const times = {
      entry: timing.entryS,
      meta: metaS,
      data: (now - dataStartMs) / 1000,
      total: (now - timing.startMs) / 1000,
    };
    const lines = batchLines(plan, dataFiles, times);
    log.info('Entry Time Taken', lines.entry);
    log.info('Data/Metadata Time Taken', lines.data);
    log.info('Batch Completed', {
      mode: batch.crawl,
      duration: times.total.toFixed(4),
      changelog_start: changeTime(batch.changes[0] ?? ''),
      changelog_end: timing.last,
      num_changelogs: batch.changes.length,
      ...(await batch.marks()),
    });
  }

}

/** Time in a changelog's name, seconds; NaN when the name has none. */
export function changeTime(path: string): number {
  return Number.parseInt(path.slice(path.lastIndexOf('.') + 1), 10);
}

/** Groups changelogs by size: at most `maxBytes` and at least one changelog per group (the reference's
 *  changelogs_batch_process).
 *  @param sizes sizes of `changes`, in bytes */
export function groupBySize(changes: readonly string[], sizes: readonly number[], maxBytes: number): string[][] {
  const groups: string[][] = [];
  let bytes = 0;
  changes.forEach((change, i) => {
    const size = sizes[i] ?? 0;
    const group = groups.at(-1);
    if (group === undefined || bytes + size > maxBytes) {
      groups.push([change]);
      bytes = size;
    } else {
      group.push(change);
      bytes += size;
    }
  });
  return groups;
}


/** Whether an operation removes or renames a directory, or a gfid of unknown type. */
function takesDirectoryAway({ op, stat }: EntryOp): boolean {
  return op === 'RMDIR' || (op === 'RENAME' && (stat === null || stat === undefined || fileKind(stat.mode) === 'dir'));
}
