// Counters over time: a bounded list of samples of counters that only grow. A reader computes rates for any window and
// resolution from it. Invariant: times ascend, and both ends of a pause in counting are samples. So a burst after the
// pause is not smeared over it.

/** Time in milliseconds since the epoch, then one value for each counter. */
export type Sample = readonly number[];

const SPACING_MS = 2_000;
const MAX_SAMPLES = 150;

export class Series {
  readonly #samples: Sample[] = [];

  get samples(): readonly Sample[] {
    return this.#samples;
  }

  /** Records the end of a pause. Call it before counters change, with their old values. */
  beforeChange(nowMs: number, values: readonly number[]): void {
    const last = this.#samples.at(-1);
    if (last === undefined || nowMs - (last[0] ?? 0) >= SPACING_MS) this.#push(nowMs, values);
  }

  /** The present values. Samples closer than the spacing replace each other. */
  add(nowMs: number, values: readonly number[]): void {
    const last = this.#samples.at(-1);
    const before = this.#samples.at(-2);
    if (
      last !== undefined &&
      before !== undefined &&
      (last[0] ?? 0) - (before[0] ?? 0) < SPACING_MS &&
      nowMs >= (last[0] ?? 0)
    )
      this.#samples.pop();
    this.#push(nowMs, values);
  }

  #push(nowMs: number, values: readonly number[]): void {
    // After the clock was set back, earlier samples cannot be ordered with later ones.
    if (nowMs < (this.#samples.at(-1)?.[0] ?? 0)) this.#samples.length = 0;
    this.#samples.push([nowMs, ...values]);
    if (this.#samples.length > MAX_SAMPLES) this.#samples.shift();
  }
}

/** Value of counter `index` at a time: interpolated between samples, the nearest sample's outside of them. */
export function valueAt(samples: readonly Sample[], index: number, timeMs: number): number {
  let before: Sample | undefined;
  for (const sample of samples) {
    const [at = 0] = sample;
    const value = sample[index + 1] ?? 0;
    if (at >= timeMs) {
      if (before === undefined || at === timeMs) return value;
      const [from = 0] = before;
      const start = before[index + 1] ?? 0;
      return start + ((value - start) * (timeMs - from)) / (at - from);
    }
    before = sample;
  }
  return before?.[index + 1] ?? 0;
}

/** The rate per second in the `windowMs` before `nowMs`, or since the first sample when that is later. */
export function rateAt(samples: readonly Sample[], index: number, nowMs: number, windowMs: number): number {
  const first = samples[0]?.[0];
  if (first === undefined) return 0;
  const from = Math.max(first, nowMs - windowMs);
  const seconds = Math.max(1, (nowMs - from) / 1000);
  return Math.max(0, valueAt(samples, index, nowMs) - valueAt(samples, index, from)) / seconds;
}

/** Rates of the last `count` spans of `spanMs` each, the oldest first. */
export function ratesOver(
  samples: readonly Sample[],
  index: number,
  nowMs: number,
  spanMs: number,
  count: number,
): number[] {
  const rates: number[] = [];
  let until = valueAt(samples, index, nowMs - count * spanMs);
  for (let i = count - 1; i >= 0; i--) {
    const value = valueAt(samples, index, nowMs - i * spanMs);
    rates.push((Math.max(0, value - until) * 1000) / spanMs);
    until = value;
  }
  return rates;
}
