// Lock of a plain directory: one process at a time records it, or writes to it.

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BrickLayout } from './layout.js';
import { GsyncdError } from '../errors.js';
import { tryLock } from '../native/locks.js';
import type { Cleanup } from '../async/cleanup.js';

/** If a connection is cut, its process ends a moment after the next one starts. */
const LOCK_TIMEOUT_MS = 10_000;
const RETRY_INTERVAL_MS = 200;

/** @throws GsyncdError 'preflight' if another process still has the lock after LOCK_TIMEOUT_MS */
export async function lockDirectory(
  { stateDir, root }: BrickLayout,
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<void> {
  const deadline = Date.now() + LOCK_TIMEOUT_MS;
  for (;;) {
    const lock = await tryLock(join(stateDir, 'lock'));
    if (lock !== null) return cleanup.add('lock', () => lock.release());
    if (Date.now() > deadline)
      throw new GsyncdError(`directory ${root}: in use by another worker`, { code: 'preflight' });
    await delay(RETRY_INTERVAL_MS, undefined, { signal });
  }
}
