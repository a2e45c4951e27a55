// Waits for a configured interval, or for an event that ends the wait early.

/** Resolves after `ms`, when `signal` aborts, or when `wake` settles, whichever is first. */
export function delayOrWake(ms: number, signal: AbortSignal, wake?: Promise<unknown>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    if (signal.aborted) done();
    else signal.addEventListener('abort', done, { once: true });
    wake?.then(done, done);
  });
}
