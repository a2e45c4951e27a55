// A stock worker's live crawl, which tests have to wait for and may have to start again.
import type { Cluster } from './cluster.js';
import type { Pair } from './pair.js';
import type { CompareOptions } from './tree.js';

/** The log line with which a stock worker starts its live crawl. It may lose changes made between the end of its history crawl
 *  and this line. */
export const LIVE = /Crawl Status Change \[\{status=Changelog Crawl/;

/** Waits for the live crawl of a session that glusterd started. */
export async function untilLive(cluster: Cluster): Promise<void> {
  await cluster.untilStatus(0, 'crawl_status', 'Changelog Crawl', 90_000);
}

/** Waits until both trees are the same. A stock worker that misses live changes finds them in the history of its next
 *  start, which `again` gives it. */
export async function waitForStock(
  lab: Pair,
  again: () => Promise<void>,
  options: Omit<CompareOptions, 'waitMs' | 'signal'> = {},
): Promise<void> {
  await lab.waitConverged(60_000, options).catch(async () => {
    await again();
    await lab.waitConverged(120_000, options);
  });
}

/** Starts the session's workers again. */
export function restarted(cluster: Cluster): () => Promise<void> {
  return async () => {
    await cluster.session(['stop', 'force']);
    await cluster.session(['start']);
  };
}
