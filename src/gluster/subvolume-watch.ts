// Whether a mount's ENOENT can be believed. While a part of a volume is down, GlusterFS's client answers ENOENT for what lives
// there: a worker that took it for gone would leave its data behind, or remove it from the secondary. So an answer counts that
// came between two looks that found all of the volume up, and so close together that no brick was away in between: a client
// takes seconds to connect again.

import { constants } from 'node:os';
import { SingleFlight } from '../async/single-flight.js';

const { EAGAIN } = constants.errno;
/** Less than the time that GlusterFS's client leaves between losing a brick and connecting to it again, 3 s. */
const CLOSE_MS = 2_000;
/** A lookup that takes longer than that each time tells nothing. */
const MAX_TRIES = 3;

/** A path of which the volume, as far as it is up, does not tell. One inode's trouble, by its errno. */
export class BrickDown extends Error {
  readonly errno = EAGAIN;
  readonly code = 'EAGAIN';

  constructor(path: string) {
    super(`${path}: a brick of the volume is down`);
  }
}

export class SubvolumeWatch {
  readonly #looks: SingleFlight<boolean>;
  readonly #now: () => number;
  /** When the last look that found all up, and is over, began. */
  #upMs = -Infinity;

  /** @param isUp asks the mount whether all of the volume is up */
  constructor(isUp: () => Promise<boolean>, now: () => number = () => performance.now()) {
    this.#looks = new SingleFlight(() => this.#look(isUp));
    this.#now = now;
  }

  /** What `ask` finds; null when it is not there. @throws BrickDown when that cannot be told; what `ask` throws */
  async find<T>(path: string, ask: () => Promise<T | null>): Promise<T | null> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const beforeMs = this.#upMs;
      const found = await ask();
      if (found !== null) return found;
      if (!(await this.isUp())) break;
      if (this.#now() - beforeMs < CLOSE_MS) return null;
    }
    throw new BrickDown(path);
  }

  /** When the last look began that found all up, by performance.now(); -Infinity before the first. */
  get upMs(): number {
    return this.#upMs;
  }

  /** By a look that begins after this call. */
  isUp(): Promise<boolean> {
    return this.#looks.ask();
  }

  async #look(isUp: () => Promise<boolean>): Promise<boolean> {
    const beganMs = this.#now();
    const up = await isUp();
    if (up) this.#upMs = beganMs;
    return up;
  }
}
