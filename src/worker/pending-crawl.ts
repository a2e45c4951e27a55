// The note that a crawl of the brick is pending. A worker writes it before the first hybrid crawl starts, or before it
// reads history across a gap in the changelogs. It is removed when the crawl is done and the changelogs since its start are
// read. If a worker is killed in between, a crawl alone misses deletes and renames made since the first attempt. Also,
// history has then moved stime past the gap, so stime proves nothing about it.

import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { loadClockNote } from '../changelog/clock-note.js';
import { replaceFile } from '../native/durable-file.js';
import { readTextIfExists } from '../native/if-there.js';

export interface PendingCrawl {
  /** When changelogs began to be followed at the first attempt, seconds. From then on they are complete. */
  readonly since: number;
  /** The crawl has to find changes from this time on, seconds; null: since the brick's stime. */
  readonly from: number | null;
}

const FILE_NAME = 'owed-walk';

function notePath(workingDir: string): string {
  return join(workingDir, FILE_NAME);
}

/** null when no crawl is pending. A note that cannot be read requests a crawl of everything: an unneeded crawl is safe. */
export async function loadPendingCrawl(workingDir: string): Promise<PendingCrawl | null> {
  const text = await readTextIfExists(notePath(workingDir));
  if (text === null) return null;
  const match = /^(\d+) (\d+|-)\n$/.exec(text);
  if (match === null) return { since: 0, from: 0 };
  return { since: Number(match[1]), from: match[2] === '-' ? null : Number(match[2]) };
}

/** Adds changes since `from` to the pending crawl. If the clock was set back, times from before and after do not compare,
 *  so the crawl covers everything. */
export async function addPendingCrawl(workingDir: string, since: number, from: number): Promise<void> {
  const pending = await loadPendingCrawl(workingDir);
  const start = (await loadClockNote(workingDir)) === null ? from : 0;
  if (pending === null || pending.from === null || pending.from > start)
    await savePendingCrawl(workingDir, { since: pending?.since ?? since, from: start });
}

export async function savePendingCrawl(workingDir: string, pending: PendingCrawl): Promise<void> {
  await replaceFile(notePath(workingDir), `${pending.since} ${pending.from ?? '-'}\n`);
}

export async function clearPendingCrawl(workingDir: string): Promise<void> {
  await rm(notePath(workingDir), { force: true });
}
