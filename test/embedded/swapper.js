// node swapper.js DIR TARGET: replaces DIR by a symlink to TARGET and puts it back, repeatedly until stdin ends. Prints the
// number of swaps.

import { renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const HOLD_MS = 3;
const [, , dir = '', target = ''] = process.argv;
let swaps = 0;
let isOver = false;
process.stdin.on('end', () => (isOver = true)).resume();

while (!isOver) {
  renameSync(dir, `${dir}.aside`);
  symlinkSync(target, dir);
  await delay(HOLD_MS);
  unlinkSync(dir);
  renameSync(`${dir}.aside`, dir);
  swaps += 1;
  await delay(HOLD_MS);
}
process.stdout.write(`${swaps}\n`);
