// Attributes of a file as the primary side uses them, from a brick or from a mount.

import type { Stats } from 'node:fs';
import type { OpStat } from '../protocol/secondary.js';

/** The unit of st_blocks on every file system, in bytes. */
const STAT_BLOCK_BYTES = 512;
/** The bits of st_mode without the file's type. */
export const PERMISSIONS = 0o7777;

export interface FileStat extends OpStat {
  readonly size: number;
  readonly allocatedBytes: number;
  readonly nlink: number;
  /** Number of a device node. */
  readonly rdev: number;
}

export function toFileStat(stats: Stats): FileStat {
  return {
    uid: stats.uid,
    gid: stats.gid,
    mode: stats.mode,
    atime: stats.atimeMs / 1000,
    mtime: stats.mtimeMs / 1000,
    size: stats.size,
    allocatedBytes: stats.blocks * STAT_BLOCK_BYTES,
    nlink: stats.nlink,
    rdev: stats.rdev,
  };
}
