// Whether a mount's ENOENT can be believed. While a part of a volume is down, GlusterFS's client answers ENOENT for what
// lives there: a worker that took it for gone would leave its data behind, or remove it from the secondary. A brick
// that was away answers again seconds later, so a look now and then misses no absence. Used by mount.ts.

import { constants } from 'node:os';

const { EAGAIN } = constants.errno;
const LOOK_MS = 1_000;
/** What was asked just before a brick came back may be answered just after. */
const DOUBT_MS = 3_000;

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
  #lastDownMs = -Infinity;
  #looking: Promise<void> | null = null;
  #next: Promise<void> | null = null;
  #timer: NodeJS.Timeout | undefined;

  /** @param isUp asks the mount whether all of the volume is up */
  constructor(isUp: () => Promise<boolean>, now: () => number = () => performance.now()) {
    this.#isUp = isUp;
    this.#now = now;
  }

  start(): void {
    this.#timer = setInterval(() => void this.#lookNow().catch(() => undefined), LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Whether something that was not found before this call is not there. */
  async believes(): Promise<boolean> {
    await this.#lookNow();
    return this.#now() - this.#lastDownMs >= DOUBT_MS;
  }

  /** A look that begins after this call; all who call meanwhile share it. */
  #lookNow(): Promise<void> {
    this.#next ??= (this.#looking ?? Promise.resolve()).catch(() => undefined).then(() => {
      this.#looking = this.#next;
      this.#next = null;
      return this.#look();
    });
    return this.#next;
  }

  async #look(): Promise<void> {
    if (!(await this.#isUp())) this.#lastDownMs = this.#now();
  }
}
