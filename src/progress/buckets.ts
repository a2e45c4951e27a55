// A histogram as plain numbers, which one process can write to a file and another can read. Invariant: `counts` has
// one element more than `bounds`, for values above the last bound.

export interface Buckets {
  /** Upper bounds, ascending, inclusive. */
  readonly bounds: readonly number[];
  /** Number of values in each bucket, not cumulative. */
  readonly counts: readonly number[];
  readonly sum: number;
}

export const CALL_SECONDS: readonly number[] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
export const JOB_SECONDS: readonly number[] = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200];

export class BucketCounter {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Array<number>(bounds.length + 1).fill(0);
  }

  observe(value: number): void {
    const found = this.#bounds.findIndex((bound) => value <= bound);
    const at = found < 0 ? this.#bounds.length : found;
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
    this.#sum += value;
  }

  snapshot(): Buckets {
    return { bounds: this.#bounds, counts: [...this.#counts], sum: this.#sum };
  }
}
