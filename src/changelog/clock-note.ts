// The note in a consumer's working directory of where a brick's clock was set back: changelogs before that place of the
// index are synced, and marks from `time` on are of the clock after it. It is written when the marks follow the clock.

import { join } from 'node:path';
import { replaceFile } from '../native/durable-file.js';
import { readTextIfThere } from '../native/if-there.js';
import type { ClockSetBack, Cursor } from './timeline.js';

const FILE_NAME = 'clock-set-back';

/** null when the clock never was, or the note cannot be read: then changelogs of before are read again, which is safe. */
export async function loadClockNote(workingDir: string): Promise<Cursor | null> {
  const match = /^(\d+) (\d+) (\d+)\n$/.exec((await readTextIfThere(join(workingDir, FILE_NAME))) ?? '');
  return match === null ? null : { created: Number(match[1]), offset: Number(match[2]), time: Number(match[3]) };
}

export async function saveClockNote(workingDir: string, { at, to }: ClockSetBack): Promise<void> {
  await replaceFile(join(workingDir, FILE_NAME), `${at.created} ${at.offset} ${to - 1}\n`);
}
