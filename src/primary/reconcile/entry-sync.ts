// Sends entry operations to the secondary: waves of lanes, each lane in calls of bounded size, so that a peer that serves
// several calls at a time works on independent directories side by side, and one entry's trouble stays that entry's.
// Invariant: every operation was applied, is among the failures, or is among the culprits.

import type { EntryFailure, EntryOp, Secondary } from '../../protocol/secondary.js';
import { sendBisecting, type FailedItem } from './bisect.js';
import { planWaves } from '../../protocol/lanes.js';

export interface EntryOutcome {
  readonly failures: EntryFailure[];
  readonly failedItems: FailedItem<EntryOp>[];
}

export interface EntrySyncOptions {
  /** Calls under way at once. */
  readonly lanes: number;
  readonly opsPerCall: number;
}

/** A secondary of this project says itself how many lanes it has. */
export const OWN_OPS_PER_CALL = 500;
/** A stock secondary takes one call at a time (rpc/one-call.ts), and does 600 operations in a second. Its volume is looked at
 *  between calls (worker/gluster/availability-checks.ts), every second or two, and keepalives go out between them. */
export const STOCK_ENTRY_SYNC: EntrySyncOptions = { lanes: 1, opsPerCall: 200 };

export class EntrySync {
  readonly #secondary: Secondary;
  readonly #options: EntrySyncOptions;

  constructor(secondary: Secondary, options: EntrySyncOptions = STOCK_ENTRY_SYNC) {
    this.#secondary = secondary;
    this.#options = options;
  }

  /**
   * Applies `ops`, dependent ones in order.
   * @param beforeRemovals is called with what went wrong so far before a wave that removes directories: a
   * stock secondary empties a directory that it is told to remove, so what should have left it must have left.
   * @throws GsyncdError 'peer' when the connection is lost or the secondary as a whole cannot take entries; what
   * was applied by then is unknown
   */
  async apply(ops: readonly EntryOp[], beforeRemovals?: (soFar: EntryOutcome) => Promise<void>): Promise<EntryOutcome> {
    const outcome: EntryOutcome = { failures: [], failedItems: [] };
    for (const wave of planWaves(ops, this.#options.lanes)) {
      const troubled = outcome.failures.length > 0 || outcome.failedItems.length > 0;
      if (troubled && beforeRemovals !== undefined && wave.lanes.some((lane) => lane.some((op) => op.op === 'RMDIR'))) {
        await beforeRemovals(outcome);
      }
      await Promise.all(wave.lanes.map((lane) => this.#applyLane(lane, outcome)));
    }
    return outcome;
  }

  /** Applies operations that do not depend on each other, in any order: probes. */
  async applyIndependent(ops: readonly EntryOp[]): Promise<EntryOutcome> {
    const outcome: EntryOutcome = { failures: [], failedItems: [] };
    const share = Math.max(1, Math.ceil(ops.length / this.#options.lanes));
    const lanes: EntryOp[][] = [];
    for (let i = 0; i < ops.length; i += share) lanes.push(ops.slice(i, i + share));
    await Promise.all(lanes.map((lane) => this.#applyLane(lane, outcome)));
    return outcome;
  }

  async #applyLane(lane: readonly EntryOp[], outcome: EntryOutcome): Promise<void> {
    const { results, failedItems } = await sendBisecting(lane, this.#options.opsPerCall, (slice) => this.#secondary.entryOps(slice));
    outcome.failures.push(...results);
    outcome.failedItems.push(...failedItems);
  }
}
