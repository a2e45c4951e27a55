// A mark on the volume's root informs the workers of a set's other bricks that this worker's failure list has entries. The
// lists themselves are on the disks of their nodes. A worker sets its mark through its mount, so the mark is on every brick
// that is up, and outlives the node. The other workers read it on their own bricks. GlusterFS does not heal such marks, so
// the worker has to set its mark again from time to time. A mark of zero means an empty list.

import { createHash } from 'node:crypto';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';
import { lgetxattrAsync, llistxattrAsync } from '../native/libc.js';
import type { AuxMount } from './mount.js';
import { xtimeName } from './xattr-names.js';
import { compareXtime, unpackXtime, xtimeNow, ZERO_XTIME, type Xtime } from './xtime.js';

export class FailureListMark {
  readonly #mount: Pick<AuxMount, 'setXtime'>;
  readonly #brickRoot: Buffer;
  /** Prefix of the names of the set's marks. */
  readonly #setKeyPrefix: string;
  readonly #key: string;

  constructor(
    mount: Pick<AuxMount, 'setXtime'>,
    brick: {
      readonly secondaryId: string;
      readonly subvolNum: number;
      readonly localNodeId: string;
      readonly localPath: string;
    },
  ) {
    this.#mount = mount;
    this.#brickRoot = fsEncode(brick.localPath);
    // From geo-replication's client, a mount passes on xattrs whose names end as an xtime's does, and few others.
    this.#setKeyPrefix = `${brick.secondaryId}.owed.${brick.subvolNum}.`;
    // The path may contain any bytes and may be long, so the key holds its hash.
    const path = createHash('sha256').update(this.#brickRoot).digest('hex').slice(0, 16);
    this.#key = `${this.#setKeyPrefix}${brick.localNodeId}.${path}`;
  }

  async announce(hasFailures: boolean): Promise<void> {
    if (!hasFailures && (await this.#read(xtimeName(this.#key))) === null) return;
    await this.#mount.setXtime('.', this.#key, hasFailures ? xtimeNow() : ZERO_XTIME);
  }

  /** Names of the marks of other bricks of the set whose failure lists have entries. */
  async findOthers(): Promise<string[]> {
    const namePrefix = xtimeName(this.#setKeyPrefix).slice(0, -'.xtime'.length);
    const names = (await llistxattrAsync(this.#brickRoot)).filter(
      (name) => name.startsWith(namePrefix) && name !== xtimeName(this.#key),
    );
    const nonEmpty: string[] = [];
    for (const name of names) {
      const mark = await this.#read(name);
      if (mark !== null && compareXtime(mark, ZERO_XTIME) !== 0) nonEmpty.push(name);
    }
    return nonEmpty;
  }

  async #read(name: string): Promise<Xtime | null> {
    try {
      return unpackXtime(await lgetxattrAsync(this.#brickRoot, name));
    } catch (error) {
      if (errnoCode(error) === 'ENODATA') return null;
      throw error;
    }
  }
}
