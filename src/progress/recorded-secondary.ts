// Measures the calls to a secondary that carry operations: their duration, operations and failures.

import { delegate } from '../protocol/delegate.js';
import type { Secondary } from '../protocol/secondary.js';
import type { CallKind, ProgressSink } from './sink.js';

export function recordedSecondary(secondary: Secondary, sink: Pick<ProgressSink, 'call'>): Secondary {
  const measure = async <F>(kind: CallKind, ops: number, call: Promise<F[]>): Promise<F[]> => {
    const startMs = performance.now();
    let failed = ops;
    try {
      const failures = await call;
      failed = Math.min(ops, failures.length);
      return failures;
    } finally {
      sink.call(kind, { seconds: (performance.now() - startMs) / 1000, ops, failed });
    }
  };
  return {
    ...delegate(secondary),
    entryOps: (ops) => measure('entry', ops.length, secondary.entryOps(ops)),
    metaOps: (ops) => measure('meta', ops.length, secondary.metaOps(ops)),
  };
}
