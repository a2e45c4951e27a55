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
import { mayMoveDirectory } from '../../protocol/lanes.js';
import { batchLogFields } from './batch-stats.js';
import { syncData, syncXattrs } from './data-phase.js';
import type { PrimaryDeps } from '../deps.js';
import { addRecreated, FailureRetry } from './failure-retry.js';
import { EntryPhase } from './entry-phase.js';
import { lookUpNeeds } from './lookups.js';
import { applyMetaOps } from './meta-phase.js';
import {
  createUnderNewNames,
  emptyPlan,
  finishPlan,
  planNeeds,
  planRecords,
  isNameRemoval,
  type Plan,
  type PlanOptions,
} from './plan.js';
import { SentFiles } from './sent-files.js';
import { tryInode, InodeError } from '../inode-error.js';

/** Limit for the names of a crawl's uncommitted batches, which are held in memory. */
const MAX_WALK_NAMES = 1 << 13;

export type CrawlName = 'xsync' | 'live_changelog' | 'history_changelog';

/** A group of changelogs in libgfchangelog's text form, oldest first, or records of the open changelog. */
export interface Batch {
  readonly changes: readonly string[];
  /** Records of the open changelog, instead of `changes`. They move no mark. */
  readonly openRecords?: readonly ChangeRecord[];
  /** Whether the open changelog was closed without further records. */
  readonly isIntervalOver?: boolean;
  /** Whether an earlier worker may have applied them. Default: as the crawl and the replay tracker say. */
  readonly replay?: 'possible';
  readonly crawl: CrawlName;
  /** How to treat the entry operations of a changelog with this time. */
  readonly entryPolicyOf: (changelogTime: number) => PlanOptions['entries'];
  /** Called when the entry operations are applied: raises entry_stime. */
  readonly entriesApplied: (lastChangeTime: number) => Promise<void>;
  /** Called when all of the batch is synced or in the failure list: raises stime, marks the changelogs as done, archives them. */
  readonly commit: (lastChangeTime: number) => Promise<void>;
  /** Whether this brick has been synced before. */
  readonly hasBeenSynced: () => Promise<boolean>;
  /** More fields for "Batch Completed". */
  readonly markFields: () => Promise<Record<string, unknown>>;
}

export interface BatchSlots {
  readonly deletes: 'apply' | 'ignore';
  readonly syncData: (items: readonly DataItem[]) => Promise<BoxResult>;
  readonly syncAttributes: (gfids: readonly Gfid[], signal: AbortSignal) => Promise<BoxResult>;
}

/** State of a batch whose entry operations are applied. */
interface BatchProgress {
  readonly opCounts: { readonly data: number; readonly meta: number };
  readonly timing: {
    readonly startMs: number;
    readonly entryS: number;
    readonly lastChangeTime: number;
    readonly previousCommit: Promise<void>;
  };
}

export class BatchPipeline {
  readonly #deps: PrimaryDeps;
  readonly #slots: BatchSlots;
  readonly #entryPhase: EntryPhase;
  readonly #failureRetry: FailureRetry;
  /** null if the open changelog is not followed. */
  readonly sentFiles: SentFiles | null;
  #lastCommit: Promise<void> = Promise.resolve();
  /** Uncommitted batches, oldest first. */
  readonly #uncommitted: { readonly names: number; readonly committed: Promise<void> }[] = [];
  #isRetryingFailures = false;

  constructor(deps: PrimaryDeps, slots: BatchSlots) {
    this.#deps = deps;
    this.#slots = slots;
    this.#entryPhase = new EntryPhase(deps, slots.deletes);
    this.#failureRetry = new FailureRetry(deps, this.#entryPhase);
    const { agent, brick, config, session } = deps;
    const isFollowing = config.get('follow-open-changelog') && agent.open !== undefined && !session.hotTier;
    this.sentFiles =
      isFollowing && brick.fileState !== undefined ? new SentFiles((gfid) => brick.fileState!(gfid)) : null;
  }

