// Deadlines of waits for other processes. A paused session is stopped as a whole while the clock goes on: its timers are
// late then, and what they wait for has had no time either.

/** A busy event loop makes timers late, too; to wait once more does no harm. */
const LATE_MS = 1_000;
/** Node's timers fire at once when given more. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface Deadline {
  cancel(): void;
}

/** Calls `onTime` after `ms`; where this process was stopped meanwhile, `ms` after it goes on.
 *  @param holds whether the process stays for it */
export function deadline(ms: number, onTime: () => void, holds: 'the process' | 'nothing' = 'the process'): Deadline {
  const waitMs = Math.min(ms, MAX_TIMER_MS);
  const start = (): NodeJS.Timeout => {
    const dueMs = performance.now() + waitMs;
    const started = setTimeout(() => {
      if (performance.now() - dueMs > LATE_MS) timer = start();
      else onTime();
    }, waitMs);
    return holds === 'nothing' ? started.unref() : started;
  };
  let timer = start();
  return { cancel: () => clearTimeout(timer) };
}
