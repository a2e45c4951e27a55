// How long a worker that ended waits for its next start. Pure; used by supervisor.ts. The delay doubles with
// each end that follows soon after a start, up to a bound, and a worker that ran well resets it.

export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
  /** A worker that served this long ran well. */
  readonly wellMs: number;
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
    if (servedMs >= this.#limits.wellMs) this.#nextMs = this.#limits.firstMs;
    const delay = this.#nextMs;
    this.#nextMs = Math.min(delay * 2, this.#limits.maxMs);
    return delay;
  }

  reset(): void {
    this.#nextMs = this.#limits.firstMs;
  }
}
