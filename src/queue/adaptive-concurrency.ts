// Decides whether calls to the secondary run concurrently or one at a time. A brick serves geo-replication's calls with one
// thread (performance.least-prio-threads). While several calls wait, every other io-thread of the brick spins in a loop for
// them (io-threads, 10.3). If the secondary has other clients, concurrent calls take two to three times as long as sequential
// ones. Without other clients, concurrent calls are faster. So both are measured: the cost of each kind of work alone, and
// whether concurrent work takes less than the sum of these costs. Invariant: every call is run, at the latest when all
// earlier calls have ended.

import { GsyncdError } from '../errors.js';
import type { Log } from '../log.js';

/** Kinds of work, each with its own cost. */
export type WorkKind = 'entries' | 'lookups' | 'attributes' | 'files';

/** Calls below this size bypass the limiter. */
const MIN_LIMITED_UNITS = 30;
/** Concurrent work is judged after so many seconds of it, and so many calls. */
const MIN_WINDOW_S = 2;
const MIN_WINDOW_CALLS = 4;
/** Concurrent work is worth it if its cost alone is at least this share of the time it took. The share is below one, since
 *  entries and files differ in cost. */
const MIN_COST_SHARE = 0.8;
/** Costs are measured again after so many seconds of concurrent work. */
const MAX_COST_AGE_S = 30;
/** Length of the mode `one by one`, in seconds of work, and its maximum. It doubles each time. */
const [SEQUENTIAL_S, MAX_SEQUENTIAL_S] = [60, 600];
/** Weight of a new measurement in the moving average. */
const SAMPLE_WEIGHT = 0.3;

interface WaitingCall {
  readonly work: WorkKind;
  readonly start: (isAlone: boolean) => void;
}

export class AdaptiveConcurrency {
  readonly #log: Pick<Log, 'info'>;
  readonly #nowS: () => number;
  /** Seconds per unit, measured alone. */
  readonly #costs = new Map<WorkKind, number>();
  #mode: 'one by one' | 'side by side' = 'side by side';
  /** Seconds left of the mode `one by one`. */
  #sequentialLeftS = 0;
  #sequentialS = SEQUENTIAL_S;
  readonly #waiting: WaitingCall[] = [];
  #runningCount = 0;
  #isRunningAlone = false;
  /** Running calls of runUnlimited(). */
  #unlimitedCount = 0;
  /** Start times of the running concurrent calls. */
  readonly #concurrentStarts = new Set<{ readonly atS: number }>();
  /** Null until a call has ended. Calls running at a window's start make up for those running at its end. */
  #window: { costS: number; calls: number; tookS: number } | null = null;
  #measuredUntilS = 0;
  #concurrentS = 0;

  constructor(log: Pick<Log, 'info'>, nowS: () => number = () => performance.now() / 1000) {
    this.#log = log;
    this.#nowS = nowS;
  }

