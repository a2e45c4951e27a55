// Computes how long a worker that ended waits for its next start. The delay doubles, up to a bound, with each end soon
// after a start. A worker that ran well resets the delay.

export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A worker that served at least this long ran well. */
  readonly stableMs: number;
}

export class Backoff {
  readonly #limits: BackoffLimits;
  #nextMs: number;

  constructor(limits: BackoffLimits) {
    this.#limits = limits;
    this.#nextMs = limits.firstMs;
  }

  /** The delay after a worker that served for `servedMs` (0 when it was never ready). */
  next(servedMs: number): number {
    if (servedMs >= this.#limits.stableMs) this.#nextMs = this.#limits.firstMs;
    const delay = this.#nextMs;
    this.#nextMs = Math.min(delay * 2, this.#limits.maxMs);
    return delay;
  }

  reset(): void {
    this.#nextMs = this.#limits.firstMs;
  }
}
