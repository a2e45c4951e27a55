// crawl slot: the history crawl, one pass over the changelogs between stime and the live crawl's start. Port of
// GMasterChangeloghistoryMixin. The agent returns every changelog up to that start. So the reference's second turn, which
// waits for a rollover in between, is not needed.

import { join } from 'node:path';
import type { HistoryResult, ChangelogLoss } from '../../changelog/source.js';
import { MAX_CLOCK_SKEW_S, type ClockSetBack } from '../../changelog/timeline.js';
import { GsyncdError } from '../../errors.js';
import { compareXtime, MINUS_INFINITY } from '../../gluster/xtime.js';
import type { CrawlName } from '../batch/batch.js';
import { withChangelogCrawl, type ChangelogCrawl, type CrawlBase } from './crawl-changelog.js';
import type { AbstractCtor } from './mixin.js';

export const withHistoryCrawl = <B extends AbstractCtor<CrawlBase>>(Base: B): AbstractCtor<ChangelogCrawl> & B => {
  abstract class History extends withChangelogCrawl(Base) {
    override get crawlName(): CrawlName {
      return 'history_changelog';
    }

    /** @throws GsyncdError 'no-stime', 'no-history' or 'partial-history' when an xsync crawl must follow */
    override async crawl(signal: AbortSignal): Promise<void> {
      const { status, log } = this.deps;
      await status.setCrawlStatus('History Crawl');
      await this.pipeline.clearTempNames(signal);
      await this.expectReplay();
      log.info('starting history crawl', {
        turns: 1,
        stime: await this.dataStime(),
        entry_stime: await this.entryStime(),
      });
      let incompleteAfter: number | null = null;
      for (let history: HistoryResult | null = null; history === null || history.setBack !== null;) {
        if (history !== null && history.setBack !== null) {
          await this.#followClock(history.setBack);
          if (incompleteAfter !== null) await this.deps.addPendingCrawl(0);
        }
        history = await this.#requestHistory();
        if (history.status === 'partial') incompleteAfter ??= history.actualEnd;
        const lostFrom = await this.#processAll(signal);
        if (lostFrom !== null) incompleteAfter ??= lostFrom;
        log.info('finished history crawl', {
          endtime: history.actualEnd,
          stime: await this.dataStime(),
          entry_stime: await this.entryStime(),
        });
      }
      if (incompleteAfter !== null) {
        throw new GsyncdError(`history crawl: changelogs after ${incompleteAfter}: incomplete`, {
          code: 'partial-history',
        });
      }
    }

    async #requestHistory(): Promise<HistoryResult> {
      const { agent, log, replayTracker } = this.deps;
      const stime = await this.dataStime();
      if (stime === null || compareXtime(stime, MINUS_INFINITY) === 0) {
        throw new GsyncdError('history crawl: stime: none yet', { code: 'no-stime' });
      }
      const history = await agent.history(stime[0]);
      const now = this.liveChangelogStart?.[0] ?? 0;
      if (history.status === 'unavailable' && stime[0] > now + MAX_CLOCK_SKEW_S) {
        log.error('clock set back, no changelog reaches back to the stime: crawling the whole brick', { stime, now });
        await this.deps.addPendingCrawl(0);
        await this.#setMarks(now);
        throw new GsyncdError('history crawl: changelogs after 0: incomplete', { code: 'partial-history' });
      }
      if (history.status === 'unavailable') {
        throw new GsyncdError(`history crawl: changelogs since ${stime[0]}: not available`, { code: 'no-history' });
      }
      // Record it before the history crawl raises stime past the gap.
      if (history.status === 'partial') await this.deps.addPendingCrawl(history.actualEnd);
      // After the clock was set back, two changelogs may have equal times. The position of stime in HTIME is then uncertain,
      // and some changelogs may be read again.
      if (history.setBack !== null) replayTracker.markReplay();
      return history;
    }

    /** Processes all changelogs of this history.
     *  @returns the start, seconds, of the first interval whose changelog cannot be read, or null. An xsync crawl for it is
     *  then pending */
    async #processAll(signal: AbortSignal): Promise<number | null> {
      const { agent, log, workingDir } = this.deps;
      const processed = join(workingDir, '.history', '.processed');
      const markDone = (path: string): Promise<void> => agent.historyDone(path);
      // A changelog stays listed until its batch is committed, and commits go on during later scans.
      const taken = new Set<string>();
      const losses: ChangelogLoss[] = [];
      for (;;) {
        const ready = await agent.historyScan();
        for (const loss of agent.historyLosses()) {
          log.error('cannot read changelog: crawling for the changes in its interval', { ...loss });
          await this.deps.addPendingCrawl(loss.from);
          losses.push(loss);
        }
        if (ready === 0) break;
        signal.throwIfAborted();
        const changes = (await agent.historyGetchanges()).filter((path) => !taken.has(path));
        for (const path of changes) taken.add(path);
        await this.processChanges(changes, markDone, processed, signal);
      }
      await this.pipeline.drain();
      const [firstLoss] = losses;
      if (firstLoss === undefined) return null;
      // The next history crawl may begin after a lost changelog, if no other changelog can have the time of this stime.
      const afterLosses = Math.max(...losses.map(({ to }) => to)) + 1;
      const now = this.liveChangelogStart?.[0] ?? 0;
      if (afterLosses < now && ((await this.dataStime())?.[0] ?? 0) < afterLosses)
        await this.commitStime([afterLosses, 0]);
      return firstLoss.from;
    }

    /** Everything from before the clock was set back is synced. Later changes have times after `setBack.to`, so stime must be
     *  at that time, too. */
    async #followClock(setBack: ClockSetBack): Promise<void> {
      this.deps.log.warn('brick clock set back: setting the stime to the new time', {
        from: setBack.from,
        to: setBack.to,
      });
      await this.#setMarks(setBack.to - 1);
      await this.deps.agent.passSetBack(setBack);
    }

    async #setMarks(seconds: number): Promise<void> {
      await this.commitStime([seconds, 0]);
      await this.commitEntryStime([seconds, 0]);
    }
  }
  return History;
};
