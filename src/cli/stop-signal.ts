// SIGTERM and SIGINT as an AbortSignal, for the daemons' commands.

/** Signals that come this close together are one wish: one to the whole process group reaches a worker from its
 *  monitor, too. */
const SAME_WISH_MS = 1_000;

/** Aborts at the first SIGTERM or SIGINT, after `onStop`. The second one asks for the end at once: the process exits
 *  with 1, and its children die with it. */
export function stopSignal(onStop: () => void): AbortSignal {
  const stop = new AbortController();
  let stoppedMs = 0;
  const onTerm = (): void => {
    if (stop.signal.aborted && performance.now() - stoppedMs > SAME_WISH_MS) process.exit(1);
    if (stop.signal.aborted) return;
    stoppedMs = performance.now();
    onStop();
    stop.abort();
  };
  process.on('SIGTERM', onTerm).on('SIGINT', onTerm);
  return stop.signal;
}
