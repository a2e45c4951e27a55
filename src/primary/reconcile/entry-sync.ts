// Sends entry operations to the secondary in waves of lanes, each lane in calls of bounded size. So a peer that serves
// several calls at a time works on independent directories concurrently, and one entry's error fails only that entry.
// Invariant: each operation was applied, is in `failures`, or is in `failedItems`.

import type { EntryFailure, EntryOp, Secondary } from '../../protocol/secondary.js';
import { sendBisecting, type FailedItem } from './bisect.js';
import { planWaves } from '../../protocol/lanes.js';

export interface EntryOutcome {
  readonly failures: EntryFailure[];
  readonly failedItems: FailedItem<EntryOp>[];
}

export interface EntrySyncOptions {
  /** Concurrent calls. */
  readonly lanes: number;
  readonly opsPerCall: number;
}

/** For a secondary of this project, which announces its number of lanes. */
export const OWN_OPS_PER_CALL = 500;
/** A stock secondary takes one call at a time (rpc/one-call.ts) and applies 600 operations per second. Between calls, every
 *  second or two, the worker checks its volume (worker/gluster/availability-checks.ts) and sends keepalives. */
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
   * @param beforeRemovals called with the failures so far, before a wave that removes directories. A stock secondary empties
   * a directory before it removes it, so entries that were to be moved out of it must be out by then.
   * @throws GsyncdError 'peer' when the connection is lost, or the secondary as a whole cannot take entries; which operations
   * were applied is then unknown
   */
  async apply(ops: readonly EntryOp[], beforeRemovals?: (soFar: EntryOutcome) => Promise<void>): Promise<EntryOutcome> {
    const outcome: EntryOutcome = { failures: [], failedItems: [] };
    for (const wave of planWaves(ops, this.#options.lanes)) {
      const hasFailures = outcome.failures.length > 0 || outcome.failedItems.length > 0;
      if (
        hasFailures &&
        beforeRemovals !== undefined &&
        wave.lanes.some((lane) => lane.some((op) => op.op === 'RMDIR'))
      ) {
        await beforeRemovals(outcome);
      }
      await Promise.all(wave.lanes.map((lane) => this.#applyLane(lane, outcome)));
    }
    return outcome;
  }

  /** Applies independent operations, such as probes, in any order. */
  async applyIndependent(ops: readonly EntryOp[]): Promise<EntryOutcome> {
    const outcome: EntryOutcome = { failures: [], failedItems: [] };
    const laneLength = Math.max(1, Math.ceil(ops.length / this.#options.lanes));
    const lanes: EntryOp[][] = [];
    for (let i = 0; i < ops.length; i += laneLength) lanes.push(ops.slice(i, i + laneLength));
    await Promise.all(lanes.map((lane) => this.#applyLane(lane, outcome)));
    return outcome;
  }

  async #applyLane(lane: readonly EntryOp[], outcome: EntryOutcome): Promise<void> {
    const { results, failedItems } = await sendBisecting(lane, this.#options.opsPerCall, (slice) =>
      this.#secondary.entryOps(slice),
    );
    outcome.failures.push(...results);
    outcome.failedItems.push(...failedItems);
  }
}
