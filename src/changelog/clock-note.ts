// The note in a consumer's working directory about where a brick's clock was set back. Changelogs before that position
// of the index are synced, and stimes from `time` on belong to the clock after it. The note is written once the stime
// follows that clock.

import { join } from 'node:path';
import { replaceFile } from '../native/durable-file.js';
import { readTextIfExists } from '../native/if-there.js';
import type { ClockSetBack, Cursor } from './timeline.js';

const FILE_NAME = 'clock-set-back';

/** @returns null if the clock was never set back or the note is unreadable. Earlier changelogs are then read again,
 *  which is safe. */
export async function loadClockNote(workingDir: string): Promise<Cursor | null> {
  const match = /^(\d+) (\d+) (\d+)\n$/.exec((await readTextIfExists(join(workingDir, FILE_NAME))) ?? '');
  return match === null ? null : { created: Number(match[1]), offset: Number(match[2]), time: Number(match[3]) };
}

export async function saveClockNote(workingDir: string, { at, to }: ClockSetBack): Promise<void> {
  await replaceFile(join(workingDir, FILE_NAME), `${at.created} ${at.offset} ${to - 1}\n`);
}