  /**
   * Applies the batch's entry operations, waits for earlier batches if it must, and starts its attributes and data.
   * @throws GsyncdError of this batch or an earlier one; then no later batch is committed
   */
  async submit(batch: Batch, signal: AbortSignal): Promise<void> {
    const startMs = performance.now();
    const isOpen = batch.openRecords !== undefined;
    const lastChangeTime = isOpen ? Math.ceil(Date.now() / 1000) : changelogTime(batch.changes.at(-1) ?? '');
    if (batch.crawl !== 'xsync') this.#deps.mountSelector.expectChangesUntil(lastChangeTime);
    const plan = await this.#plan(batch);
    const counts = { entry: plan.entries.length, data: plan.dataGfids.size, meta: plan.metaGfids.size };
    this.#deps.status.addCounts(counts);
    const entryStartMs = performance.now();
    const recreated = await this.#entryPhase.apply(plan);
    const entryS = (performance.now() - entryStartMs) / 1000;
    this.#deps.status.addCounts({ entry: -counts.entry });
    addRecreated(plan, recreated);
    if (batch.crawl !== 'xsync' && !isOpen) this.#deps.replayTracker.expireBefore(lastChangeTime);
    await this.#deps.failures.persist();
    await batch.entriesApplied(lastChangeTime);

    await this.#waitForRoom(batch, counts.entry);
    const committed = this.#finish(
      batch,
      plan,
      { opCounts: counts, timing: { startMs, entryS, lastChangeTime, previousCommit: this.#lastCommit } },
      signal,
    );
    // A later submit() or drain() reports a failure. Until then it must not be an unhandled rejection.
    committed.catch(() => undefined);
    this.#uncommitted.push({ names: counts.entry, committed });
    this.#lastCommit = committed;
  }

  /** A crawl names each file once, so several of its batches may be sent concurrently. A changelog may change the attributes
   *  of a file that is still being sent, so its batch waits. @throws the error of an earlier batch */
  async #waitForRoom({ crawl }: Batch, names: number): Promise<void> {
    const maxPendingNames = crawl === 'xsync' ? MAX_WALK_NAMES - names : -1;
    while (
      this.#uncommitted.length > 0 &&
      this.#uncommitted.reduce((sum, batch) => sum + batch.names, 0) > maxPendingNames
    ) {
      await this.#uncommitted[0]?.committed;
      this.#uncommitted.shift();
    }
  }

  /** Waits until every submitted batch is committed. */
  async drain(): Promise<void> {
    await this.#lastCommit;
  }