  /** Runs `call` when it is its turn. @throws the call's errors; GsyncdError 'stopped' when `signal` aborts while it waits */
  async run<T>(work: WorkKind, units: number, call: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (units < MIN_LIMITED_UNITS) return call();
    const isAlone = await this.#acquireSlot(work, signal);
    const [startS, unlimitedBefore] = [this.#nowS(), this.#unlimitedCount];
    const start = { atS: startS };
    if (!isAlone) this.#concurrentStarts.add(start);
    let hasSucceeded = false;
    try {
      const result = await call();
      hasSucceeded = true;
      return result;
    } finally {
      const tookS = this.#nowS() - startS;
      this.#concurrentStarts.delete(start);
      if (isAlone) {
        if (hasSucceeded && unlimitedBefore === 0 && this.#unlimitedCount === 0) this.#costs.set(work, movingAverage(this.#costs.get(work), tookS / units));
        this.#recordSequential(tookS);
      } else this.#recordConcurrent(hasSucceeded ? this.#costs.get(work) : undefined, units, unlimitedBefore);
      this.#releaseSlot();
    }
  }

  /** Runs a call at once. For calls whose duration does not depend on their number of units. */
  async runUnlimited<T>(call: () => Promise<T>): Promise<T> {
    this.#unlimitedCount += 1;
    try {
      return await call();
    } finally {
      this.#unlimitedCount -= 1;
    }
  }

  /** @returns whether the call runs alone */
  #acquireSlot(work: WorkKind, signal: AbortSignal | undefined): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(new GsyncdError('sync data: stopped', { code: 'stopped' }));
        this.#startWaiting();
      };
      const waiting: WaitingCall = {
        work,
        start: (isAlone) => {
          signal?.removeEventListener('abort', stop);
          resolve(isAlone);
        },
      };
      if (signal?.aborted === true) return reject(new GsyncdError('sync data: stopped', { code: 'stopped' }));
      signal?.addEventListener('abort', stop, { once: true });
      this.#waiting.push(waiting);
      this.#startWaiting();
    });
  }

  #startWaiting(): void {
    for (let first = this.#waiting[0]; first !== undefined && !this.#isRunningAlone; first = this.#waiting[0]) {
      const isAlone = this.#mode === 'one by one' || (!this.#costs.has(first.work) && this.#unlimitedCount === 0);
      if (isAlone && this.#runningCount > 0) return;
      this.#waiting.shift();
      if (this.#runningCount === 0) this.#measuredUntilS = this.#nowS();
      this.#runningCount += 1;
      this.#isRunningAlone = isAlone;
      first.start(isAlone);
    }
  }

  #releaseSlot(): void {
    this.#runningCount -= 1;
    this.#isRunningAlone = false;
    this.#startWaiting();
  }

  /** Failed work, and work beside a large file's transfer, is not measured. */
  #recordConcurrent(cost: number | undefined, units: number, unlimitedBefore: number): void {
    if (cost === undefined || unlimitedBefore > 0 || this.#unlimitedCount > 0) {
      this.#window = null;
      return;
    }
    const nowS = this.#nowS();
    if (this.#window === null) this.#window = { costS: 0, calls: 0, tookS: 0 };
    else {
      this.#window.costS += units * cost;
      this.#window.calls += 1;
      this.#window.tookS += nowS - this.#measuredUntilS;
    }
    this.#measuredUntilS = nowS;
    this.#evaluateWindow(this.#window);
  }

  #recordSequential(tookS: number): void {
    if (this.#mode === 'side by side') return;
    this.#sequentialLeftS -= tookS;
    if (this.#sequentialLeftS > 0) return;
    this.#mode = 'side by side';
    this.#window = null;
  }

  #evaluateWindow({ costS, calls, tookS }: { readonly costS: number; readonly calls: number; readonly tookS: number }): void {
    if (tookS < MIN_WINDOW_S || calls < MIN_WINDOW_CALLS) return;
    // A long call has no result before it ends.
    const nowS = this.#nowS();
    for (const { atS } of this.#concurrentStarts) if (nowS - atS > tookS / 2) return;
    this.#concurrentS += tookS;
    if (costS < tookS * MIN_COST_SHARE) {
      this.#log.info('secondary is slower with concurrent calls: sending one at a time', { seconds: tookS.toFixed(1), one_by_one: costS.toFixed(1), for: this.#sequentialS });
      this.#mode = 'one by one';
      this.#sequentialLeftS = this.#sequentialS;
      this.#sequentialS = Math.min(MAX_SEQUENTIAL_S, 2 * this.#sequentialS);
    } else {
      this.#sequentialS = SEQUENTIAL_S;
      if (this.#concurrentS >= MAX_COST_AGE_S) this.#costs.clear();
    }
    if (this.#costs.size === 0 || this.#mode === 'one by one') this.#concurrentS = 0;
    this.#window = null;
  }
}

function movingAverage(before: number | undefined, now: number): number {
  return before === undefined ? now : before + SAMPLE_WEIGHT * (now - before);
}
