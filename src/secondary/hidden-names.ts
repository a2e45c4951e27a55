// What a volume of several sets of replicas says is not there, and is. Of a name on which the copies disagree (split-brain)
// its set says ENOTCONN and the others ENOENT, and GlusterFS's client passes on whichever set answers last. A directory
// still lists such a name; of an inode only asking again tells, since the order changes, and it may stay the same for some
// time. Used by whole-volume.ts, for answers from which something follows.

import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { GFID_PREFIX } from '../gluster/gfid.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import type { SecondaryVolume } from './volume.js';

const { EIO, ENOENT, ENOTDIR, ESTALE } = constants.errno;
const ABSENT: readonly number[] = [ENOENT, ENOTDIR, ESTALE];
/** With pauses in between, 20 ms for an inode that is not there. */
const MAX_TRIES = 32;
const PAUSE_AFTER = 4;
const MAX_PAUSE_MS = 3;
/** Names are taken away one after the other: a list that does not have them counts for so long, and for so many times what
 *  it took. */
const LIST_COUNTS_MS = 2_000;
const LIST_COUNTS_TIMES = 5;

export class HiddenNames {
  readonly #volume: Pick<SecondaryVolume, 'lstat' | 'readdir'>;
  readonly #now: () => number;
  #list: { readonly dir: string; countsUntilMs: number; readonly names: Promise<Set<string>> } | undefined;

  constructor(volume: Pick<SecondaryVolume, 'lstat' | 'readdir'>, now: () => number = () => performance.now()) {
    this.#volume = volume;
    this.#now = now;
  }

  /** False when `path` is there after all. @throws EIO when it is hidden; the volume's errors */
  async isAbsent(path: string): Promise<boolean> {
    const { dir, name } = split(path);
    const isListed = `${dir}/` !== GFID_PREFIX;
    if (isListed && !(await this.#lists(dir, name))) return true;
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      try {
        await this.#volume.lstat(path);
        return false;
      } catch (error) {
        if (!ABSENT.includes(errnoNumber(error) ?? 0)) throw error;
      }
      if (tries % PAUSE_AFTER === PAUSE_AFTER - 1) await delay(Math.random() * MAX_PAUSE_MS);
    }
    if (isListed) throw new NativeError('its directory lists it, and it is not to be found', path, EIO);
    return true;
  }

  /** To be called after a name was made, or may have been: no list counts for it that is older. */
  made(path: string): void {
    const { dir, name } = split(path);
    const list = this.#list;
    if (list?.dir === dir) list.names.then((names) => names.add(name), () => undefined);
    else if (list !== undefined && !(dir.startsWith(GFID_PREFIX) && list.dir.startsWith(GFID_PREFIX))) this.#list = undefined;
  }

  async #lists(dir: string, name: string): Promise<boolean> {
    const last = this.#list;
    if (last?.dir === dir && this.#now() < last.countsUntilMs && !(await last.names).has(name)) return false;
    const beganMs = this.#now();
    const list = { dir, countsUntilMs: Infinity, names: this.#read(dir) };
    this.#list = list;
    try {
      return (await list.names).has(name);
    } finally {
      list.countsUntilMs = this.#now() + Math.max(LIST_COUNTS_MS, LIST_COUNTS_TIMES * (this.#now() - beganMs));
    }
  }

  async #read(dir: string): Promise<Set<string>> {
    try {
      return new Set(await this.#volume.readdir(dir));
    } catch (error) {
      if (!ABSENT.includes(errnoNumber(error) ?? 0) || dir === '.') throw error;
      if (await this.isAbsent(dir)) return new Set();
      throw new NativeError('it is there, and cannot be listed', dir, EIO);
    }
  }
}

/** The directory of a path, and the name in it. */
function split(path: string): { dir: string; name: string } {
  const slash = path.lastIndexOf('/');
  return { dir: slash < 0 ? '.' : path.slice(0, slash), name: path.slice(slash + 1) };
}
