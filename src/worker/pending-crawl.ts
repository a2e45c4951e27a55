// The note that a walk of the brick is owed: it is written before the first hybrid crawl starts, or before history is
// read across a gap in the changelogs, and removed when the walk is done and the changelogs since its start are read.
// Without it, a worker that was killed in between would miss what a walk alone cannot see (deletes and renames
// made since the first attempt), or would take the mark, which history has moved, for the truth about the gap.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadClockNote } from '../changelog/clock-note.js';
import { replaceFile } from '../native/durable-file.js';
import { readTextIfThere } from '../native/if-there.js';

export interface PendingCrawl {
  /** When changelogs began to be followed at the first attempt, seconds: from then on they tell everything. */
  readonly since: number;
  /** The walk has to find what changed from here on, seconds; null: since the brick's mark. */
  readonly from: number | null;
}

const FILE_NAME = 'owed-walk';

function path(workingDir: string): string {
  return join(workingDir, FILE_NAME);
}

/** null when no walk is owed. A note that cannot be read counts as one for everything: a walk too many is safe. */
export async function loadPendingCrawl(workingDir: string): Promise<PendingCrawl | null> {
  const text = await readTextIfThere(path(workingDir));
  if (text === null) return null;
  const match = /^(\d+) (\d+|-)\n$/.exec(text);
  if (match === null) return { since: 0, from: 0 };
  return { since: Number(match[1]), from: match[2] === '-' ? null : Number(match[2]) };
}

/** Notes that a walk is owed for what changed from `from` on, beside what is owed already. Marks of before the clock was
 *  set back and of after do not compare: then everything is. */
export async function addPendingCrawl(workingDir: string, since: number, from: number): Promise<void> {
  const owed = await loadPendingCrawl(workingDir);
  const start = (await loadClockNote(workingDir)) === null ? from : 0;
  if (owed === null || owed.from === null || owed.from > start) await savePendingCrawl(workingDir, { since: owed?.since ?? since, from: start });
}

export async function savePendingCrawl(workingDir: string, owed: PendingCrawl): Promise<void> {
  await replaceFile(path(workingDir), `${owed.since} ${owed.from ?? '-'}\n`);
}

export async function clearPendingCrawl(workingDir: string): Promise<void> {
  await rm(path(workingDir), { force: true });
}
