// The user for workers that must not run as root, when the tests run as root.

import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

export const USER = 65534;
export const isRoot = process.geteuid?.() === 0;

const PROGRAM = join(import.meta.dirname, '../bin/gsyncd-ts.js');

/** False when USER cannot run the program, as in a checkout that other users cannot read. */
export function canBeUser(): boolean {
  return isRoot && spawnSync(process.execPath, [PROGRAM, '--version'], { uid: USER, gid: USER, cwd: '/' }).status === 0;
}
