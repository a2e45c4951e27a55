// crawl slot: the live changelog crawl, and the batches and marks that the history and xsync crawls share with it. Port of
// GMasterChangelogMixin.

import { lstat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { archiveAndPurge } from '../../changelog/archive.js';
import { compareXtime, type Xtime } from '../../gluster/xtime.js';
import type { PrimaryBase } from '../base.js';
import { BatchPipeline, changelogTime, groupBySize, type Batch, type CrawlName } from '../batch/batch.js';
import type { Engine } from './engine-rsync.js';
import type { AbstractCtor } from './mixin.js';
import type { Mode } from './mode.js';
import type { PlanOptions } from '../batch/plan.js';
import type { Purge } from './purge.js';
import type { Sendmark } from './sendmark.js';
import { PAUSE_MS, type SentFiles } from '../batch/sent-files.js';
import type { ChangeRecord } from '../../changelog/record.js';
import type { OpenChangelogSource } from '../../changelog/source.js';
import { delayOrWake } from '../../async/wait.js';

/** Time that an operation has between its record and the lookups for it. On several bricks GlusterFS may still be at work. */
const SETTLE_MS = 50;

export interface Crawl {
  readonly crawlName: CrawlName;
  crawl(signal: AbortSignal): Promise<void>;
  /** Resolves when the next crawl is due, early when changes are waiting. */
  nextCrawl(signal: AbortSignal): Promise<void>;
  readonly isReadingChangelogs: boolean;
  retryFailures(signal: AbortSignal): Promise<void>;
  /** Compares on both sides the names that unprocessed changelogs remove or rename. Only changelogs that closed at or after
   *  `since`, seconds, are read. */
  compareChangelogs(since: number, which: 'new' | 'all', signal: AbortSignal): Promise<void>;
}

/** The base and the other four slots. */
export type CrawlBase = PrimaryBase & Mode & Sendmark & Purge & Engine;

export interface ChangelogCrawl extends Crawl {
  readonly pipeline: BatchPipeline;
  /** Processes changelogs in batches of changelog-batch-size bytes. Resolves when all are submitted. */
  processChanges(
    changes: readonly string[],
    markDone: (path: string) => Promise<void>,
    processedDir: string,
    signal: AbortSignal,
  ): Promise<void>;
  /** Marks as done and archives changelogs from before stime. @returns the others */
  dropProcessed(
    changes: readonly string[],
    markDone: (path: string) => Promise<void>,
    processedDir: string,
  ): Promise<string[]>;
}

export const withChangelogCrawl = <B extends AbstractCtor<CrawlBase>>(Base: B): AbstractCtor<ChangelogCrawl> & B => {
  abstract class Changelog extends Base implements ChangelogCrawl {
    /** Unprocessed changelogs whose names compareChangelogs() has compared. */
    #comparedChangelogs: ReadonlySet<string> = new Set();
    /** Whether an earlier worker may have sent what the next changelog records, while it was open. */
    #isSentByOthers = true;
    /** Seconds: when the last changelog closed that a crawl has seen. */
    #lastReached = 0;

    get crawlName(): CrawlName {
      return 'live_changelog';
    }

    get isReadingChangelogs(): boolean {
      return true;
    }

    get pipeline(): BatchPipeline {
      this.shared.pipeline ??= new BatchPipeline(this.deps, {
        deletes: this.deletes,
        syncData: (items) => this.syncData(items),
        syncAttributes: (gfids, signal) => this.syncAttributes(gfids, signal),
      });
      return this.shared.pipeline;
    }

    async crawl(signal: AbortSignal): Promise<void> {
      const { agent, replayTracker, status, workingDir } = this.deps;
      await status.setCrawlStatus('Changelog Crawl');
      const processed = join(workingDir, '.processed');
      const markDone = (path: string): Promise<void> => agent.done(path);
      await agent.scan();
      const changes = await agent.getchanges();
      const { sentFiles } = this.pipeline;
      const isIntervalOver = agent.reached() > this.#lastReached;
      this.#lastReached = agent.reached();
      if (changes.length === 0) {
        if (isIntervalOver && sentFiles?.hasSent === true)
          await this.pipeline.submit({ ...this.#makeOpenBatch([]), isIntervalOver }, signal);
        replayTracker.expireBefore(agent.reached());
        await this.retryFailures(signal);
        await this.completeCheckpoint();
        return;
      }
      await this.processChanges(await this.dropProcessed(changes, markDone, processed), markDone, processed, signal);
      await this.pipeline.drain();
    }

    override async retryFailures(signal: AbortSignal): Promise<void> {
      await this.pipeline.retryDueFailures(signal);
    }

    override async compareChangelogs(since: number, which: 'new' | 'all', signal: AbortSignal): Promise<void> {
      const { agent } = this.deps;
      while ((await agent.scan()) > 0) signal.throwIfAborted();
      const changelogs = (await agent.getchanges()).filter((path) => changelogTime(path) >= since);
      const toCompare = which === 'all' ? changelogs : changelogs.filter((path) => !this.#comparedChangelogs.has(path));
      if (toCompare.length > 0) await this.pipeline.compareRemovedNames(toCompare, signal);
      else await this.pipeline.retryDueFailures(signal);
      this.#comparedChangelogs = new Set(changelogs);
    }

    override async nextCrawl(signal: AbortSignal): Promise<void> {
      const { agent, config } = this.deps;
      const due = delayOrWake(config.get('change-interval') * 1000, signal, agent.news());
      const { sentFiles } = this.pipeline;
      if (sentFiles !== null && agent.open !== undefined) await this.#follow(agent.open, sentFiles, due, signal);
      await due;
    }

    /** Sends what the open changelog records, until the next crawl is due. The crawl of the closed changelog sends the rest. */
    async #follow(
      open: OpenChangelogSource,
      sentFiles: SentFiles,
      due: Promise<void>,
      signal: AbortSignal,
    ): Promise<void> {
      let isDue = false;
      const end = due.then(() => (isDue = true));
      while (!isDue) {
        const grown = open.grown();
        const openRecords = await open.take();
        if (openRecords.length > 0) await delayOrWake(SETTLE_MS, signal);
        if (signal.aborted) return;
        if (openRecords.length > 0 || (await sentFiles.hasPaused()))
          await this.pipeline.submit(this.#makeOpenBatch(openRecords), signal);
        else if (sentFiles.hasWaiting) await Promise.race([end, grown, delayOrWake(PAUSE_MS, signal)]);
        else await Promise.race([end, grown]);
      }
      // Before another worker may be elected.
      await this.pipeline.drain();
    }

    #makeOpenBatch(openRecords: readonly ChangeRecord[]): Batch {
      return {
        changes: [],
        openRecords,
        crawl: this.crawlName,
        entryPolicyOf: () => 'apply',
        entriesApplied: () => Promise.resolve(),
        commit: () => Promise.resolve(),
        hasBeenSynced: () => Promise.resolve(true),
        markFields: () => Promise.resolve({}),
      };
    }

    async dropProcessed(
      changes: readonly string[],
      markDone: (path: string) => Promise<void>,
      processedDir: string,
    ): Promise<string[]> {
      const stime = await this.dataStime();
      if (stime === null) return [...changes];
      this.deps.log.info("secondary's time", { stime });
      const processed = changes.filter((path) => changelogTime(path) < stime[0]);
      for (const path of processed) {
        this.deps.log.debug('skipping already processed change', { changelog: basename(path) });
        await markDone(path);
      }
      await this.#archive(processedDir, processed);
      return changes.filter((path) => changelogTime(path) >= stime[0]);
    }

    async processChanges(
      changes: readonly string[],
      markDone: (path: string) => Promise<void>,
      processedDir: string,
      signal: AbortSignal,
    ): Promise<void> {
      const sizes = await Promise.all(changes.map(async (path) => (await lstat(path)).size));
      for (const group of groupBySize(changes, sizes, this.deps.config.get('changelog-batch-size'))) {
        signal.throwIfAborted();
        await this.pipeline.submit(await this.#makeBatch(group, markDone, processedDir), signal);
      }
    }

    async #makeBatch(
      changes: readonly string[],
      markDone: (path: string) => Promise<void>,
      processedDir: string,
    ): Promise<Batch> {
      const entryPolicyOf = this.#entryPolicy(await this.entryStime(), await this.dataStime());
      const mayBeSent = this.#isSentByOthers && this.pipeline.sentFiles !== null;
      this.#isSentByOthers = false;
      return {
        changes,
        crawl: this.crawlName,
        entryPolicyOf: entryPolicyOf,
        // A changelog's name has the time of its rollover. One second less allows for the difference between the clock of the
        // marks and the changelog's.
        entriesApplied: (lastChangeTime) => this.#raiseEntryStime([lastChangeTime - 1, 0]),
        commit: async (lastChangeTime) => {
          await this.commitStime([lastChangeTime - 1, 0]);
          for (const path of changes) await markDone(path);
          await this.#archive(processedDir, changes);
        },
        hasBeenSynced: () => Promise.resolve(true),
        markFields: async () => ({ stime: await this.dataStime(), entry_stime: await this.entryStime() }),
        ...(mayBeSent ? { replay: 'possible' as const } : {}),
      };
    }

    /** If a changelog's entry operations were applied before a crash, only its data and attributes are planned. */
    #entryPolicy(entryStime: Xtime | null, dataStime: Xtime | null): (time: number) => PlanOptions['entries'] {
      if (this.deps.session.hotTier) return () => 'hot-tier';
      if (entryStime === null || dataStime === null) return () => 'apply';
      // A passive worker raises stime but not entry_stime.
      const appliedUntil = dataStime[0] > entryStime[0] ? dataStime : entryStime;
      return (time) => (time <= appliedUntil[0] ? 'applied-before' : 'apply');
    }

    async #raiseEntryStime(mark: Xtime): Promise<void> {
      const before = await this.entryStime();
      if (before === null || compareXtime(mark, before) > 0) await this.commitEntryStime(mark);
    }

    async #archive(processedDir: string, changes: readonly string[]): Promise<void> {
      if (changes.length === 0) return;
      const files = changes.map((path) => basename(path));
      await archiveAndPurge(processedDir, files, this.deps.config.get('changelog-archive-format'));
    }
  }
  return Changelog;
};
