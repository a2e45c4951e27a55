// Checks a stock secondary's answers against the state of its volume. While a subvolume is down, the secondary's mount
// answers ENOENT for its entries. A stock secondary treats that as success, so a removed file would stay. It does not
// report the state of its volume, but node_uuid returns one node for each subvolume that is up. So the worker calls
// node_uuid after each answer that may depend on an ENOENT. When a subvolume is missing, the worker treats the connection
// as lost and sends the changes again later. The mount reconnects to a lost brick after 3 s at the earliest. Only a call
// that takes longer may miss the outage. This program's own secondary does these checks itself
// (secondary/availability-guard.ts).

import { constants } from 'node:os';
import { errorLine, GsyncdError } from '../../errors.js';
import { SingleFlight } from '../../async/single-flight.js';
import { RemoteCallError } from '../../rpc/errors.js';
import type { Secondary } from '../../protocol/secondary.js';

const { EIO, ENOTCONN } = constants.errno;

export interface AvailabilityOptions {
  /** Asks the peer how many of the volume's subvolumes are up. */
  readonly subvolumesUp: () => Promise<number>;
  /** Subvolumes of the volume. */
  readonly subvolumes: number;
  /** For messages. */
  readonly volume: string;
}

/** Calls reject with GsyncdError 'peer' when a subvolume is down. If GlusterFS answers ENOTCONN for one name while all
 *  subvolumes are up, they reject with RemoteCallError EIO: split-brain, or a replica set without quorum. */
export function withAvailabilityChecks(
  secondary: Secondary,
  { subvolumesUp, subvolumes, volume }: AvailabilityOptions,
): Secondary {
  const checks = new SingleFlight(subvolumesUp);
  const requireAllUp = async (): Promise<void> => {
    const up = await checks.ask().catch((cause: unknown) => {
      throw new GsyncdError(`secondary volume ${volume}: ${errorLine(cause)}`, { code: 'peer', cause });
    });
    if (up < subvolumes)
      throw new GsyncdError(`secondary volume ${volume}: ${up} of ${subvolumes} subvolumes are up`, { code: 'peer' });
  };
  const explainEnotconn = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof RemoteCallError) || error.errno !== ENOTCONN) throw error;
      await requireAllUp();
      throw new RemoteCallError(error.method, 'OSError', [
        EIO,
        'ENOTCONN while the volume is up: split-brain or no quorum',
      ]);
    }
  };
  const verified = async <T>(answer: Promise<T>): Promise<T> => {
    const value = await explainEnotconn(answer);
    if (subvolumes > 1) await requireAllUp();
    return value;
  };
  return {
    entryOps: (ops) => verified(secondary.entryOps(ops)),
    metaOps: (ops) => verified(secondary.metaOps(ops)),
    lstat: async (path) => (await explainEnotconn(secondary.lstat(path))) ?? verified(Promise.resolve(null)),
    entries: (path) => verified(secondary.entries(path)),
    purge: (path, names) => verified(secondary.purge(path, names)),
    setattr: (path, attrs) => explainEnotconn(secondary.setattr(path, attrs)),
    keepAlive: (info) => secondary.keepAlive(info),
  };
}
