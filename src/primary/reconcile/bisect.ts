// Sends a list to a peer in calls of bounded size. When the peer answers one exception for a whole call, the
// culprit is found by halving and becomes a value. Used for entry and meta operations.
// Invariant: every item was part of a call that succeeded, or is among the culprits.

import { constants } from 'node:os';
import { errorLine, GsyncdError } from '../../errors.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { ESHUTDOWN } from '../../secondary/stopping.js';

/** An item that made the peer raise. */
export interface FailedItem<T> {
  readonly item: T;
  readonly reason: string;
  /** errno when the peer raised an OSError. */
  readonly errno: number | undefined;
}

/** Errors that are not one item's: the peer ends, or its mount is dead, full or read-only, and every item would fail. */
const PEER_WIDE: ReadonlySet<number> = new Set([
  constants.errno.ENOTCONN,
  constants.errno.ECONNABORTED,
  constants.errno.ENOSPC,
  constants.errno.EROFS,
  ESHUTDOWN,
]);

/**
 * Calls `send` with slices of `items` in order; items that were sent in a failed call are sent again in smaller
 * ones, so they have to be idempotent.
 * @returns what the successful calls returned, and the culprits
 * @throws GsyncdError 'peer' when the connection is lost or the peer as a whole cannot do its work
 */
export async function sendBisecting<T, R>(
  items: readonly T[],
  itemsPerCall: number,
  send: (slice: readonly T[]) => Promise<readonly R[]>,
): Promise<{ results: R[]; failedItems: FailedItem<T>[] }> {
  const results: R[] = [];
  const failedItems: FailedItem<T>[] = [];
  const call = async (slice: readonly T[]): Promise<void> => {
    try {
      results.push(...(await send(slice)));
    } catch (error) {
      if (!(error instanceof RemoteCallError)) throw error;
      if (error.errno !== undefined && PEER_WIDE.has(error.errno)) {
        throw new GsyncdError(`secondary: ${errorLine(error)}`, { code: 'peer', cause: error });
      }
      const [only] = slice;
      if (slice.length === 1 && only !== undefined) {
        failedItems.push({ item: only, reason: errorLine(error), errno: error.errno });
        return;
      }
      const middle = slice.length >> 1;
      await call(slice.slice(0, middle));
      await call(slice.slice(middle));
    }
  };
  for (let i = 0; i < items.length; i += itemsPerCall) await call(items.slice(i, i + itemsPerCall));
  return { results, failedItems };
}
