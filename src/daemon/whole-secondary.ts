// A stock secondary whose answers can be believed. While a subvolume of its volume is down, its mount says ENOENT of what
// lives there, and stock takes that for success: what the primary removed would stay for ever. A stock peer does not tell
// the state of its volume, but the nodes of the bricks that answer, one for each subvolume that is up: so after each
// answer that may rest on an ENOENT it is asked for those, and when one is missing the connection is as good as lost, and
// what was sent is sent again later. A brick that the mount lost is away for 3 s at least, until it connects again: within a
// call that lasts longer one could go and come back unseen. This program's own secondary sees to it itself
// (secondary/whole-volume.ts). Used by remote.ts.

import { errorLine, GsyncdError } from '../errors.js';
import { SharedAsk } from '../process/shared-ask.js';
import { delegate } from '../secondary/delegate.js';
import type { Secondary } from '../secondary/secondary.js';

export interface WholeOptions {
  /** Asks the peer how many of the volume's subvolumes are up. */
  readonly subvolumesUp: () => Promise<number>;
  /** How many it has. */
  readonly subvolumes: number;
  /** For messages. */
  readonly volume: string;
}

/** Calls reject with GsyncdError 'peer' when the volume was not whole after them. */
export function wholeSecondary(secondary: Secondary, { subvolumesUp, subvolumes, volume }: WholeOptions): Secondary {
  const looks = new SharedAsk(subvolumesUp);
  const sure = async <T>(answer: Promise<T>): Promise<T> => {
    const value = await answer;
    const up = await looks.ask().catch((error: unknown) => {
      // Of the volume, not of an operation.
      throw new GsyncdError(`secondary volume ${volume}: ${errorLine(error)}`, { code: 'peer', cause: error });
    });
    if (up >= subvolumes) return value;
    throw new GsyncdError(`secondary volume ${volume}: ${up} of ${subvolumes} subvolumes are up: what lives on the others cannot be told`, { code: 'peer' });
  };
  return {
    ...delegate(secondary),
    entryOps: (ops) => sure(secondary.entryOps(ops)),
    metaOps: (ops) => sure(secondary.metaOps(ops)),
    lstat: async (path) => (await secondary.lstat(path)) ?? sure(Promise.resolve(null)),
    entries: (path) => sure(secondary.entries(path)),
    purge: (path, names) => sure(secondary.purge(path, names)),
  };
}
