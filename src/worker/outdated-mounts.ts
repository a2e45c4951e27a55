// A GlusterFS client caches a directory's parent until the next lookup. When two directories, one above the other, have
// swapped places since, the client takes the new path for a cycle. It then denies that path until it is unmounted. So what
// a mount denies is on the failure list. If the retry is denied, too, the worker starts again, with fresh mounts: only
// between two crawls, and at growing intervals, since fresh mounts may deny it as well.

import { GsyncdError } from '../errors.js';

const [FIRST_INTERVAL_MS, MAX_INTERVAL_MS] = [10_000, 600_000];

/** The last restart for this cause. */
export interface Restart {
  /** Milliseconds since the epoch. */
  readonly atMs: number;
  /** Time until the next one may follow. */
  readonly intervalMs: number;
}

/** The record of a restart at `nowMs`: the interval doubles, unless the last restart was long ago. */
export function nextRestart(last: Restart | null, nowMs: number = Date.now()): Restart {
  const isRecent = last !== null && isWithin(last, MAX_INTERVAL_MS + last.intervalMs, nowMs);
  return { atMs: nowMs, intervalMs: isRecent ? Math.min(MAX_INTERVAL_MS, 2 * last.intervalMs) : FIRST_INTERVAL_MS };
}

/** A restart in the future was before the clock was set back: it is taken for an old one. */
function isWithin({ atMs }: Restart, ms: number, nowMs: number): boolean {
  return atMs <= nowMs && nowMs < atMs + ms;
}

export class OutdatedMounts {
  readonly #last: Restart | null;
  #isDenied = false;
  #deniedCrawls = 0;

  constructor(last: Restart | null) {
    this.#last = last;
  }

  /** Records that a mount denies a name or a path that its volume has. */
  noteDenial(): void {
    this.#isDenied = true;
  }

  /** Called after each crawl.
   *  @param hasFailures whether the failure list has entries
   *  @throws GsyncdError 'outdated-mount' when the worker should start again */
  crawlDone(hasFailures: boolean, nowMs: number = Date.now()): void {
    if (!hasFailures) this.#deniedCrawls = 0;
    else if (this.#isDenied) this.#deniedCrawls += 1;
    this.#isDenied = false;
    if (this.#deniedCrawls < 2) return;
    if (this.#last !== null && isWithin(this.#last, this.#last.intervalMs, nowMs)) return;
    throw new GsyncdError('a mount denies directories that its volume has', { code: 'outdated-mount' });
  }
}
