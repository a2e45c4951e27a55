// Decides whether calls to the secondary run concurrently or one at a time. A brick serves geo-replication's calls with one
// thread (performance.least-prio-threads). While several calls wait, every other io-thread of the brick spins in a loop for
// them (io-threads, 10.3). If the secondary has other clients, concurrent calls take two to three times as long as sequential
// ones. Without other clients, concurrent calls are faster. So both are measured: the cost of each kind of work alone, and
// whether concurrent work takes less than the sum of these costs. Invariant: every call is run, at the latest when all
// earlier calls have ended.

import { GsyncdError } from '../errors.js';
import type { Log } from '../log.js';

/** Kinds of work, each with its own cost. */
export type Work = 'entries' | 'lookups' | 'attributes' | 'files';

/** Calls below this size bypass the limiter. */
const MIN_UNITS = 30;
/** Concurrent work is judged after so many seconds of it, and so many calls. */
const WINDOW_S = 2;
const WINDOW_CALLS = 4;
/** Concurrent work is worth it if its cost alone is at least this share of the time it took. The share is below one, since
 *  entries and files differ in cost. */
const WORTH = 0.8;
/** Costs are measured again after so many seconds of concurrent work. */
const COSTS_COUNT_S = 30;
/** Length of the mode `one by one`, in seconds of work, and its maximum. It doubles each time. */
const [ALONE_S, MAX_ALONE_S] = [60, 600];
/** Weight of a new measurement in the moving average. */
const WEIGHT = 0.3;

interface Waiting {
  readonly work: Work;
  readonly start: (alone: boolean) => void;
}

export class AdaptiveConcurrency {
  readonly #log: Pick<Log, 'info'>;
  readonly #nowS: () => number;
  /** Seconds per unit, measured alone. */
  readonly #costs = new Map<Work, number>();
  #mode: 'one by one' | 'side by side' = 'side by side';
  /** Seconds left of the mode `one by one`. */
  #leftS = 0;
  #aloneS = ALONE_S;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #runsAlone = false;
  /** Running calls of beside(). */
  #beside = 0;
  /** Start times of the running concurrent calls. */
  readonly #begun = new Set<{ readonly atS: number }>();
  /** Null until a call has ended. Calls running at a window's start make up for those running at its end. */
  #window: { costS: number; calls: number; tookS: number } | null = null;
  #sinceS = 0;
  #countedS = 0;

  constructor(log: Pick<Log, 'info'>, nowS: () => number = () => performance.now() / 1000) {
    this.#log = log;
    this.#nowS = nowS;
  }

  /** Runs `call` when it is its turn. @throws the call's errors; GsyncdError 'stopped' when `signal` aborts while it waits */
  async run<T>(work: Work, units: number, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (units < MIN_UNITS) return call();
    const alone = await this.#enter(work, signal);
    const [beganS, besideBefore] = [this.#nowS(), this.#beside];
    const begun = { atS: beganS };
    if (!alone) this.#begun.add(begun);
    let done = false;
    try {
      const result = await call();
      done = true;
      return result;
    } finally {
      const tookS = this.#nowS() - beganS;
      this.#begun.delete(begun);
      if (alone) {
        if (done && besideBefore === 0 && this.#beside === 0) this.#costs.set(work, mixed(this.#costs.get(work), tookS / units));
        this.#ranAlone(tookS);
      } else this.#count(done ? this.#costs.get(work) : undefined, units, besideBefore);
      this.#leave();
    }
  }

  /** Runs a call at once. For calls whose duration does not depend on their number of units. */
  async beside<T>(call: () => Promise<T>): Promise<T> {
    this.#beside += 1;
    try {
      return await call();
    } finally {
      this.#beside -= 1;
    }
  }

  /** @returns whether the call runs alone */
  #enter(work: Work, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(new GsyncdError('sync data: stopped', { code: 'stopped' }));
        this.#next();
      };
      const waiting: Waiting = {
        work,
        start: (alone) => {
          signal?.removeEventListener('abort', stop);
          resolve(alone);
        },
      };
      if (signal?.aborted === true) return reject(new GsyncdError('sync data: stopped', { code: 'stopped' }));
      signal?.addEventListener('abort', stop, { once: true });
      this.#waiting.push(waiting);
      this.#next();
    });
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined && !this.#runsAlone; first = this.#waiting[0]) {
      const alone = this.#mode === 'one by one' || (!this.#costs.has(first.work) && this.#beside === 0);
      if (alone && this.#running > 0) return;
      this.#waiting.shift();
      if (this.#running === 0) this.#sinceS = this.#nowS();
      this.#running += 1;
      this.#runsAlone = alone;
      first.start(alone);
    }
  }

  #leave(): void {
    this.#running -= 1;
    this.#runsAlone = false;
    this.#next();
  }

  /** Failed work, and work beside a large file's transfer, is not measured. */
  #count(cost: number | undefined, units: number, besideBefore: number): void {
    if (cost === undefined || besideBefore > 0 || this.#beside > 0) {
      this.#window = null;
      return;
    }
    const nowS = this.#nowS();
    if (this.#window === null) this.#window = { costS: 0, calls: 0, tookS: 0 };
    else {
      this.#window.costS += units * cost;
      this.#window.calls += 1;
      this.#window.tookS += nowS - this.#sinceS;
    }
    this.#sinceS = nowS;
    this.#judge(this.#window);
  }

  #ranAlone(tookS: number): void {
    if (this.#mode === 'side by side') return;
    this.#leftS -= tookS;
    if (this.#leftS > 0) return;
    this.#mode = 'side by side';
    this.#window = null;
  }

  #judge({ costS, calls, tookS }: { readonly costS: number; readonly calls: number; readonly tookS: number }): void {
    if (tookS < WINDOW_S || calls < WINDOW_CALLS) return;
    // A long call has no result before it ends.
    const nowS = this.#nowS();
    for (const { atS } of this.#begun) if (nowS - atS > tookS / 2) return;
    this.#countedS += tookS;
    if (costS < tookS * WORTH) {
      this.#log.info('secondary is slower with concurrent calls: sending one at a time', { seconds: tookS.toFixed(1), one_by_one: costS.toFixed(1), for: this.#aloneS });
      this.#mode = 'one by one';
      this.#leftS = this.#aloneS;
      this.#aloneS = Math.min(MAX_ALONE_S, 2 * this.#aloneS);
    } else {
      this.#aloneS = ALONE_S;
      if (this.#countedS >= COSTS_COUNT_S) this.#costs.clear();
    }
    if (this.#costs.size === 0 || this.#mode === 'one by one') this.#countedS = 0;
    this.#window = null;
  }
}

function mixed(before: number | undefined, now: number): number {
  return before === undefined ? now : before + WEIGHT * (now - before);
}