  /** Moves files that a killed worker left under temporary names on the secondary to their right names, or removes them.
   *  @throws as submit() and drain() do */
  async clearTempNames(signal: AbortSignal): Promise<void> {
    const plan = emptyPlan();
    addRecreated(plan, await this.#entryPhase.clearTempNames());
    await this.#send(plan, [], signal);
  }

  /** Compares the names that these changelogs remove or rename and that the primary no longer has. @throws as submit() and
   *  drain() do */
  async compareRemovedNames(changes: readonly string[], signal: AbortSignal): Promise<void> {
    const names = new Set<string>();
    const gfids = new Set<Gfid>();
    for (const path of changes) {
      for (const record of parseText(await readFile(path), path)) {
        if (record.type !== 'entry' || !isNameRemoval(record.fop)) continue;
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
      const [secondaryNames, brickNames] = await Promise.all([
        tryInode(secondary.entries(gfidPath(gfid))),
        tryInode(brick.childNames(gfid)),
      ]);
      if (secondaryNames instanceof InodeError || brickNames instanceof InodeError) {
        // Most likely the directory is gone by now.
        log.warn('cannot compare directory', {
          gfid,
          error: (secondaryNames instanceof InodeError ? secondaryNames : (brickNames as InodeError)).reason,
        });
        continue;
      }
      const expected = new Set(brickNames);
      const extraNames = secondaryNames.filter(
        (name) => !expected.has(name) && (gfid !== ROOT_GFID || !INTERNAL_ROOT_NAMES.has(name)),
      );
      if (extraNames.length > 0)
        await this.#compare(
          extraNames.map((name) => entryPath(gfid, name)),
          [],
          signal,
        );
    }
    this.#deps.status.setFailures(this.#deps.failures.size);
  }

  /** Compares those of the names that the primary no longer has, and sends the resulting attributes and data. */
  async #compare(names: Iterable<string>, gfids: Iterable<Gfid>, signal: AbortSignal): Promise<void> {
    const plan = emptyPlan();
    addRecreated(plan, await this.#entryPhase.retryGone(names, gfids));
    await this.#send(plan, [], signal);
  }

  /**
   * Every subvolume has every directory, so the workers of several bricks remove and rename the same ones. When one worker
   * removes a directory, another one's lookup can heal it back. When two workers rename a directory at the same time, its old
   * name can remain. GlusterFS reports neither.
   */
  async #compareRemovedDirectories({ entries }: Plan, signal: AbortSignal): Promise<void> {
    const removals =
      this.#slots.deletes === 'ignore' ? [] : entries.filter((op) => op.op === 'RMDIR' || mayMoveDirectory(op));
    if (removals.length === 0) return;
    const leftovers = await this.#entryPhase.findPresentNames(new Set(removals.map(({ entry }) => entry)));
    if (leftovers.length > 0)
      await this.#compare(
        leftovers,
        removals.map(({ gfid }) => gfid),
        signal,
      );
  }

  /** Retries the due entries of the failure list when no batch does. @returns whether there were any */
  async retryDueFailures(signal: AbortSignal): Promise<boolean> {
    await this.#lastCommit;
    if (this.#deps.failures.due(Date.now()).length === 0) return false;
    const plan = emptyPlan();
    await this.#failureRetry.addTo(plan);
    const before = await this.#failureRetry.fingerprints([...plan.dataGfids.keys(), ...plan.metaGfids.keys()]);
    await this.#send(plan, [], signal);
    await this.#failureRetry.relistChanged(before);
    this.#deps.status.setFailures(this.#deps.failures.size);
    return true;
  }

  /** Sends the attributes and data of a plan. When it resolves, everything that did not arrive is in the failure list on disk. */
  async #send(plan: Plan, changelogNames: readonly string[], signal: AbortSignal): Promise<void> {
    await applyMetaOps(this.#deps, plan.metaGfids);
    await this.#sendData(plan, changelogNames, signal);
    await this.#deps.failures.persist();
  }

  async #sendData(plan: Plan, changelogNames: readonly string[], signal: AbortSignal): Promise<void> {
    const { syncData: send, syncAttributes } = this.#slots;
    await syncData(this.#deps, plan.dataGfids, {
      changelogNames,
      send,
      entryPhase: this.#entryPhase,
      xattrGfids: plan.xattrGfids,
      newGfids: plan.newGfids,
      signal,
    });
    await syncXattrs(this.#deps, plan, this.#entryPhase, (gfids) => syncAttributes(gfids, signal));
  }

  async #plan(batch: Batch): Promise<Plan> {
    const { brick, config, failures, log, volume } = this.#deps;
    const changelogs = await this.#readChanges(batch);
    const created = this.sentFiles?.created;
    const lookups = planNeeds(
      changelogs.flatMap(({ records }) => records),
      created,
    );
    const xattrs = config.get('sync-xattrs') || config.get('sync-acls') ? 'sync' : 'ignore';
    const facts = await lookUpNeeds(volume, xattrs === 'sync' ? brick : null, lookups);
    const isLive = batch.crawl === 'live_changelog';
    const replay = isLive && !this.#deps.replayTracker.isReplaying ? (batch.replay ?? 'impossible') : 'possible';
    const data = batch.crawl === 'xsync' ? 'walked' : 'written';
    const plan = emptyPlan();
    const skipped: number[] = [];
    for (const { time, records } of changelogs) {
      const entries = batch.entryPolicyOf(time);
      if (entries === 'applied-before') skipped.push(time);
      planRecords(plan, records, facts, { entries, deletes: this.#slots.deletes, xattrs, replay, data, created });
    }
    finishPlan(plan, (gfid) => facts.stats.get(gfid) === null);
    if (this.#deps.canRecreateRenamed === true) createUnderNewNames(plan);
    for (const [gfid, stat] of facts.stats) if (stat === null) failures.resolveGone(gfid);
    for (const [gfid, reason] of plan.lookupErrors)
      for (const kind of ['meta', 'data', 'xattrs'] as const) failures.add({ kind, gfid, reason });
    if (batch.crawl === 'xsync') {
      // A crawl of a brick that was synced before cannot detect removed xattrs.
      if (!(await batch.hasBeenSynced())) for (const gfid of plan.dataGfids.keys()) plan.newGfids.add(gfid);
      else if (xattrs === 'sync') for (const gfid of plan.dataGfids.keys()) plan.xattrGfids.add(gfid);
    }
    if (batch.openRecords !== undefined && batch.isIntervalOver !== true) await this.sentFiles?.completeOpen(plan);
    else if (isLive) await this.sentFiles?.completeClosed(plan);
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

  async #readChanges({
    changes,
    crawl,
    openRecords,
  }: Batch): Promise<{ time: number; records: readonly ChangeRecord[] }[]> {
    if (openRecords !== undefined) return [{ time: NaN, records: openRecords }];
    const { agent, log } = this.#deps;
    return Promise.all(
      changes.map(async (path) => {
        log.debug('processing change', { changelog: path });
        const records = parseText(await readFile(path), path);
        const taken = crawl === 'live_changelog' ? (agent.open?.taken(path) ?? 0) : 0;
        return { time: changelogTime(path), records: (await this.sentFiles?.remaining(records, taken)) ?? records };
      }),
    );
  }

  /** When several batches are uncommitted, only one of them retries the failure list. */
  async #finish(batch: Batch, plan: Plan, progress: BatchProgress, signal: AbortSignal): Promise<void> {
    if (this.#isRetryingFailures) return this.#sendAndCommit(batch, plan, progress, signal);
    this.#isRetryingFailures = true;
    try {
      await this.#failureRetry.addTo(plan);
      await this.#sendAndCommit(batch, plan, progress, signal);
    } finally {
      this.#isRetryingFailures = false;
    }
  }

  async #sendAndCommit(
    batch: Batch,
    plan: Plan,
    { opCounts: counts, timing }: BatchProgress,
    signal: AbortSignal,
  ): Promise<void> {
    const { failures, status, log } = this.#deps;
    const metaStartMs = performance.now();
    await applyMetaOps(this.#deps, plan.metaGfids);
    const metaS = (performance.now() - metaStartMs) / 1000;
    status.addCounts({ meta: -counts.meta });

    const dataStartMs = performance.now();
    const changelogNames = batch.changes.map((path) => basename(path));
    const dataFiles = plan.dataGfids.size;
    try {
      await this.#sendData(plan, changelogNames, signal);
      await this.#compareRemovedDirectories(plan, signal);
    } finally {
      status.addCounts({ data: -counts.data });
    }
    await failures.persist();
    status.setFailures(failures.size);
    await timing.previousCommit;
    await batch.commit(timing.lastChangeTime);
    this.#deps.progress?.batchDone({
      crawl: batch.crawl,
      changelogs: batch.changes.length,
      ops: plan.counts,
      dataFiles,
    });

    const now = performance.now();
    const times = {
      entry: timing.entryS,
      meta: metaS,
      data: (now - dataStartMs) / 1000,
      total: (now - timing.startMs) / 1000,
    };
    const lines = batchLogFields(plan, dataFiles, times);
    // While the volume is written to, the open changelog gives several batches a second.
    const level = batch.openRecords === undefined ? 'info' : 'debug';
    log[level]('Entry Time Taken', lines.entry);
    log[level]('Data/Metadata Time Taken', lines.data);
    log[level]('Batch Completed', {
      mode: batch.crawl,
      duration: times.total.toFixed(4),
      changelog_start: changelogTime(batch.changes[0] ?? ''),
      changelog_end: timing.lastChangeTime,
      num_changelogs: batch.changes.length,
      ...(await batch.markFields()),
    });
  }
}

/** Time in a changelog's name, seconds; NaN when the name has none. */
export function changelogTime(path: string): number {
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
