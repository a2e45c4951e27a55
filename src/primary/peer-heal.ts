// A passive worker's duty while another brick of its replica set heals. Only this brick's changelogs may have the deletes
// and renames of that time: the other brick does not have these names yet, and its heal records no deletes. Soon after its
// node is back, that brick's worker may be the active one. So this worker compares the removed names, in each changelog as
// it closes. When the heal is over and the active worker has passed it, this worker compares them all once more. New names
// are in the healed brick's changelogs.

import type { Xtime } from '../gluster/xtime.js';
import type { PrimaryDeps } from './deps.js';

/** After a heal ends, wait until all changelogs of the heal are closed and read. */
const SETTLE_S = 60;
/** Limits the wait for a brick that stays down. */
const MAX_WINDOW_S = 6 * 3_600;
/** The heal may have begun so long before it was seen. */
const MAX_DETECTION_DELAY_S = 5;

export interface PeerHealOptions extends Pick<PrimaryDeps, 'log'> {
  /** Whether this brick holds changes that another brick of its set lacks. */
  readonly hasPendingHeals: () => Promise<boolean>;
  readonly clusterStime: () => Promise<Xtime | null>;
  /** Compares the names that changelogs closed at or after `since`, seconds, remove. */
  readonly compareNames: (since: number, which: 'new' | 'all', signal: AbortSignal) => Promise<void>;
}

export class PeerHeal {
  readonly #options: PeerHealOptions;
  /** When pending heals were first and last seen, seconds. */
  #window: { readonly since: number; readonly until: number } | null = null;
  /** The window reached its limit: nothing is compared until the heal ends, or this worker was active. */
  #hasGivenUp = false;

  constructor(options: PeerHealOptions) {
    this.#options = options;
  }

  /** An active worker applies what its changelogs say. */
  reset(): void {
    this.#window = null;
    this.#hasGivenUp = false;
  }

  /** Compares what is due. @returns whether this brick's changelogs must be kept for the comparison */
  async step(signal: AbortSignal): Promise<boolean> {
    const now = Math.floor(Date.now() / 1000);
    const { log, compareNames } = this.#options;
    if (!(await this.#options.hasPendingHeals())) this.#hasGivenUp = false;
    else if (!this.#hasGivenUp) {
      if (this.#window === null) log.info('peer brick healing: verifying deletes and renames');
      this.#window = { since: Math.min(this.#window?.since ?? now, now - MAX_DETECTION_DELAY_S), until: now };
    }
    if (this.#window === null) return false;
    const { since, until } = this.#window;
    const clusterStimeS = (await this.#options.clusterStime())?.[0] ?? 0;
    const hasHealed = now > until + SETTLE_S && clusterStimeS > until - SETTLE_S;
    this.#hasGivenUp = now - since >= MAX_WINDOW_S;
    const isOver = hasHealed || this.#hasGivenUp;
    await compareNames(since, isOver ? 'all' : 'new', signal);
    if (!isOver) return true;
    if (hasHealed) log.info('peer brick healed: deletes and renames are verified', { since, until });
    else log.warn('peer brick still healing: no longer verifying deletes and renames', { since });
    this.#window = null;
    return false;
  }
}
