// Serves `put_files`, which only primaries of this program call: writes whole small files into existing inodes. An error of
// one file affects that file alone. The primary then sends it with rsync or tar, which reports the reason.

import { constants } from 'node:os';
import { isGfid, type Gfid } from '../protocol/gfid.js';
import { errnoNumber } from '../native/libc.js';
import type { FileToPut } from '../native/put-file.js';
import { mapBounded } from '../async/map-bounded.js';
import { PERMISSIONS } from '../protocol/view.js';
import { PyTuple, isPyDict, isPyInt, type PyValue } from '../rpc/pickle-values.js';
import { RaisedException } from '../rpc/raised-exception.js';
import { throwIfStopping } from './stopping.js';
import type { SecondaryVolume } from './volume.js';

const { EINVAL, EIO } = constants.errno;
/** Maximum number of concurrent writes of one call. */
export const MAX_CONCURRENT_WRITES = 2;
const MAX_ID = 0xffff_ffff;
const MAX_NANOSECONDS = 999_999_999;

/** @returns an errno number for each file, in order; 0 for success @throws RaisedException if the argument is not a list */
export async function putFiles(
  volume: SecondaryVolume,
  signal: AbortSignal,
  list: PyValue | undefined,
  concurrency = MAX_CONCURRENT_WRITES,
): Promise<PyValue> {
  if (!Array.isArray(list)) throw new RaisedException('TypeError', ['files: not a list']);
  return mapBounded(list as readonly PyValue[], concurrency, async (value) => {
    throwIfStopping(signal);
    const file = parseFile(value);
    if (file === null || volume.putFile === undefined) return EINVAL;
    try {
      await volume.putFile(file.gfid, file);
      return 0;
    } catch (error) {
      return errnoNumber(error) ?? EIO;
    }
  });
}

function parseFile(value: PyValue): (FileToPut & { gfid: Gfid }) | null {
  if (!isPyDict(value)) return null;
  const { gfid, content, mode, uid, gid, mtime, compare } = value;
  if (typeof gfid !== 'string' || !isGfid(gfid) || !(content instanceof Uint8Array)) return null;
  if (!isIntUpTo(mode, PERMISSIONS) || !isIntUpTo(uid, MAX_ID) || !isIntUpTo(gid, MAX_ID)) return null;
  if (!(mtime instanceof PyTuple) || (compare !== 'content' && compare !== 'times')) return null;
  const [seconds, nanoseconds] = mtime;
  if (!isPyInt(seconds) || !isIntUpTo(nanoseconds, MAX_NANOSECONDS)) return null;
  return { gfid, content, mode, uid, gid, mtime: { seconds, nanoseconds }, compare };
}

function isIntUpTo(value: PyValue | undefined, max: number): value is number {
  return isPyInt(value) && value >= 0 && value <= max;
}
