// Wraps a secondary and an engine so that AdaptiveConcurrency limits their calls.

import { ROOT_GFID } from '../protocol/gfid.js';
import { delegate } from '../protocol/delegate.js';
import type { EntryOp, Secondary } from '../protocol/secondary.js';
import type { DataEngine, EngineOutcome } from './engine.js';
import type { AdaptiveConcurrency } from './adaptive-concurrency.js';

/** The duration of larger files depends on their bytes, not on the number of calls. */
const SMALL_FILE_BYTES = 64 << 10;

export function limitedSecondary(secondary: Secondary, limiter: AdaptiveConcurrency): Secondary {
  return {
    ...delegate(secondary),
    entryOps: (ops) => limiter.run(ops.every(isLookup) ? 'lookups' : 'entries', ops.length, () => secondary.entryOps(ops)),
    metaOps: (ops) => limiter.run('attributes', ops.length, () => secondary.metaOps(ops)),
  };
}

export function limitedEngine(engine: DataEngine, limiter: AdaptiveConcurrency): DataEngine {
  return {
    name: engine.name,
    sync: (gfids, options) => {
      const call = (): Promise<EngineOutcome> => engine.sync(gfids, options);
      return (options.maxFileBytes ?? Infinity) > SMALL_FILE_BYTES ? limiter.runUnlimited(call) : limiter.run('files', gfids.length, call, options.signal);
    },
  };
}

/** An UNLINK of the root's gfid is a lookup: it changes nothing. See primary/reconcile/secondary-probe.ts. */
function isLookup({ op, gfid }: EntryOp): boolean {
  return op === 'UNLINK' && gfid === ROOT_GFID;
}
