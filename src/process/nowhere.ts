// A working directory in which nothing can be made: one that has been removed.

import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Leaves the working directory for one in which nobody can make or find anything, whoever reaches it through
 *  /proc/PID/cwd. Where no directory can be made it is `/`. */
export function goNowhere(): void {
  process.chdir('/');
  let dir: string;
  try {
    dir = mkdtempSync(join(tmpdir(), 'gsyncd-ts-'));
  } catch {
    return;
  }
  try {
    process.chdir(dir);
  } finally {
    rmdirSync(dir);
  }
}

/** A working directory for a child: `/` when this process is nowhere, its own (undefined) otherwise. */
export function childDirectory(): string | undefined {
  try {
    process.cwd();
    return undefined;
  } catch {
    return '/';
  }
}
