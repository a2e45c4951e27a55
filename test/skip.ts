// Tests that need what a machine may not have are skipped there, and say why: `test.skipIf(lacks(found, 'promtool',
// 'checks of the metrics'))`. test/run.sh prints all the reasons at its end, one line each.

import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

/** Whether `what` is missing. The reason is noted for the end of the run. */
export function lacks(isHere: boolean, what: string, tests: string): boolean {
  const list = process.env['SKIP_REASONS'];
  if (!isHere && list !== undefined) appendFileSync(list, `${tests}: ${what}\n`);
  return !isHere;
}

/** Whether a program is missing. */
export function lacksProgram(name: string, tests: string): boolean {
  return lacks(spawnSync('sh', ['-c', `command -v ${name}`]).status === 0, `${name} is not installed`, tests);
}

/** Whether there is no Python, which many tests ask for a second opinion. */
export function lacksPython(tests: string): boolean {
  return lacksProgram('python3', tests);
}

/** Whether this is not root. */
export function lacksRoot(tests: string): boolean {
  return lacks(process.geteuid?.() === 0, 'needs root', tests);
}

export const NO_GLUSTER = 'GlusterFS is not installed';
