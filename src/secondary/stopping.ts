// Error for operations that a stopping secondary has not done. No operation fails with this errno. So the primary knows
// that the peer ended, and repeats the operations instead of recording failures.

import { RaisedException } from '../rpc/raised-exception.js';

/** Errno of Linux; Node has no constant for it. */
export const ESHUTDOWN = 108;

/** @throws RaisedException OSError(ESHUTDOWN) when `signal` has aborted */
export function throwIfStopping(signal: AbortSignal): void {
  if (signal.aborted) throw new RaisedException('OSError', [ESHUTDOWN, 'stopping']);
}
