// Repeats a call that GlusterFS or a brick may refuse for a moment (a stale handle after a rename, a graph switch). Port of
// the reference's errno_wrap.

import { setTimeout as delay } from 'node:timers/promises';
import { errnoNumber } from '../native/libc.js';

const MAX_TRIES = 10;
const RETRY_DELAY_MS = 250;

/** Calls `call` up to 10 times, 250 ms apart, while it fails with one of the errno numbers `transient`.
 *  @throws the error of the last call; AbortError when `signal` aborts between two calls */
export async function retryErrnos<T>(
  call: () => T | Promise<T>,
  transient: readonly number[],
  signal?: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await call();
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === undefined || !transient.includes(errno) || tries === MAX_TRIES) throw error;
    }
    await delay(RETRY_DELAY_MS, undefined, { signal });
  }
}
