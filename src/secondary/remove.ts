// Removes whole trees: directories that the primary removed but that are not empty here, and paths that a crawl found to be
// gone. The volume ensures that no symlink is followed.

import { constants } from 'node:os';
import { entryPath, GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import { retryErrnos } from '../gluster/retry.js';
import { errnoNumber } from '../native/libc.js';
import { S_IFDIR, S_IFMT } from '../protocol/view.js';
import { attempt, gfidOrNull } from './lookup.js';
import type { SecondaryVolume } from './volume.js';

const { EBUSY, EISDIR, ELOOP, ENODATA, ENOENT, ENOTDIR, ENOTEMPTY, EOPNOTSUPP, EPERM, ESTALE } = constants.errno;

/**
 * Removes the directory `gfid` at `entry` with its contents. Another worker may move it away meanwhile: then it stops
 * removing. Retries while new entries appear in the directory.
 * @throws errors of the volume
 */
export function removeDirectory(volume: SecondaryVolume, gfid: Gfid, entry: string): Promise<void> {
  const isAtEntry = async (): Promise<boolean> => (await gfidOrNull(volume, entry)) === gfid;
  const remove = async (path: string): Promise<void> => {
    if (!(await isAtEntry())) return;
    const names = await namesIn(volume, path);
    if (names === null) return;
    for (const name of names) {
      const child = `${path}/${name}`;
      if (!(await isAtEntry())) return;
      const errno = await attempt(() => unlinkFile(volume, child), [ENOENT, ESTALE, EISDIR], [EBUSY]);
      if (errno === EISDIR) await remove(child);
    }
    if (!(await isAtEntry())) return;
    await attempt(() => volume.rmdir(path), [ENOENT, ESTALE], [EBUSY]);
  };
  return retryErrnos(() => remove(entry), [ENOTEMPTY, ESTALE, ENODATA]);
}

/**
 * Removes `path`, a whole tree, too. A missing path is success. With `names`, it removes only these children. With an
 * empty list, as in stock, it removes all children, and `path` itself only if it is not a directory.
 */
export async function purge(volume: SecondaryVolume, path: string, names?: readonly string[]): Promise<void> {
  let children = names;
  if (children === undefined || children.length === 0) {
    const errno = await attempt(() => unlinkFile(volume, path), [EISDIR, ENOTDIR, ENOENT, ELOOP]);
    if (errno !== EISDIR) return;
    children = (await namesIn(volume, path)) ?? [];
  }
  for (const name of children) await purge(volume, childPath(path, name));
  if (names === undefined) await attempt(() => volume.rmdir(path), [ENOENT]);
}

/** Turns EPERM for a directory into EISDIR: POSIX allows both for unlink. */
async function unlinkFile(volume: SecondaryVolume, path: string): Promise<void> {
  try {
    await volume.unlink(path);
  } catch (error) {
    if (errnoNumber(error) !== EPERM || ((await volume.lstat(path)).mode & S_IFMT) !== S_IFDIR) throw error;
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

function childPath(path: string, name: string): string {
  if (path === '.') return name;
  const gfid = path.startsWith(GFID_PREFIX) ? path.slice(GFID_PREFIX.length) : '';
  return isGfid(gfid) ? entryPath(gfid, name) : `${path}/${name}`;
}
