// Writes to stdout what a command prints.

import { writeSync } from 'node:fs';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';

/** Writes the lines as bytes, since a value may not be UTF-8. Synchronous, since the program ends right after. A closed
 *  pipe is no error: glusterd reads only what it needs. */
export function printLines(lines: readonly string[]): void {
  if (lines.length === 0) return;
  const bytes = fsEncode(`${lines.join('\n')}\n`);
  let offset = 0;
  while (offset < bytes.length) {
    try {
      offset += writeSync(1, bytes, offset);
    } catch (error) {
      if (errnoCode(error) === 'EAGAIN') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
      else if (errnoCode(error) === 'EPIPE') return;
      else throw error;
    }
  }
}

/** Waits until a pipe has taken the text, since the program exits right after. A closed pipe is no error. */
export function printText(text: string): Promise<void> {
  return new Promise((resolve) => {
    process.stdout.once('error', () => resolve());
    process.stdout.write(text, () => resolve());
  });
}
