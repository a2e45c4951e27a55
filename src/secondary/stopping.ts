// What a secondary that ends raises for the operations it has not done: an errno that is no operation's, so that a primary
// takes it for the peer's end and does them again, and not for a fault of each.

import { PyException } from '../rpc/pickle-values.js';
import { Raised } from '../rpc/raised.js';

/** Linux's number; Node does not name it. */
export const ESHUTDOWN = 108;

/** @throws Raised OSError(ESHUTDOWN) when `signal` has aborted */
export function throwIfStopping(signal: AbortSignal): void {
  if (signal.aborted) throw new Raised(new PyException('OSError', [ESHUTDOWN, 'stopping']));
}
