// Which of the primary's mounts data is read through. A mount with GlusterFS's and the kernel's caches is several times as
// fast, and of a file that it has read before it may give the old content with the new time, seconds after a change
// (measured with rsync and with tar: up to a quarter of 1,000 files that were written to again; none without caches). So it
// serves for what is read once: the first walk, whose files journals name again when they change.

export interface MountDirs {
  readonly cached: string;
  readonly uncached: string;
}

export class Freshness {
  readonly #dirs: MountDirs;
  #readsAgain = false;

  constructor(dirs: MountDirs) {
    this.#dirs = dirs;
  }

  /** From now on files are read that may have been read before. */
  readAgain(): void {
    this.#readsAgain = true;
  }

  /** Mount to read data through now. */
  mountDir(): string {
    return this.#readsAgain ? this.#dirs.uncached : this.#dirs.cached;
  }
}
