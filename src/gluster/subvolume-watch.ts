// Decides whether a mount's ENOENT is valid. While a subvolume is down, GlusterFS's client answers ENOENT for its entries.
// A worker that believed it would skip their data, or remove them from the secondary. An ENOENT is valid only between two
// checks that found the whole volume up. Both must be so close together that no brick was away in between: a client takes
// seconds to reconnect.

import { constants } from 'node:os';
import { SingleFlight } from '../async/single-flight.js';

const { EAGAIN } = constants.errno;
/** Less than the 3 s that GlusterFS's client leaves between losing a brick and reconnecting to it. */
const MAX_CHECK_GAP_MS = 2_000;
/** If a lookup takes longer than MAX_CHECK_GAP_MS this many times, its ENOENT is not believed. */
const MAX_TRIES = 3;

/** Thrown for a path that may exist on a brick that is down. Its errno marks it as a failure of one inode. */
export class BrickDown extends Error {
  readonly errno = EAGAIN;
  readonly code = 'EAGAIN';

  constructor(path: string) {
    super(`${path}: a brick of the volume is down`);
  }
}

export class SubvolumeWatch {
  readonly #checks: SingleFlight<boolean>;
  readonly #now: () => number;
  /** Start of the last completed check that found the whole volume up. */
  #upMs = -Infinity;

  /** @param isUp asks the mount whether the whole volume is up */
  constructor(isUp: () => Promise<boolean>, now: () => number = () => performance.now()) {
    this.#checks = new SingleFlight(() => this.#check(isUp));
    this.#now = now;
  }

  /** @returns the result of `ask`; null when the path does not exist
   *  @throws BrickDown when that cannot be determined; errors of `ask` */
  async find<T>(path: string, lookUp: () => Promise<T | null>): Promise<T | null> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const beforeMs = this.#upMs;
      const found = await lookUp();
      if (found !== null) return found;
      if (!(await this.isUp())) break;
      if (this.#now() - beforeMs < MAX_CHECK_GAP_MS) return null;
    }
    throw new BrickDown(path);
  }

  /** Start of the last completed check that found the whole volume up, by performance.now(); -Infinity before the first. */
  get upMs(): number {
    return this.#upMs;
  }

  /** @returns the result of a check that begins after this call */
  isUp(): Promise<boolean> {
    return this.#checks.ask();
  }

  async #check(isUp: () => Promise<boolean>): Promise<boolean> {
    const beganMs = this.#now();
    const up = await isUp();
    if (up) this.#upMs = beganMs;
    return up;
  }
}
