// Whether a mount's ENOENT can be believed. While a part of a volume is down, GlusterFS's client answers ENOENT for what
// lives there: a worker that took it for gone would leave its data behind, or remove it from the secondary. So an answer
// counts that came between two looks that found all of the volume up, and so close together that no brick was away in
// between: a client takes seconds to connect again. Used by mount.ts.

import { constants } from 'node:os';

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
  readonly #isUp: () => Promise<boolean>;
  readonly #now: () => number;
  /** When the last look that found all up, and is over, began. */
  #upMs = -Infinity;
  #looking: Promise<boolean> | null = null;
  #next: Promise<boolean> | null = null;

  /** @param isUp asks the mount whether all of the volume is up */
  constructor(isUp: () => Promise<boolean>, now: () => number = () => performance.now()) {
    this.#isUp = isUp;
    this.#now = now;
  }

  /** What `ask` finds; null when it is not there. @throws BrickDown when that cannot be told; what `ask` throws */
  async find<T>(path: string, ask: () => Promise<T | null>): Promise<T | null> {
    for (let tries = 1; tries <= MAX_TRIES; tries++) {
      const beforeMs = this.#upMs;
      const found = await ask();
      if (found !== null) return found;
      if (!(await this.#lookNow())) break;
      if (this.#now() - beforeMs < CLOSE_MS) return null;
    }
    throw new BrickDown(path);
  }

  /** A look that begins after this call; all who call meanwhile share it. */
  #lookNow(): Promise<boolean> {
    this.#next ??= (this.#looking ?? Promise.resolve()).then(
      () => this.#startLook(),
      () => this.#startLook(),
    );
    return this.#next;
  }

  #startLook(): Promise<boolean> {
    this.#looking = this.#next;
    this.#next = null;
    return this.#look();
  }

  async #look(): Promise<boolean> {
    const beganMs = this.#now();
    const isUp = await this.#isUp();
    if (isUp) this.#upMs = beganMs;
    return isUp;
  }
}
