// Brings a brick up to the moment from which its changelogs are followed live. A history crawl covers the time that
// changelogs reach; an xsync crawl of the brick covers the rest. Invariant: a crawl that has begun is finished, by this
// worker or a later one, before its note is removed. Changes made while it ran, or since an earlier attempt, are read from
// the changelogs afterwards.

import { loadClockNote } from '../changelog/clock-note.js';
import { isGsyncdError } from '../errors.js';
import type { Primary } from '../primary/build.js';
import type { PrimaryDeps } from '../primary/deps.js';
import { clearPendingCrawl, loadPendingCrawl, savePendingCrawl, type PendingCrawl } from './pending-crawl.js';

export interface Crawlers {
  readonly xsync: Primary;
  readonly live: Primary;
  readonly history: Primary;
}

type HistoryCoverage = 'complete' | 'partial' | 'none' | 'no mark';

/** @param registerTime start of the live changelogs, seconds
 *  @throws errors of the crawls, after their operations under way have settled */
export async function catchUp(
  deps: PrimaryDeps,
  { xsync, history }: Crawlers,
  registerTime: number,
  signal: AbortSignal,
): Promise<void> {
  const { log, workingDir } = deps;
  const pendingBefore = await loadPendingCrawl(workingDir);
  const coverage = await crawlHistory(deps, history, registerTime, signal);
  if (coverage === 'complete' && pendingBefore === null) return;
  let pending = await loadPendingCrawl(workingDir);
  if (pending === null) {
    pending = await newPendingCrawl(deps, coverage, registerTime);
    await savePendingCrawl(workingDir, pending);
  }
  for (;;) {
    if (signal.aborted) return;
    await drainOnFailure(
      xsync,
      xsync.crawlwrap(signal, { oneshot: true, registerTime: pending.since, walkFrom: pending.from ?? undefined }),
    );
    if (signal.aborted) return;
    if (pending.since === registerTime) break;
    log.info('reading the changelogs since the crawl started', { since: pending.since });
    if ((await crawlHistory(deps, history, registerTime, signal)) !== 'partial') break;
    // Some of these changelogs are lost. Another crawl finds their changes.
    pending = { since: registerTime, from: (await loadPendingCrawl(workingDir))?.from ?? 0 };
  }
  if (!signal.aborted) await clearPendingCrawl(workingDir);
}

/** The range of a crawl, and since when changelogs are read after it. In a failback, no worker has read the changelogs that
 *  were kept while the session did not exist. No crawl sees entries that were deleted in that time. */
async function newPendingCrawl(
  { agent, config, workingDir }: PrimaryDeps,
  coverage: HistoryCoverage,
  registerTime: number,
): Promise<PendingCrawl> {
  const fromHistoryBegin =
    coverage === 'no mark' &&
    config.get('special-sync-mode') === 'recover' &&
    config.get('change-detector') !== 'xsync';
  return {
    since: fromHistoryBegin ? ((await agent.historyBegin()) ?? registerTime) : registerTime,
    // A mark from before the clock was set back says nothing about changes after that.
    from: (await loadClockNote(workingDir)) === null ? null : 0,
  };
}

async function crawlHistory(
  { log }: PrimaryDeps,
  history: Primary,
  registerTime: number,
  signal: AbortSignal,
): Promise<HistoryCoverage> {
  try {
    await drainOnFailure(history, history.crawlwrap(signal, { oneshot: true, registerTime }));
    return 'complete';
  } catch (error) {
    if (isGsyncdError(error, 'partial-history')) {
      log.info('Partial history available, using xsync crawl after consuming history', { till: error.message });
      return 'partial';
    }
    if (isGsyncdError(error, 'no-history')) {
      log.info('Changelog history not available, using xsync');
      return 'none';
    }
    if (!isGsyncdError(error, 'no-stime')) throw error;
    log.info('No stime available, using xsync crawl');
    return 'no mark';
  }
}

/** Lets a failed crawl's operations under way settle before its error is rethrown. */
async function drainOnFailure(primary: Primary, crawl: Promise<void>): Promise<void> {
  try {
    await crawl;
  } catch (error) {
    await primary.pipeline.drain().catch(() => undefined);
    throw error;
  }
}
