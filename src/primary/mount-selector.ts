// Selects the primary's mount to read through. The mount with GlusterFS's and the kernel's caches is several times as fast,
// but its answers may be two seconds old. The mount without caches is always current. Recent changes need the uncached mount,
// because no later changelog names them. For older changes both mounts give the same answers.

/** One second of cache in the kernel, one in GlusterFS, one for the changelog's time in whole seconds, and a margin for a
 *  busy machine. */
const CACHE_LIFETIME_MS = 10_000;

export interface MountDirs {
  readonly cached: string;
  readonly uncached: string;
}

export class MountSelector {
  readonly #dirs: MountDirs;
  #uncachedUntilMs = 0;

  constructor(dirs: MountDirs) {
    this.#dirs = dirs;
  }

  /** Announces that changes up to `time`, seconds, will be read: the time at which a changelog closed. */
  expectChangesUntil(time: number): void {
    this.#uncachedUntilMs = Math.max(this.#uncachedUntilMs, time * 1000 + CACHE_LIFETIME_MS);
  }

  mountDir(nowMs: number = Date.now()): string {
    return nowMs < this.#uncachedUntilMs ? this.#dirs.uncached : this.#dirs.cached;
  }
}
