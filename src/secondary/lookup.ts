// Questions to the volume in which "not there" is an answer, and calls whose known failures are values. Used by all
// handlers. A moment's trouble is repeated, as the stock daemon does.

import { constants } from 'node:os';
import type { Gfid } from '../gluster/gfid.js';
import { retryErrnos } from '../gluster/retry.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EBUSY, EIO, ENOENT, ENOTDIR, ESTALE } = constants.errno;
/** A path through something that is no directory names nothing. */
const ABSENT: readonly number[] = [ENOENT, ENOTDIR];
/** Of what is not there when it is asked for, and there when that is looked into. */
const MAX_SURE_TRIES = 4;

/** null when the path names nothing. */
export function statOrNull(volume: SecondaryVolume, path: string): Promise<VolumeStat | null> {
  return orNull(() => volume.lstat(path), [ESTALE, EBUSY]);
}

/** null when the path names nothing. */
export function gfidOrNull(volume: SecondaryVolume, path: string): Promise<Gfid | null> {
  return orNull(() => volume.gfidOf(path), [ESTALE]);
}

/** As statOrNull, for an absence from which something follows. @throws EIO where the volume hides it */
export function statSurely(volume: SecondaryVolume, path: string): Promise<VolumeStat | null> {
  return surely(volume, path, () => statOrNull(volume, path), (found) => found === null);
}

/** As gfidOrNull, for an absence from which something follows. @throws EIO where the volume hides it */
export function gfidSurely(volume: SecondaryVolume, path: string): Promise<Gfid | null> {
  return surely(volume, path, () => gfidOrNull(volume, path), (found) => found === null);
}

/** As attempt, for a call that is done when `path` is not there. @throws EIO where the volume hides it */
export function attemptSurely(volume: SecondaryVolume, path: string, call: () => Promise<void>, known: readonly number[], transient: readonly number[] = []): Promise<number | null> {
  return surely(volume, path, () => attempt(call, known, transient), (errno) => errno === ENOENT || errno === ESTALE);
}

/** What `ask` gives, again when that says of `path` that it is not there, and it is. */
async function surely<T>(volume: SecondaryVolume, path: string, ask: () => Promise<T>, saysAbsent: (answer: T) => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    const answer = await ask();
    if (!saysAbsent(answer) || volume.isAbsent === undefined || (await volume.isAbsent(path))) return answer;
    if (tries === MAX_SURE_TRIES) throw new NativeError('it is there, and is not', path, EIO);
  }
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
