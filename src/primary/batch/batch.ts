// Processes batches of changelogs: plan, namespace, attributes, data, and then the marks. Port of the reference's
// process() and process_change(), with two differences: all changelogs of a batch are planned together, so that a
// file is sent once per batch; and the namespace of a batch goes ahead while the data of the one before flows.
// Invariant: a batch is committed (stime, done, archive) only after the batch before it, and only when all it
// holds has arrived, is gone from the primary, or is on the durable list on disk.

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

/** Names of a walk's batches that are under way together: they are in memory. */
const MAX_WALK_NAMES = 1 << 13;

export type CrawlName = 'xsync' | 'live_changelog' | 'history_changelog';

/** A group of changelogs in the consumer's text form, oldest first. */
export interface Batch {
  readonly changes: readonly string[];
  readonly crawl: CrawlName;
  /** How to treat the namespace of a changelog with this time. */
  readonly entriesOf: (changeTime: number) => PlanOptions['entries'];
  /** The namespace is applied: moves entry_stime. */
  readonly entriesApplied: (lastChangeTime: number) => Promise<void>;
  /** Everything is acknowledged: moves stime, marks the changelogs as done, archives them. */
  readonly commit: (lastChangeTime: number) => Promise<void>;
  /** Whether the brick was synced before. */
  readonly synced: () => Promise<boolean>;
  /** More fields for "Batch Completed". */
  readonly marks: () => Promise<Record<string, unknown>>;
}

export interface BatchSlots {
  readonly deletes: 'apply' | 'ignore';
  readonly syncData: (items: readonly DataItem[]) => Promise<BoxResult>;
  readonly syncAttributes: (gfids: readonly Gfid[], signal: AbortSignal) => Promise<BoxResult>;
}

/** State of a batch whose namespace is applied. */
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
  /** Batches that are not committed, oldest first. */
  readonly #underWay: { readonly names: number; readonly committed: Promise<void> }[] = [];
  #retriesDue = false;

  constructor(deps: PrimaryDeps, slots: BatchSlots) {
    this.#deps = deps;
    this.#slots = slots;
    this.#entries = new EntryPhase(deps, slots.deletes);
    this.#due = new DueItems(deps, this.#entries);
  }

  /**
   * Applies the batch's namespace, waits until it may, and starts its data.
   * @throws GsyncdError of this batch's or an earlier one's; nothing later is committed then
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
    // A failure is reported by a later submit() or drain(); without one it must not be an unhandled rejection.
    committed.catch(() => undefined);
    this.#underWay.push({ names: counts.entry, committed });
    this.#before = committed;
  }

  /** A walk names each file once, so the data of several of its batches may flow together; a changelog may change the
   *  attributes of a file that is still being sent, and waits. @throws what a batch that it waits for throws */
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

  /** Puts in place what a killed worker left parked on the secondary. @throws as submit() and drain() do */
  async clearParked(signal: AbortSignal): Promise<void> {
    const plan = emptyPlan();
    addFixed(plan, await this.#entries.clearParked());
    await this.#send(plan, [], signal);
  }

  /** Compares the names that these changelogs take away and the primary has no more. @throws as submit() and drain() do */
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

  /** Takes away, or puts where it is now, what the secondary has in these directories and the primary has not.
   *  @throws as submit() and drain() do */
  async compareDirectories(gfids: Iterable<Gfid>, signal: AbortSignal): Promise<void> {
    if (this.#slots.deletes === 'ignore') return;
    const { brick, secondary, log } = this.#deps;
    for (const gfid of gfids) {
      signal.throwIfAborted();
      const [there, here] = await Promise.all([tryInode(secondary.entries(gfidPath(gfid))), tryInode(brick.childNames(gfid))]);
      if (there instanceof InodeError || here instanceof InodeError) {
        // Most likely it is gone by now.
        log.warn('cannot compare directory', { gfid, error: (there instanceof InodeError ? there : (here as InodeError)).reason });
        continue;
      }
      const known = new Set(here);
      const extra = there.filter((name) => !known.has(name) && (gfid !== ROOT_GFID || !INTERNAL_ROOT_NAMES.has(name)));
      if (extra.length > 0) await this.#compare(extra.map((name) => entryPath(gfid, name)), [], signal);
    }
    this.#deps.status.setFailures(this.#deps.failures.size);
  }

  /** Compares those of the names that the primary has no more, and sends what that brings to light. */
  async #compare(names: Iterable<string>, gfids: Iterable<Gfid>, signal: AbortSignal): Promise<void> {
    const plan = emptyPlan();
    addFixed(plan, await this.#entries.retryGone(names, gfids));
    await this.#send(plan, [], signal);
  }

  /**
   * All subvolumes hold all directories, so the workers of several bricks remove and rename the same ones. A directory that one
   * worker removes comes back when another one's lookup heals it; and of two renames at the same time, one may leave its
   * old name behind. GlusterFS reports neither.
   */
  async #compareTakenAway({ entries }: Plan, signal: AbortSignal): Promise<void> {
    const taken = this.#slots.deletes === 'ignore' ? [] : entries.filter(takesDirectoryAway);
    if (taken.length === 0) return;
    const left = await this.#entries.leftBehind(new Set(taken.map(({ entry }) => entry)));
    if (left.length > 0) await this.#compare(left, taken.map(({ gfid }) => gfid), signal);
  }

  /** Tries what is on the durable list and due, when no batch does. @returns whether there was anything */
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

  /** Attributes and data of a plan. What did not arrive is on the durable list, on the disk, when it resolves. */
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
      // A walk of a brick that was synced before cannot tell which xattrs went away meanwhile.
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

  /** When several batches are under way, only one of them retries what earlier ones failed to sync. */
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

/** Time in a changelog's name, seconds; NaN when there is none. */
export function changeTime(path: string): number {
  return Number.parseInt(path.slice(path.lastIndexOf('.') + 1), 10);
}

/** Groups changelogs so that a group's files hold at most `maxBytes`, one changelog at least (the reference's
 *  changelogs_batch_process). `sizes` are those of `changes`, in bytes. */
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


/** Whether an operation removes or renames a directory, or what may have been one. */
function takesDirectoryAway({ op, stat }: EntryOp): boolean {
  return op === 'RMDIR' || (op === 'RENAME' && (stat === null || stat === undefined || fileKind(stat.mode) === 'dir'));
}
