// Who may work on a plain directory: one process at a time records it, or writes to it.

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { BrickLayout } from './layout.js';
import { GsyncdError } from '../errors.js';
import { tryLock } from '../native/locks.js';
import type { Cleanup } from '../async/cleanup.js';

/** A process whose connection was cut ends a moment after the next one was started. */
const PATIENCE_MS = 10_000;
const PAUSE_MS = 200;

/** @throws GsyncdError 'preflight' while another process has it */
export async function takeDirectory({ stateDir, root }: BrickLayout, cleanup: Cleanup, signal: AbortSignal): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const lock = await tryLock(join(stateDir, 'lock'));
    if (lock !== null) return cleanup.add('lock', () => lock.release());
    if (Date.now() > deadline) throw new GsyncdError(`directory ${root}: in use by another worker`, { code: 'preflight' });
    await delay(PAUSE_MS, undefined, { signal });
  }
}
