// Which of the primary's mounts is read through. One with GlusterFS's and the kernel's caches is several times as fast,
// and answers from up to two seconds ago; one without them is right at once. What has changed just now needs the
// latter, since no later changelog names it; anything else is as right through the former.

/** A second each in the kernel and in GlusterFS, a changelog's time in whole seconds, and what a busy machine takes longer. */
const CACHED_FOR_MS = 10_000;

export interface MountDirs {
  readonly cached: string;
  readonly uncached: string;
}

export class MountSelector {
  readonly #dirs: MountDirs;
  #neededUntilMs = 0;

  constructor(dirs: MountDirs) {
    this.#dirs = dirs;
  }

  /** What was changed until `time`, in seconds, is going to be read: a changelog's that closed then. */
  changed(time: number): void {
    this.#neededUntilMs = Math.max(this.#neededUntilMs, time * 1000 + CACHED_FOR_MS);
  }

  /** Mount to read through now. */
  mountDir(nowMs: number = Date.now()): string {
    return nowMs < this.#neededUntilMs ? this.#dirs.uncached : this.#dirs.cached;
  }
}
