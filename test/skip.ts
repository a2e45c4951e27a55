// Skips tests whose requirements the machine does not meet: `test.skipIf(lacks(found, 'promtool', 'checks of the metrics'))`.
// test/run.sh prints the reasons at its end, one line each.

import { spawnSync } from 'node:child_process';
import { appendFileSync } from 'node:fs';

/** Returns !isHere, and then records `what` as the reason for the end of the run. */
export function lacks(isHere: boolean, what: string, tests: string): boolean {
  const list = process.env['SKIP_REASONS'];
  if (!isHere && list !== undefined) appendFileSync(list, `${tests}: ${what}\n`);
  return !isHere;
}

export function lacksProgram(name: string, tests: string): boolean {
  return lacks(spawnSync('sh', ['-c', `command -v ${name}`]).status === 0, `${name} is not installed`, tests);
}

export function lacksPython(tests: string): boolean {
  return lacksProgram('python3', tests);
}

export function lacksRoot(tests: string): boolean {
  return lacks(process.geteuid?.() === 0, 'needs root', tests);
}

export const NO_GLUSTER = 'GlusterFS is not installed';
