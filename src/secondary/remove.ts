// Removes whole trees: what the primary removed while the secondary still held something in it, and what a crawl found to be
// gone. No symlink is followed: the volume sees to it.

import { constants } from 'node:os';
import { entryPath, GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import { retryErrnos } from '../gluster/retry.js';
import { errnoNumber } from '../native/libc.js';
import { attempt, gfidOrNull } from './lookup.js';
import type { SecondaryVolume } from './volume.js';

const { EBUSY, EISDIR, ELOOP, ENODATA, ENOENT, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, EPERM, ESTALE } = constants.errno;

/**
 * Removes the directory `gfid` at `entry` and what is in it, as long as it is there: another worker may have moved it
 * away, and then nothing more of it is removed. Tried again while something new appears in it.
 * @throws the volume's errors
 */
export function removeDirectory(volume: SecondaryVolume, gfid: Gfid, entry: string): Promise<void> {
  const isThere = async (): Promise<boolean> => (await gfidOrNull(volume, entry)) === gfid;
  const remove = async (path: string): Promise<void> => {
    if (!(await isThere())) return;
    const names = await namesIn(volume, path);
    if (names === null) return;
    for (const name of names) {
      const child = `${path}/${name}`;
      if (!(await isThere())) return;
      const errno = await attempt(() => unlinkFile(volume, child), [ENOENT, ESTALE, EISDIR], [EBUSY]);
      if (errno === EISDIR) await remove(child);
    }
    if (!(await isThere())) return;
    await attempt(() => volume.rmdir(path), [ENOENT, ESTALE], [EBUSY]);
  };
  return retryErrnos(() => remove(entry), [ENOTEMPTY, ESTALE, ENODATA]);
}

/**
 * Removes what `path` names, whatever it is: a whole tree, too; nothing there is fine. With `names`, these children of
 * it; with none of them (an empty list), everything in it, and itself only when it is no directory: as stock does.
 */
export async function purge(volume: SecondaryVolume, path: string, names?: readonly string[]): Promise<void> {
  let children = names;
  if (children === undefined || children.length === 0) {
    const errno = await attempt(() => unlinkFile(volume, path), [EISDIR, ENOTDIR, ENOENT, ELOOP]);
    if (errno !== EISDIR) return;
    children = (await namesIn(volume, path)) ?? [];
  }
  for (const name of children) await purge(volume, childOf(path, name));
  if (names === undefined) await attempt(() => volume.rmdir(path), [ENOENT]);
}

/** POSIX lets unlink of a directory fail with EPERM, too. */
async function unlinkFile(volume: SecondaryVolume, path: string): Promise<void> {
  try {
    await volume.unlink(path);
  } catch (error) {
    if (errnoNumber(error) !== EPERM || ((await volume.lstat(path)).mode & 0o170000) !== 0o040000) throw error;
    throw Object.assign(new Error(`unlink: ${path}: is a directory`), { errno: EISDIR });
  }
}

async function namesIn(volume: SecondaryVolume, path: string): Promise<string[] | null> {
  try {
    return await retryErrnos(() => volume.readdir(path), [ESTALE, EOPNOTSUPP]);
  } catch (error) {
    if (errnoNumber(error) === ENOENT) return null;
    throw error;
  }
}

function childOf(path: string, name: string): string {
  if (path === '.') return name;
  const gfid = path.startsWith(GFID_PREFIX) ? path.slice(GFID_PREFIX.length) : '';
  return isGfid(gfid) ? entryPath(gfid, name) : `${path}/${name}`;
}
