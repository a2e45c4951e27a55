// Serves `meta_ops`: sets owner, permissions and times. Different inodes are processed concurrently, and operations on one
// inode in order. As in stock, missing inodes are skipped. Owner and permissions that already match are left alone, since
// each change locks all copies. Symlinks have no permissions; their times are set here, which stock cannot do.

import { constants } from 'node:os';
import { gfidPath } from '../protocol/gfid.js';
import { errnoNumber } from '../native/libc.js';
import { isPyDict, pyTuple, type PyDict, type PyValue } from '../rpc/pickle-values.js';
import { RaisedException } from '../rpc/raised-exception.js';
import { parseStat } from './entry.js';
import { DEFAULT_LANES, VOLUME_WIDE_ERRNOS } from './entry-batch.js';
import { attempt, statOrNull } from './lookup.js';
import { parseInode } from './path-guard.js';
import type { OpStat } from '../protocol/secondary.js';
import { PERMISSIONS, S_IFLNK, S_IFMT } from '../protocol/view.js';
import { throwIfStopping } from './stopping.js';
import type { SecondaryVolume } from './volume.js';

const { EACCES, EINVAL, ENOENT, EPERM, ESTALE } = constants.errno;
const TRANSIENT: readonly number[] = [ESTALE, EINVAL];

interface MetaWork {
  readonly dict: PyDict;
  readonly index: number;
  readonly path: string;
  readonly stat: OpStat;
}

type FailedOp = readonly [index: number, dict: PyDict, errno: number, call: string];

/** @returns the failures, each `(entry, errno, call)`, in the caller's order
 *  @throws RaisedException if the argument is not a list of dicts */
export async function applyMeta(
  volume: SecondaryVolume,
  signal: AbortSignal,
  list: PyValue | undefined,
  concurrency = volume.lanes ?? DEFAULT_LANES,
): Promise<PyValue> {
  if (!Array.isArray(list)) throw new RaisedException('TypeError', ['entries: not a list']);
  const failures: FailedOp[] = [];
  const lanes: MetaWork[][] = Array.from({ length: concurrency }, () => []);
  for (const [index, dict] of (list as readonly PyValue[]).entries()) {
    if (!isPyDict(dict)) throw new RaisedException('TypeError', ['entries: not a list of dicts']);
    const gfid = parseInode(dict['go']);
    const stat = parseStat(dict['stat']);
    if (gfid === null || stat === null || stat === undefined) failures.push([index, dict, EINVAL, 'arguments']);
    else lanes[Number.parseInt(gfid.slice(-6), 16) % concurrency]?.push({ dict, index, path: gfidPath(gfid), stat });
  }
  const runLane = async (lane: readonly MetaWork[]): Promise<void> => {
    for (const work of lane) {
      throwIfStopping(signal);
      await applyOne(volume, work, failures);
    }
  };
  const results = await Promise.allSettled(lanes.map(runLane));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  return failures.sort(([a], [b]) => a - b).map(([, dict, errno, call]) => pyTuple([dict, errno, call]));
}

async function applyOne(
  volume: SecondaryVolume,
  { dict, index, path, stat }: MetaWork,
  failures: FailedOp[],
): Promise<void> {
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
    const shouldChown = st.uid !== uid || st.gid !== gid;
    if (shouldChown && (await attempt(() => volume.chown(path, uid, gid), [ENOENT], TRANSIENT)) !== null) return;
    // chown clears the set-id bits, so the mode must be set again.
    const shouldChmod = shouldChown || (st.mode & PERMISSIONS) !== (mode & PERMISSIONS);
    if (shouldChmod && (st.mode & S_IFMT) !== S_IFLNK)
      await step('chmod', () => volume.chmod(path, mode & PERMISSIONS));
    await step('utime', () => volume.utimes(path, atime, mtime));
  } catch (error) {
    const errno = errnoNumber(error);
    if (errno === undefined || VOLUME_WIDE_ERRNOS.has(errno)) throw error;
    failures.push([index, dict, errno, call]);
  }
}
