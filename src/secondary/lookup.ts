// Questions to the volume in which "not there" is an answer, and calls whose known failures are values. A moment's trouble is
// repeated, as the stock daemon does.

import { constants } from 'node:os';
import type { Gfid } from '../protocol/gfid.js';
import { retryErrnos } from '../gluster/retry.js';
import { errnoNumber } from '../native/libc.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EBUSY, ENOENT, ENOTDIR, ESTALE } = constants.errno;
/** A path through something that is no directory names nothing. */
const ABSENT: readonly number[] = [ENOENT, ENOTDIR];

/** null when the path names nothing. */
export function statOrNull(volume: SecondaryVolume, path: string): Promise<VolumeStat | null> {
  return orNull(() => volume.lstat(path), [ESTALE, EBUSY]);
}

/** null when the path names nothing. */
export function gfidOrNull(volume: SecondaryVolume, path: string): Promise<Gfid | null> {
  return orNull(() => volume.gfidOf(path), [ESTALE]);
}

/**
 * Makes a call, and makes it again for a while when it fails with one of `transient`.
 * @returns null, or the errno number when it is among `known`
 * @throws what else it failed with
 */
export async function attempt(call: () => Promise<void>, known: readonly number[], transient: readonly number[] = []): Promise<number | null> {
  const again = transient.filter((errno) => !known.includes(errno));
  try {
    await retryErrnos(call, again);
    return null;
  } catch (error) {
    const errno = errnoNumber(error);
    if (errno !== undefined && known.includes(errno)) return errno;
    throw error;
  }
}

async function orNull<T>(call: () => Promise<T>, transient: readonly number[]): Promise<T | null> {
  try {
    return await retryErrnos(call, transient);
  } catch (error) {
    if (ABSENT.includes(errnoNumber(error) ?? 0)) return null;
    throw error;
  }
}
