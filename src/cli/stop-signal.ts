// Converts SIGTERM and SIGINT to an AbortSignal.

/** Signals this close together are one request: a worker gets a signal to the process group, and another one from its
 *  monitor. */
const SAME_REQUEST_MS = 1_000;

/** Aborts at the first SIGTERM or SIGINT, after `onStop`. At the second one the process exits at once with 1, and its
 *  children die with it. */
export function stopSignal(onStop: () => void): AbortSignal {
  const stop = new AbortController();
  let stoppedMs = 0;
  const onStopRequest = (): void => {
    if (stop.signal.aborted && performance.now() - stoppedMs > SAME_REQUEST_MS) process.exit(1);
    if (stop.signal.aborted) return;
    stoppedMs = performance.now();
    onStop();
    stop.abort();
  };
  process.on('SIGTERM', onStopRequest).on('SIGINT', onStopRequest);
  return stop.signal;
}
