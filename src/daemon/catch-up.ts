// Brings a brick up to the moment from which its journals are followed live: history where the journals reach, a
// walk of the brick (xsync crawl) where they do not. Used by worker.ts.
// Invariant: a walk that was begun is finished, by this worker or a later one, before its note is removed; and
// what changed while it ran, or since an earlier attempt, is read from the journals afterwards.

import { isGsyncdError } from '../errors.js';
import type { Primary } from '../primary/build.js';
import type { PrimaryDeps } from '../primary/deps.js';
import { clearOwedWalk, loadOwedWalk, saveOwedWalk, type OwedWalk } from './owed-walk.js';

export interface Crawlers {
  readonly xsync: Primary;
  readonly live: Primary;
  readonly history: Primary;
}

/** @param registerTime when the live journals begin, seconds
 *  @throws what the crawls throw; what they have under way has settled by then */
export async function catchUp(deps: PrimaryDeps, { xsync, history }: Crawlers, registerTime: number, signal: AbortSignal): Promise<void> {
  const { log, workingDir } = deps;
  let owed = await loadOwedWalk(workingDir);
  const reached = await crawlHistory(deps, history, registerTime, signal);
  if (reached === 'complete' && owed === null) return;
  if (reached === 'partial') owed = (await loadOwedWalk(workingDir)) ?? owed;
  if (owed === null) {
    owed = { since: registerTime, from: null };
    await saveOwedWalk(workingDir, owed);
  }
  if (signal.aborted) return;
  await settling(xsync, xsync.crawlwrap(signal, { oneshot: true, ...walkOptions(owed) }));
  if (signal.aborted) return;
  if (owed.since < registerTime) {
    log.info('reading the journals since the walk was begun', { since: owed.since });
    await crawlHistory(deps, history, registerTime, signal);
    if (signal.aborted) return;
  }
  await clearOwedWalk(workingDir);
}

function walkOptions({ since, from }: OwedWalk): { registerTime: number; walkFrom?: number } {
  return { registerTime: since, ...(from === null ? {} : { walkFrom: from }) };
}

async function crawlHistory({ log }: PrimaryDeps, history: Primary, registerTime: number, signal: AbortSignal): Promise<'complete' | 'partial' | 'none'> {
  try {
    await settling(history, history.crawlwrap(signal, { oneshot: true, registerTime }));
    return 'complete';
  } catch (error) {
    if (isGsyncdError(error, 'partial-history')) {
      log.info('Partial history available, using xsync crawl after consuming history', { till: error.message });
      return 'partial';
    }
    if (isGsyncdError(error, 'no-history')) log.info('Changelog history not available, using xsync');
    else if (isGsyncdError(error, 'no-stime')) log.info('No stime available, using xsync crawl');
    else throw error;
    return 'none';
  }
}

/** Lets what a failed crawl has under way come to its end before its error goes on. */
async function settling(primary: Primary, crawl: Promise<void>): Promise<void> {
  try {
    await crawl;
  } catch (error) {
    await primary.pipeline.drain().catch(() => undefined);
    throw error;
  }
}
