// One name's ENOTCONN, told apart from the volume's. GlusterFS answers so while a set of replicas has no quorum, and of a name
// on which the copies disagree (split-brain) while every brick is up. Of a stock peer's volume only writing tells: a set
// without quorum refuses it, while it may look up what is not there and even counts as up. So names are made in the volume's
// root, enough of them for each set to get some, and taken away again; where that works, the errno is the one name's, and
// becomes the one that GlusterFS has for most of these: EIO. This program's own secondary sees to it itself
// (secondary/whole-volume.ts). Used by remote.ts.

import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { errorLine, GsyncdError } from '../errors.js';
import { gfidFromBytes } from '../gluster/gfid.js';
import { parkPath } from '../primary/parking.js';
import { SharedAsk } from '../process/shared-ask.js';
import { RemoteCallError } from '../rpc/errors.js';
import type { EntryOp, Secondary } from '../secondary/secondary.js';

const { EIO, ENOTCONN } = constants.errno;
/** Names made for each subvolume: their hashes are as good as random, and with 16 one volume in 10 million misses a subvolume. */
const NAMES_PER_SUBVOLUME = 16;
/** A look counts for others that soon after it. A set that loses its quorum comes back after 3 s at the earliest. */
const COUNTS_MS = 1_000;

export interface SplitNamesOptions {
  /** How many the volume has. */
  readonly subvolumes: number;
  /** For messages. */
  readonly volume: string;
  readonly now?: () => number;
}

/** Calls reject with RemoteCallError EIO where one name's copies disagree, with GsyncdError 'peer' when the volume refuses. */
export function withSplitNames(secondary: Secondary, { subvolumes, volume, now = () => performance.now() }: SplitNamesOptions): Secondary {
  let tookMs = -Infinity;
  const looks = new SharedAsk(async () => {
    const beganMs = now();
    await secondary.entryOps(probes(subvolumes));
    tookMs = beganMs;
  });
  const told = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof RemoteCallError) || error.errno !== ENOTCONN) throw error;
      if (now() - tookMs >= COUNTS_MS) {
        await looks.ask().catch((cause: unknown) => {
          throw new GsyncdError(`secondary volume ${volume}: ${errorLine(cause)}`, { code: 'peer', cause });
        });
      }
      throw new RemoteCallError(error.method, 'OSError', [EIO, 'its copies disagree']);
    }
  };
  return {
    entryOps: (ops) => told(secondary.entryOps(ops)),
    metaOps: (ops) => told(secondary.metaOps(ops)),
    lstat: (path) => told(secondary.lstat(path)),
    entries: (path) => told(secondary.entries(path)),
    purge: (path, names) => told(secondary.purge(path, names)),
    setattr: (path, attrs) => told(secondary.setattr(path, attrs)),
    keepAlive: (info) => secondary.keepAlive(info),
    pid: () => secondary.pid(),
  };
}

/** Always the same: should the connection end between two of them, the next look takes away what is left. */
function probes(subvolumes: number): EntryOp[] {
  return Array.from({ length: subvolumes < 2 ? 1 : subvolumes * NAMES_PER_SUBVOLUME }, (_, i) => {
    const gfid = gfidFromBytes(createHash('sha256').update(`probe ${i}`).digest().subarray(0, 16));
    const entry = parkPath(gfid);
    return [{ op: 'MKNOD', gfid, entry, mode: 0o100600, uid: 0, gid: 0 } as const, { op: 'UNLINK', gfid, entry } as const];
  }).flat();
}
