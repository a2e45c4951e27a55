// Lookups that return null for an absent path, and calls that return expected errnos as values. Transient errors are
// retried, as the stock daemon does.

import { constants } from 'node:os';
import type { Gfid } from '../protocol/gfid.js';
import { retryErrnos } from '../gluster/retry.js';
import { errnoNumber } from '../native/libc.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EBUSY, ENOENT, ENOTDIR, ESTALE } = constants.errno;
/** A path through an inode that is not a directory names nothing. */
const ABSENT_ERRNOS: readonly number[] = [ENOENT, ENOTDIR];

/** null when the path names nothing. */
export function statOrNull(volume: SecondaryVolume, path: string): Promise<VolumeStat | null> {
  return orNull(() => volume.lstat(path), [ESTALE, EBUSY]);
}

/** null when the path names nothing. */
export function gfidOrNull(volume: SecondaryVolume, path: string): Promise<Gfid | null> {
  return orNull(() => volume.gfidOf(path), [ESTALE]);
}

/**
 * Makes a call, and retries it for a while if it fails with one of `transient`.
 * @returns null, or the errno number if it is in `known`
 * @throws all other errors
 */
export async function attempt(
  call: () => Promise<void>,
  expected: readonly number[],
  transient: readonly number[] = [],
): Promise<number | null> {
  const retried = transient.filter((errno) => !expected.includes(errno));
  try {
    await retryErrnos(call, retried);
    return null;
  } catch (error) {
    const errno = errnoNumber(error);
    if (errno !== undefined && expected.includes(errno)) return errno;
    throw error;
  }
}

async function orNull<T>(call: () => Promise<T>, transient: readonly number[]): Promise<T | null> {
  try {
    return await retryErrnos(call, transient);
  } catch (error) {
    if (ABSENT_ERRNOS.includes(errnoNumber(error) ?? 0)) return null;
    throw error;
  }
}
