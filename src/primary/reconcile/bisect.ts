// Sends a list to a peer in calls of bounded size. When the peer raises one exception for a whole call, bisection finds the
// item that caused it. That item is returned as a FailedItem. Invariant: each item was part of a successful call, or is a
// FailedItem.

import { constants } from 'node:os';
import { errorLine, GsyncdError } from '../../errors.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { ESHUTDOWN } from '../../secondary/stopping.js';

/** An item for which the peer raised an exception. */
export interface FailedItem<T> {
  readonly item: T;
  readonly reason: string;
  /** errno when the peer raised an OSError. */
  readonly errno: number | undefined;
}

/** Errors that are not about one item: the peer ends, or its mount is dead, full or read-only. Every other item would fail,
 *  too. */
const PEER_WIDE: ReadonlySet<number> = new Set([
  constants.errno.ENOTCONN,
  constants.errno.ECONNABORTED,
  constants.errno.ENOSPC,
  constants.errno.EROFS,
  ESHUTDOWN,
]);

/**
 * Calls `send` with slices of `items`, in order. Items of a failed call are sent again in smaller calls, so they must be
 * idempotent.
 * @returns the results of the successful calls, and the failed items
 * @throws GsyncdError 'peer' when the connection is lost, or an error concerns the peer as a whole
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
