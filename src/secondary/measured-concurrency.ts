// Chooses by measurement between concurrent and sequential operations within a call. A brick serves geo-replication's calls
// with one thread (performance.least-prio-threads). While several wait, every other io-thread of the brick spins in a loop
// for them (io-threads, 10.3). So if the volume has other clients, sequential operations are faster, otherwise concurrent
// ones. Calls with many items run one at a time, so that none disturbs the measurement of another.

/** Calls with fewer items are not measured, and do not wait. */
const MIN_MEASURED_ITEMS = 30;
/** Each such call tries the slower choice again. */
const RETRY_AFTER_CALLS = 20;
/** Weight of a new measurement in the moving average. */
const SAMPLE_WEIGHT = 0.5;

interface Choice {
  readonly concurrency: number;
  /** Moving average of the duration of an item; null before the first measurement. */
  msPerItem: number | null;
}

export class MeasuredConcurrency {
  readonly #turns: Turns;
  readonly #choices: readonly Choice[];
  #measuredCalls = 0;

  /** @param turns shared by all kinds of calls of a volume */
  constructor(turns: Turns, maxConcurrency: number) {
    this.#turns = turns;
    this.#choices = [...new Set([maxConcurrency, 1])].map((concurrency) => ({ concurrency, msPerItem: null }));
  }

  /** @throws the call's errors */
  async run<T>(items: number, call: (concurrency: number) => Promise<T>): Promise<T> {
    if (items < MIN_MEASURED_ITEMS) return call(this.#fastest().concurrency);
    return this.#turns.run(async () => {
      const choice = this.#nextChoice();
      const startMs = performance.now();
      const result = await call(choice.concurrency);
      const msPerItem = (performance.now() - startMs) / items;
      choice.msPerItem =
        choice.msPerItem === null ? msPerItem : choice.msPerItem + SAMPLE_WEIGHT * (msPerItem - choice.msPerItem);
      return result;
    });
  }

  #nextChoice(): Choice {
    this.#measuredCalls += 1;
    const fastest = this.#fastest();
    if (this.#measuredCalls % RETRY_AFTER_CALLS !== 0) return fastest;
    return this.#choices.find((choice) => choice !== fastest) ?? fastest;
  }

  /** Each choice is tried once before they are compared: until then its duration counts as 0. */
  #fastest(): Choice {
    return this.#choices.reduce((a, b) => ((b.msPerItem ?? 0) < (a.msPerItem ?? 0) ? b : a));
  }
}

/** Runs calls one after another. */
export class Turns {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(call: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(call);
    this.#last = turn.catch(() => undefined);
    return turn;
  }
}
