// Mount points that a power cut left: empty directories of earlier boots. A registry (mount-registry.ts) that lies in
// /run, as a secondary's does, does not outlast one, and /tmp may. Used at a secondary's start.

import { lstat, readdir, readFile, readlink, realpath, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';
import { mountinfoWord } from './mount-ready.js';

/** What mkdtemp adds. */
const RANDOM = /^[A-Za-z0-9]{6}$/;

/**
 * Removes the directories that begin with `prefix` as a mount point of this program does, are this user's, were last
 * changed before the machine booted, are mounted nowhere and are empty. What cannot be removed is left.
 * @returns their paths
 */
export async function removeFromBeforeBoot(prefix: string, bootMs?: number): Promise<string[]> {
  const dir = await realpath(dirname(prefix));
  const start = basename(prefix);
  const found = (await readdir(dir)).filter((name) => name.startsWith(start) && RANDOM.test(name.slice(start.length)));
  if (found.length === 0) return [];
  const mounts = await mountsEverywhere();
  const removed: string[] = [];
  for (const path of found.map((name) => join(dir, name))) {
    // A mount is not even looked at: its server may be slow to answer.
    if (mounts.some((text) => text.includes(` ${mountinfoWord(path)} `))) continue;
    if (!(await isOwnAndOlder(path, bootMs ?? (await bootTimeMs())))) continue;
    if (await rmdir(fsEncode(path)).then(() => true, () => false)) removed.push(path);
  }
  return removed;
}

async function isOwnAndOlder(path: string, bootMs: number): Promise<boolean> {
  try {
    const stats = await lstat(fsEncode(path));
    // Unlike other times, nobody sets this one at will.
    return stats.isDirectory() && stats.uid === process.geteuid?.() && stats.ctimeMs < bootMs;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw error;
  }
}

async function bootTimeMs(): Promise<number> {
  const seconds = /^btime (\d+)$/m.exec(await readFile('/proc/stat', 'latin1'))?.[1];
  return seconds === undefined ? 0 : Number(seconds) * 1000;
}

/** The mount tables of all mount namespaces that processes show: removing a directory would unmount what another
 *  namespace has there, and a clock that was set after the boot makes a young one look old. */
async function mountsEverywhere(): Promise<string[]> {
  const tables = new Map<string, string>();
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const namespace = await readlink(`/proc/${pid}/ns/mnt`).catch(() => null);
    if (namespace === null || tables.has(namespace)) continue;
    const table = await readFile(`/proc/${pid}/mountinfo`).catch(() => null);
    if (table !== null && table.length > 0) tables.set(namespace, table.toString('latin1'));
  }
  return [...tables.values()];
}
