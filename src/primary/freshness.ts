// Which of the primary's mounts data is read through. A mount with GlusterFS's and the kernel's caches is several
// times as fast, and may answer from up to two seconds ago; one without them is right at once. A transfer that
// starts just after a journal closed needs the latter, any other is as right with the former.

/** Caches of a second each in the kernel and in md-cache, and a journal's time is in whole seconds. */
const CACHED_FOR_MS = 4_000;

export interface MountDirs {
  readonly cached: string;
  readonly uncached: string;
}

export class Freshness {
  readonly #dirs: MountDirs;
  #neededUntilMs = 0;

  constructor(dirs: MountDirs) {
    this.#dirs = dirs;
  }

  /** A journal that closed at `changeTime`, seconds, is being processed. */
  journal(changeTime: number): void {
    this.#neededUntilMs = Math.max(this.#neededUntilMs, changeTime * 1000 + CACHED_FOR_MS);
  }

  /** Mount to read data through now. */
  mountDir(nowMs: number = Date.now()): string {
    return nowMs < this.#neededUntilMs ? this.#dirs.uncached : this.#dirs.cached;
  }
}
