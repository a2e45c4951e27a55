// Measures the calls to a secondary that carry operations: their duration, operations and failures.

import { delegate } from '../protocol/delegate.js';
import type { Secondary } from '../protocol/secondary.js';
import type { CallKind, ProgressSink } from './sink.js';

export function recordedSecondary(secondary: Secondary, meter: Pick<ProgressSink, 'call'>): Secondary {
  const measured = async <F>(kind: CallKind, ops: number, call: Promise<F[]>): Promise<F[]> => {
    const startMs = performance.now();
    let failed = ops;
    try {
      const failures = await call;
      failed = Math.min(ops, failures.length);
      return failures;
    } finally {
      meter.call(kind, { seconds: (performance.now() - startMs) / 1000, ops, failed });
    }
  };
  return {
    ...delegate(secondary),
    entryOps: (ops) => measured('entry', ops.length, secondary.entryOps(ops)),
    metaOps: (ops) => measured('meta', ops.length, secondary.metaOps(ops)),
  };
}
