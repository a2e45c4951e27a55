// Deadlines for waits on other processes. When glusterd pauses a session, it stops all its processes while the clock runs
// on. Timers are then late, and the awaited process had no time to work either.

/** A busy event loop also makes timers late. Waiting once more does no harm. */
const LATE_MS = 1_000;
/** With a larger delay, Node's timer fires at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Deadline {
  cancel(): void;
}

/** Calls `onTimeout` after `ms`. If this process was stopped meanwhile, the wait starts again when it continues.
 *  @param holds whether the timer keeps this process alive */
export function deadline(
  ms: number,
  onTimeout: () => void,
  holds: 'the process' | 'nothing' = 'the process',
): Deadline {
  const waitMs = Math.min(ms, MAX_TIMER_MS);
  const start = (): NodeJS.Timeout => {
    const dueMs = performance.now() + waitMs;
    const started = setTimeout(() => {
      if (performance.now() - dueMs > LATE_MS) timer = start();
      else onTimeout();
    }, waitMs);
    return holds === 'nothing' ? started.unref() : started;
  };
  let timer = start();
  return { cancel: () => clearTimeout(timer) };
}
