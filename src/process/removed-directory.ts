// A removed directory as the working directory: no file can be created in it.

import { mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes a removed directory the working directory, so that a transfer to /proc/PID/cwd cannot write. If no directory can
 *  be created, `/` becomes the working directory. */
export function enterRemovedDirectory(): void {
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

/** Working directory for a child: `/` if this process's directory is removed, undefined (inherit it) otherwise. */
export function childCwd(): string | undefined {
  try {
    process.cwd();
    return undefined;
  } catch {
    return '/';
  }
}
