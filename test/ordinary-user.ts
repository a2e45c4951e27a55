// Whom a worker runs as that must not be root: another user where the tests' own is root.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const USER = 65534;
export const isRoot = process.geteuid?.() === 0;

const PROGRAM = join(import.meta.dirname, '../bin/gsyncd-ts.js');

/** Whether root can run the program as USER: the checkout may be closed to others. */
export function canBeUser(): boolean {
  return isRoot && spawnSync(process.execPath, [PROGRAM, '--version'], { uid: USER, gid: USER, cwd: '/' }).status === 0;
}
