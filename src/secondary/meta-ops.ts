// Serves `meta_ops`: sets owner, permissions and times. Different inodes are processed concurrently, and operations on one
// inode in order. As in stock, missing inodes are skipped. Owner and permissions that already match are left alone, since
// each change locks all copies. Symlinks have no permissions; their times are set here, which stock cannot do.

import { constants } from 'node:os';
import { gfidPath } from '../protocol/gfid.js';
import { errnoNumber } from '../native/libc.js';
import { PyException, isPyDict, pyTuple, type PyDict, type PyValue } from '../rpc/pickle-values.js';
import { Raised } from '../rpc/raised.js';
import { parseStat } from './entry.js';
import { DEFAULT_LANES } from './entry-batch.js';
import { attempt, statOrNull } from './lookup.js';
import { parseInode } from './path-guard.js';
import type { OpStat } from '../protocol/secondary.js';
import { throwIfStopping } from './stopping.js';
import type { SecondaryVolume } from './volume.js';

const { EACCES, ECONNABORTED, EINVAL, ENOENT, ENOSPC, ENOTCONN, EPERM, EROFS, ESTALE } = constants.errno;
const VOLUME_WIDE: readonly number[] = [ENOTCONN, ECONNABORTED, ENOSPC, EROFS];
const TRANSIENT: readonly number[] = [ESTALE, EINVAL];
const PERMISSIONS = 0o7777;
const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;

interface Work {
  readonly dict: PyDict;
  readonly index: number;
  readonly path: string;
  readonly stat: OpStat;
}

type Failed = readonly [index: number, dict: PyDict, errno: number, call: string];

/** @returns the failures, each `(entry, errno, call)`, in the caller's order
 *  @throws Raised if the argument is not a list of dicts */
export async function applyMeta(volume: SecondaryVolume, signal: AbortSignal, list: PyValue | undefined): Promise<PyValue> {
  if (!Array.isArray(list)) throw new Raised(new PyException('TypeError', ['entries: not a list']));
  const failures: Failed[] = [];
  const { lanes: count = DEFAULT_LANES } = volume;
  const lanes: Work[][] = Array.from({ length: count }, () => []);
  for (const [index, dict] of (list as readonly PyValue[]).entries()) {
    if (!isPyDict(dict)) throw new Raised(new PyException('TypeError', ['entries: not a list of dicts']));
    const gfid = parseInode(dict['go']);
    const stat = parseStat(dict['stat']);
    if (gfid === null || stat === null || stat === undefined) failures.push([index, dict, EINVAL, 'arguments']);
    else lanes[Number.parseInt(gfid.slice(-6), 16) % count]?.push({ dict, index, path: gfidPath(gfid), stat });
  }
  const run = async (lane: readonly Work[]): Promise<void> => {
    for (const work of lane) {
      throwIfStopping(signal);
      await applyOne(volume, work, failures);
    }
  };
  const ends = await Promise.allSettled(lanes.map(run));
  for (const end of ends) if (end.status === 'rejected') throw end.reason;
  return failures.sort(([a], [b]) => a - b).map(([, dict, errno, call]) => pyTuple([dict, errno, call]));
}

async function applyOne(volume: SecondaryVolume, { dict, index, path, stat }: Work, failures: Failed[]): Promise<void> {
  const { uid, gid, mode, atime, mtime } = stat;
  let call = 'chown';
  const step = async (name: string, run: () => Promise<void>): Promise<void> => {
    call = name;
    const errno = await attempt(run, [ENOENT, EACCES, EPERM], TRANSIENT);
    if (errno !== null) failures.push([index, dict, errno, name]);
  };
  try {
    const st = await statOrNull(volume, path);
    if (st === null) return;
    const isGivenAway = st.uid !== uid || st.gid !== gid;
    if (isGivenAway && (await attempt(() => volume.chown(path, uid, gid), [ENOENT], TRANSIENT)) !== null) return;
    // chown clears the set-id bits, so the mode must be set again.
    const isChanged = isGivenAway || (st.mode & PERMISSIONS) !== (mode & PERMISSIONS);
    if (isChanged && (st.mode & S_IFMT) !== S_IFLNK) await step('chmod', () => volume.chmod(path, mode & PERMISSIONS));
    await step('utime', () => volume.utimes(path, atime, mtime));
  } catch (error) {
    const errno = errnoNumber(error);
    if (errno === undefined || VOLUME_WIDE.includes(errno)) throw error;
    failures.push([index, dict, errno, call]);
  }
}
