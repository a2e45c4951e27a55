// Waits for a condition of the lab, on fast and on slow machines.
import { setTimeout as sleep } from 'node:timers/promises';

/** Waits until `test` is true. Throws naming `what` after `timeoutMs`. */
export async function until(what: string, test: () => Promise<boolean>, timeoutMs = 30_000): Promise<void> {
  const deadline = Date.now() + timeoutMs;
  while (!(await test())) {
    if (Date.now() > deadline) throw new Error(`lab: ${what}: not after ${timeoutMs} ms`);
    await sleep(100);
  }
}
