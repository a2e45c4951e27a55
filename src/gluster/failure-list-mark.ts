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
  readonly #setKey: string;
  readonly #key: string;

  constructor(mount: Pick<AuxMount, 'setXtime'>, of: { readonly secondaryId: string; readonly subvolNum: number; readonly localNodeId: string; readonly localPath: string }) {
    this.#mount = mount;
    this.#brickRoot = fsEncode(of.localPath);
    // From geo-replication's client, a mount passes on xattrs whose names end as an xtime's does, and few others.
    this.#setKey = `${of.secondaryId}.owed.${of.subvolNum}.`;
    // The path may contain any bytes and may be long, so the key holds its hash.
    const path = createHash('sha256').update(this.#brickRoot).digest('hex').slice(0, 16);
    this.#key = `${this.#setKey}${of.localNodeId}.${path}`;
  }

  async announce(owes: boolean): Promise<void> {
    if (!owes && (await this.#read(xtimeName(this.#key))) === null) return;
    await this.#mount.setXtime('.', this.#key, owes ? xtimeNow() : ZERO_XTIME);
  }

  /** Names of the marks of other bricks of the set whose failure lists have entries. */
  async others(): Promise<string[]> {
    const head = xtimeName(this.#setKey).slice(0, -'.xtime'.length);
    const names = (await llistxattrAsync(this.#brickRoot)).filter((name) => name.startsWith(head) && name !== xtimeName(this.#key));
    const owing: string[] = [];
    for (const name of names) {
      const mark = await this.#read(name);
      if (mark !== null && compareXtime(mark, ZERO_XTIME) !== 0) owing.push(name);
    }
    return owing;
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
