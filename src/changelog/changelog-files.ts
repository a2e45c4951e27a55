// The changelog files of a brick: locates listed changelogs, and finds those that the index does not list. A brick
// leaves an unlisted changelog at every restart (measured with GlusterFS 10.3). It closes the changelog that was open
// when it went down as `CHANGELOG.<seconds>`. It does so before it opens the index, and never lists the changelog. The
// stock consumer loses its changes.

import { access, lstat, readdir } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import type { HtimeEntry } from './htime.js';

/** Name of the open changelog in the changelog directory. */
export const OPEN_CHANGELOG = 'CHANGELOG';
/** Name of a closed changelog, with its time. */
export const CHANGELOG_NAME = /^CHANGELOG\.(\d+)$/;
const DATED_PATH = /\/\d{4}\/\d\d\/\d\d\/[^/]+$/;
const DAY_S = 86_400;
const MAX_CACHED_LISTINGS = 4;
/** Time from a clock that is set back to the next index entry: at most a restart of the brick and an interval. */
const MAX_RESTART_S = 300;

export class ChangelogFiles {
  readonly #dir: string;
  readonly #listings = new Map<string, { readonly mtimeMs: number; readonly times: readonly number[] }>();

  /** @param dir the changelog directory, `<brick>/.glusterfs/changelogs` */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @returns the path of a listed changelog, null if it is missing. The changelog is in this brick's dated layout
   *  (GlusterFS 7 and later), in its flat layout, or at the listed path. The brick may no longer have the listed path. */
  async locate(entry: HtimeEntry): Promise<string | null> {
    const name = `CHANGELOG.${entry.time}`;
    const candidates = [
      join(this.#dir, dayPath(entry.time), name),
      join(this.#dir, name),
      isAbsolute(entry.path) ? entry.path : join(this.#dir, entry.path),
    ];
    for (const path of candidates) {
      try {
        await access(fsEncode(path));
        return path;
      } catch (error) {
        const code = errnoCode(error);
        if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
      }
    }
    return null;
  }

  /** Whether there are changelogs, listed or not, that closed after `time`, seconds. */
  async existAfter(time: number): Promise<boolean> {
    return (await this.#listBetween(time, Math.max(time, Date.now() / 1000) + DAY_S, 'both')).length > 0;
  }

  /** Unlisted changelogs around a clock that was set back. Those in `before` closed after `last`, by the old clock.
   *  Those in `after` closed before `first`, by the new clock. If one of them closed long before `first`, its mtime
   *  must be later than its name: the brick wrote it by the old clock. `after` may include changelogs that earlier
   *  restarts closed. */
  async findUnlistedAtSetBack(
    lastTime: number,
    firstTime: number,
    listedTimes: ReadonlySet<number>,
  ): Promise<{ before: HtimeEntry[]; after: HtimeEntry[] }> {
    const unlisted = async (after: number, before: number): Promise<HtimeEntry[]> =>
      (await this.#listBetween(after, before, 'both')).filter(({ time }) => !listedTimes.has(time));
    const candidates = await unlisted(firstTime - DAY_S, firstTime);
    const isAccepted = await Promise.all(
      candidates.map(
        async ({ path, time }) =>
          time > firstTime - MAX_RESTART_S || (await lstat(fsEncode(path))).mtimeMs > (time + 1) * 1000,
      ),
    );
    return { before: await unlisted(lastTime, lastTime + DAY_S), after: candidates.filter((_, i) => isAccepted[i]) };
  }

  /** Merges existing but unlisted changelogs into `entries`, which are neighbours in the index and follow an entry at
   *  `time`. If the clock was set back, changelogs that the index lists elsewhere can lie between these times.
   *  @param loadListedTimes times of all listed changelogs; called only if there are candidates */
  async mergeUnlisted(
    time: number,
    entries: readonly HtimeEntry[],
    loadListedTimes: () => Promise<ReadonlySet<number>>,
  ): Promise<HtimeEntry[]> {
    const entryTimes = new Set(entries.map((entry) => entry.time));
    const lastTime = Math.max(time, ...entryTimes);
    const layout = entries.every(({ path }) => DATED_PATH.test(path)) ? 'dated' : 'both';
    const candidates = (await this.#listBetween(time, lastTime, layout)).filter((found) => !entryTimes.has(found.time));
    const listedTimes = candidates.length > 0 ? await loadListedTimes() : entryTimes;
    const unlisted = candidates.filter((found) => !listedTimes.has(found.time));
    const merged: HtimeEntry[] = [];
    let next = 0;
    for (const entry of entries) {
      for (let found = unlisted[next]; found !== undefined && found.time < entry.time; found = unlisted[++next]) {
        merged.push(found);
      }
      merged.push(entry);
    }
    return merged;
  }

  /** Changelogs with a time strictly between the two, in order of time. */
  async #listBetween(after: number, before: number, layout: 'dated' | 'both'): Promise<HtimeEntry[]> {
    const found = new Map<number, HtimeEntry>();
    const lastDay = Math.floor(before / DAY_S);
    const dirs = layout === 'both' ? [this.#dir] : [];
    for (let day = Math.floor(after / DAY_S); day <= lastDay; day += 1)
      dirs.push(join(this.#dir, dayPath(day * DAY_S)));
    for (const dir of dirs) {
      for (const time of await this.#listTimes(dir, before)) {
        if (time > after && time < before)
          found.set(time, { path: join(dir, `CHANGELOG.${time}`), time, isEmpty: false });
      }
    }
    return [...found.values()].sort((a, b) => a.time - b.time);
  }

  /** Times of the changelogs in a directory; complete for times before `before`. A cached listing is used if the
   *  directory's mtime is unchanged and the listing reaches `before`, since changelogs appear in order of time. */
  async #listTimes(dir: string, before: number): Promise<readonly number[]> {
    const { mtimeMs } = await lstat(fsEncode(dir)).catch(() => ({ mtimeMs: 0 }));
    const cached = this.#listings.get(dir);
    if (cached?.mtimeMs === mtimeMs && before <= (cached.times.at(-1) ?? 0)) return cached.times;
    const times = (await listDirectory(dir)).flatMap((name) => CHANGELOG_NAME.exec(name)?.[1] ?? []).map(Number);
    times.sort((a, b) => a - b);
    this.#listings.delete(dir);
    this.#listings.set(dir, { mtimeMs, times });
    for (const oldest of this.#listings.keys()) {
      if (this.#listings.size <= MAX_CACHED_LISTINGS) break;
      this.#listings.delete(oldest);
    }
    return times;
  }
}

/** `YYYY/MM/DD` in UTC. */
function dayPath(time: number): string {
  return new Date(time * 1000).toISOString().slice(0, 10).replaceAll('-', '/');
}

async function listDirectory(dir: string): Promise<string[]> {
  try {
    return (await readdir(fsEncode(dir), { encoding: 'buffer' })).map(fsDecode);
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}
