// Detects that this process was stopped for a long time, as in a paused session: its ticks are late. Peers that received
// nothing meanwhile have closed their connections. That is not a fault.

const TICK_MS = 1_000;
/** After a pause, a connection that the pause broke fails within this time. */
const AFTERMATH_MS = 10_000;

export class PauseDetector {
  #resumedMs = -Infinity;
  readonly #timer: NodeJS.Timeout;

  /** @param minPauseMs a connection may not outlast a longer pause */
  constructor(minPauseMs: number) {
    let tickMs = performance.now();
    this.#timer = setInterval(() => {
      const nowMs = performance.now();
      if (nowMs - tickMs - TICK_MS > minPauseMs) this.#resumedMs = nowMs;
      tickMs = nowMs;
    }, TICK_MS).unref();
  }

  /** Whether a long pause has just ended. */
  get hasJustResumed(): boolean {
    return performance.now() - this.#resumedMs < AFTERMATH_MS;
  }

  close(): void {
    clearInterval(this.#timer);
  }
}

/** A secondary ends when it receives nothing for `secondary-timeout`. A worker sends two messages in that time. */
export function longPauseMs(secondaryTimeoutS: number): number {
  return secondaryTimeoutS > 0 ? (secondaryTimeoutS * 1000) / 2 : Infinity;
}
