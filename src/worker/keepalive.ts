// Sends keepalives, so that the secondary does not assume that the primary is gone. Each announces the volume mark.

import type { KeepalivePayload } from '../primary/mixins/mode.js';
import { delayOrWake } from '../async/wait.js';
import type { Secondary } from '../protocol/secondary.js';

/**
 * Sends a keepalive twice per `timeoutS` until `signal` aborts; with a timeout of 0 it sends none.
 * @throws GsyncdError 'peer' when the secondary does not answer
 */
export async function keepAlive(
  secondary: Secondary,
  timeoutS: number,
  payload: (timeoutS: number, gapS: number) => KeepalivePayload,
  signal: AbortSignal,
): Promise<void> {
  while (timeoutS > 0 && !signal.aborted) {
    const { info, gapS } = payload(timeoutS, timeoutS / 2);
    await secondary.keepAlive(info);
    await delayOrWake(gapS * 1000, signal);
  }
}
