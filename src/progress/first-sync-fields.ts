// The fields that `status` adds to GlusterFS's own for a first sync in progress: entries found, entries synced,
// expected total, speed, and expected end. The values are those of the live view and the metrics. Without a first sync
// in progress this module returns nothing and loads little: node:fs/promises alone takes a tenth of the command's
// time.

import { readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { fsEncode } from '../names.js';
import { parseProgress, progressFileOf } from './progress-data.js';

const NOT_AVAILABLE = 'N/A';

/** @param statusFile the brick's status file
 *  @returns names and texts, in the order in which they are printed */
export async function firstSyncFields(statusFile: string): Promise<(readonly [string, string])[]> {
  const progress = readProgress(progressFileOf(statusFile));
  if (progress === null || progress.walk?.kind !== 'first' || progress.walk.state === 'done') return [];
  const { SessionReader } = await import('./sessions.js');
  const [reading] = await new SessionReader(dirname(statusFile)).readBricks(basename(statusFile));
  const { firstSync = null, eta = null } = reading?.report ?? {};
  if (firstSync === null) return [];
  const { state, seen, synced, expected, rate } = firstSync;
  return [
    ['first_sync_state', state],
    ['first_sync_entries_seen', String(seen)],
    ['first_sync_entries_done', String(synced)],
    ['first_sync_entries_expected', expected === null ? NOT_AVAILABLE : String(expected)],
    ['first_sync_entries_per_second', rate.toFixed(1)],
    ['first_sync_eta_seconds', eta === null ? NOT_AVAILABLE : String(Math.ceil(eta))],
  ];
}

function readProgress(path: string): ReturnType<typeof parseProgress> {
  try {
    return parseProgress(readFileSync(fsEncode(path), 'utf8'));
  } catch {
    return null;
  }
}
