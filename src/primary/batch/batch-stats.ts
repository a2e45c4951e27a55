// What one batch did, for the three lines that the reference logs at its end. Its format for the age of a crawl, which calls a
// function that Python 3 has no more (string.zfill), is used nowhere.

import type { Plan } from './plan.js';

export interface BatchTimes {
  /** Seconds. */
  readonly entry: number;
  readonly meta: number;
  readonly data: number;
  readonly total: number;
}

/** Fields of "Entry Time Taken" and "Data/Metadata Time Taken", under the reference's keys. */
export function batchLines(plan: Plan, dataFiles: number, times: BatchTimes): { entry: Record<string, unknown>; data: Record<string, unknown> } {
  const n = (fop: string): number => plan.counts.get(fop) ?? 0;
  return {
    entry: {
      UNL: n('UNLINK'),
      RMD: n('RMDIR'),
      CRE: n('CREATE'),
      MKN: n('MKNOD'),
      MKD: n('MKDIR'),
      REN: n('RENAME'),
      LIN: n('LINK'),
      SYM: n('SYMLINK'),
      duration: times.entry.toFixed(4),
    },
    data: {
      SETA: n('SETATTR'),
      meta_duration: times.meta.toFixed(4),
      SETX: n('SETXATTR'),
      XATT: n('XATTROP'),
      // The reference subtracts the xattr records from a sum that does not hold them, and may end below zero.
      DATA: dataFiles,
      data_duration: times.data.toFixed(4),
    },
  };
}
