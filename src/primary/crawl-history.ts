// crawl slot: the history crawl, one pass over the journals between stime and the moment the live crawl's
// cursor was set. Port of GMasterChangeloghistoryMixin. The agent hands over every journal up to that cursor,
// so the reference's second turn, which waits for a rollover in between, is not needed.

import { join } from 'node:path';
import { GsyncdError } from '../errors.js';
import { compareXtime, MINUS_INFINITY } from '../gluster/xtime.js';
import type { CrawlName } from './batch.js';
import { withChangelogCrawl, type ChangelogCrawl, type CrawlBase } from './crawl-changelog.js';
import type { AbstractCtor } from './mixin.js';

export const withHistoryCrawl = <B extends AbstractCtor<CrawlBase>>(Base: B): AbstractCtor<ChangelogCrawl> & B => {
  abstract class History extends withChangelogCrawl(Base) {
    override get crawlName(): CrawlName {
      return 'history_changelog';
    }

    /** @throws GsyncdError 'no-stime', 'no-history' or 'partial-history' when an xsync crawl has to follow */
    override async crawl(signal: AbortSignal): Promise<void> {
      const { agent, status, log, workingDir } = this.deps;
      await status.setCrawlStatus('History Crawl');
      await this.pipeline.clearParked(signal);
      await this.expectReplay();
      const stime = await this.dataStime();
      // Also when the clock was set back since then.
      const endTime = Math.max(Math.floor(Date.now() / 1000), this.liveChangelogStart?.[0] ?? 0);
      log.info('starting history crawl', { turns: 1, stime, etime: endTime, entry_stime: await this.entryStime() });
      if (stime === null || compareXtime(stime, MINUS_INFINITY) === 0) {
        throw new GsyncdError('history crawl: stime: none yet', { code: 'no-stime' });
      }
      const history = await agent.history(stime[0], endTime);
      if (history.status === 'unavailable') {
        throw new GsyncdError(`history crawl: journals since ${stime[0]}: not available`, { code: 'no-history' });
      }
      // Noted before history moves the mark over the gap.
      if (history.status === 'partial') await this.deps.oweWalk(history.actualEnd);
      const processed = join(workingDir, '.history', '.processed');
      const done = (path: string): Promise<void> => agent.historyDone(path);
      // What an earlier scan made ready stays listed until its batch is committed, and that goes on meanwhile.
      const taken = new Set<string>();
      while ((await agent.historyScan()) > 0) {
        signal.throwIfAborted();
        const changes = (await agent.historyGetchanges()).filter((path) => !taken.has(path));
        for (const path of changes) taken.add(path);
        await this.processChanges(await this.dropProcessed(changes, done, processed), done, processed, signal);
      }
      await this.pipeline.drain();
      log.info('finished history crawl', {
        endtime: history.actualEnd,
        stime: await this.dataStime(),
        entry_stime: await this.entryStime(),
      });
      if (history.status === 'partial') {
        throw new GsyncdError(`history crawl: journals after ${history.actualEnd}: incomplete`, { code: 'partial-history' });
      }
    }
  }
  return History;
};
