// Sends entry operations to the secondary in calls of bounded size, one after another. One entry's error fails only that
// entry. Invariant: each operation was applied, is in `failures`, or is in `failedItems`.

import type { EntryFailure, EntryOp, Secondary } from '../../protocol/secondary.js';
import { sendBisecting, type FailedItem } from './bisect.js';
import { planWaves } from '../../protocol/lanes.js';

export interface EntryOutcome {
  readonly failures: EntryFailure[];
  readonly failedItems: FailedItem<EntryOp>[];
}

/** For a secondary of this project. */
export const OWN_OPS_PER_CALL = 500;
/** A stock secondary takes one call at a time (rpc/one-call.ts) and applies 600 operations per second. Between calls, every
 *  second or two, the worker checks its volume (worker/gluster/availability-checks.ts) and sends keepalives. */
export const STOCK_OPS_PER_CALL = 200;

export class EntrySync {
  readonly #secondary: Secondary;
  readonly #opsPerCall: number;

  constructor(secondary: Secondary, opsPerCall = STOCK_OPS_PER_CALL) {
    this.#secondary = secondary;
    this.#opsPerCall = opsPerCall;
  }

  /**
   * Applies `ops`, dependent ones in order.
   * @param beforeRemovals called with the failures so far, before a wave that removes directories. A stock secondary empties
   * a directory before it removes it, so entries that were to be moved out of it must be out by then.
   * @throws GsyncdError 'peer' when the connection is lost, or the secondary as a whole cannot take entries; which operations
   * were applied is then unknown
   */
  async apply(ops: readonly EntryOp[], beforeRemovals?: (soFar: EntryOutcome) => Promise<void>): Promise<EntryOutcome> {
    const outcome: EntryOutcome = { failures: [], failedItems: [] };
    for (const { lanes } of planWaves(ops, 1)) {
      const hasFailures = outcome.failures.length > 0 || outcome.failedItems.length > 0;
      if (hasFailures && beforeRemovals !== undefined && lanes.some((lane) => lane.some((op) => op.op === 'RMDIR'))) {
        await beforeRemovals(outcome);
      }
      for (const lane of lanes) await this.#applyInOrder(lane, outcome);
    }
    return outcome;
  }

  /** Applies independent operations, such as probes, in any order. */
  async applyIndependent(ops: readonly EntryOp[]): Promise<EntryOutcome> {
    const outcome: EntryOutcome = { failures: [], failedItems: [] };
    await this.#applyInOrder(ops, outcome);
    return outcome;
  }

  async #applyInOrder(ops: readonly EntryOp[], outcome: EntryOutcome): Promise<void> {
    const { results, failedItems } = await sendBisecting(ops, this.#opsPerCall, (slice) =>
      this.#secondary.entryOps(slice),
    );
    outcome.failures.push(...results);
    outcome.failedItems.push(...failedItems);
  }
}
