// Statistics of one batch, for the lines that the reference logs at its end. The reference's format for the age of a crawl is
// not used: it calls string.zfill, which Python 3 no longer has.

import type { Plan } from './plan.js';

export interface BatchTimes {
  /** Seconds. */
  readonly entry: number;
  readonly meta: number;
  readonly data: number;
  readonly total: number;
}

/** Fields of "Entry Time Taken" and "Data/Metadata Time Taken", under the reference's keys. */
export function batchLogFields(
  plan: Plan,
  dataFiles: number,
  times: BatchTimes,
): { entry: Record<string, unknown>; data: Record<string, unknown> } {
  const countOf = (fop: string): number => plan.counts.get(fop) ?? 0;
  return {
    entry: {
      UNL: countOf('UNLINK'),
      RMD: countOf('RMDIR'),
      CRE: countOf('CREATE'),
      MKN: countOf('MKNOD'),
      MKD: countOf('MKDIR'),
      REN: countOf('RENAME'),
      LIN: countOf('LINK'),
      SYM: countOf('SYMLINK'),
      duration: times.entry.toFixed(4),
    },
    data: {
      SETA: countOf('SETATTR'),
      meta_duration: times.meta.toFixed(4),
      SETX: countOf('SETXATTR'),
      XATT: countOf('XATTROP'),
      // The reference subtracts the xattr records from a sum that does not include them, and so can log a negative count.
      DATA: dataFiles,
      data_duration: times.data.toFixed(4),
    },
  };
}
