// A user who puts a symlink in a directory's place, and takes it away again a moment later, until stdin ends:
// node swapper.js DIR TARGET. Says how often he did it.

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
