// A stock worker's live crawl, which tests have to wait for and may have to start again.
import type { Cluster } from './cluster.js';
import type { CompareOptions } from './tree.js';

/** Waits for the live crawl. What changes while a stock worker starts may be lost: between the end of its history and
 *  the start of the live crawl. */
export async function untilLive(cluster: Cluster): Promise<void> {
  await cluster.untilStatus(0, 'crawl_status', 'Changelog Crawl', 90_000);
}

/** Waits until both trees are the same. A stock worker that misses live changes finds them in the history of its next
 *  start, which it then gets. */
export async function waitForStock(cluster: Cluster, options: Omit<CompareOptions, 'waitMs' | 'signal'>): Promise<void> {
  await cluster.waitConverged(60_000, options).catch(async () => {
    await cluster.session(['stop', 'force']);
    await cluster.session(['start']);
    await cluster.waitConverged(120_000, options);
  });
}
