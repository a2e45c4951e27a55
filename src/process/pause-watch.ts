// Notices that this process was stopped for long, as a paused session is: its ticks are late then. Peers that heard nothing
// meanwhile have given up, which is no fault of anybody's.

const TICK_MS = 1_000;
/** A connection that a pause has broken fails within this time. */
const AFTERMATH_MS = 10_000;

export class PauseDetector {
  #resumedMs = -Infinity;
  readonly #timer: NodeJS.Timeout;

  /** @param longMs how long a pause is that a connection may not outlast */
  constructor(longMs: number) {
    let tickMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - tickMs - TICK_MS > longMs) this.#resumedMs = nowMs;
      tickMs = nowMs;
    }, TICK_MS).unref();
  }

  /** Whether a long pause has just ended. */
  get justResumed(): boolean {
    return performance.now() - this.#resumedMs < AFTERMATH_MS;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** A secondary ends when it has heard nothing for `secondary-timeout`, and hears something twice in that time. */
export function longPauseMs(secondaryTimeoutS: number): number {
  return secondaryTimeoutS > 0 ? (secondaryTimeoutS * 1000) / 2 : Infinity;
}
