// How much is under way to the secondary at a time. A brick of GlusterFS serves geo-replication's calls with one thread
// (performance.least-prio-threads), and as long as more of them wait, each other thread that the brick happens to have turns
// round in a loop for them (io-threads, 10.3): with other clients on the secondary, calls side by side take two and three
// times as long as the same calls one after the other, and without any they are quicker. So both is measured: what each kind
// of work costs alone, and whether the same work side by side is done in less than the sum. Invariant: whatever is given is
// run, at the latest when all that was given before has ended.

import { GsyncdError } from '../errors.js';
import type { Log } from '../log.js';

/** Each costs something else. */
export type Work = 'entries' | 'lookups' | 'attributes' | 'files';

/** Smaller ones neither wait nor tell anything. */
const MIN_UNITS = 30;
/** Work side by side is judged after so many seconds of it, and so many calls. */
const WINDOW_S = 2;
const WINDOW_CALLS = 4;
/** So much of the time that work side by side takes, the same work has to cost alone. Less than one, since not all entries
 *  and files cost the same. */
const WORTH = 0.8;
/** What work costs is measured again after so many seconds of work side by side. */
const COSTS_COUNT_S = 30;
/** How long one thing at a time goes on before the other way is tried again, seconds of work: doubled each time. */
const [ALONE_S, MAX_ALONE_S] = [60, 600];
/** Weight of a new measurement. */
const WEIGHT = 0.3;

interface Waiting {
  readonly work: Work;
  readonly start: (alone: boolean) => void;
}

export class AdaptiveConcurrency {
  readonly #log: Pick<Log, 'info'>;
  readonly #nowS: () => number;
  /** Seconds a unit, alone. */
  readonly #costs = new Map<Work, number>();
  #mode: 'one by one' | 'side by side' = 'side by side';
  /** Seconds left of the mode `one by one`. */
  #leftS = 0;
  #aloneS = ALONE_S;
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #runsAlone = false;
  /** Calls that bypass the limiter. */
  #beside = 0;
  /** When calls that are under way side by side began. */
  readonly #begun = new Set<{ readonly atS: number }>();
  /** Null until a call has ended: what is under way when a window begins makes up for what is when it ends. */
  #window: { costS: number; calls: number; tookS: number } | null = null;
  #sinceS = 0;
  #countedS = 0;

  constructor(log: Pick<Log, 'info'>, nowS: () => number = () => performance.now() / 1000) {
    this.#log = log;
    this.#nowS = nowS;
  }

  /** Runs `call` when its turn has come. @throws what it throws; GsyncdError 'stopped' when `signal` aborts before */
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

  /** Runs at once what takes long for other reasons than the number of its calls. */
  async beside<T>(call: () => Promise<T>): Promise<T> {
    this.#beside += 1;
    try {
      return await call();
    } finally {
      this.#beside -= 1;
    }
  }

  /** @returns whether it is alone */
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

  /** Work that failed, or ran beside a large file, is not measured. */
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
    // One that takes long tells nothing before it ends.
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
