// Whether a mount sees the whole volume: every subvolume is up, and every replica set has quorum. One xattr of the mount
// reports the subvolumes. There, a set without quorum is still up, although it answers ENOTCONN. If the volume has other
// sets, the mount often turns that into ENOENT. Only the mount's description of itself, `.meta`, shows the lost quorum. The
// client alone answers both queries, without the bricks. An ENOTCONN does not always concern the volume: for a name in
// split-brain, a set also answers ENOTCONN while the whole volume is up.

import { readFile, readdir, readlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { fsEncode } from '../names.js';
import { errnoNumber } from '../native/libc.js';
import { areSubvolumesUp } from './mount-ready.js';
import { retryErrnos } from './retry.js';

const { ENOENT, ESTALE } = constants.errno;
const REPLICATE = /-replicate-\d+$/;
const REDUNDANT = /-(?:replicate|disperse)-\d+$/;

interface Graph {
  readonly dir: string;
  /** Names of its translators. */
  readonly names: readonly string[];
}

export class VolumeHealth {
  readonly #dir: string;
  #graph: Graph | null = null;

  /** @param dir absolute path of the mount's root */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @returns true where GlusterFS does not report the state
   *  @throws nothing for a subvolume that is down */
  async isWhole(): Promise<boolean> {
    return (await areSubvolumesUp(this.#dir)) && (await this.#haveQuorum(2)) !== 'no';
  }

  /** Whether the volume is up, so that an ENOTCONN has another cause.
   *  @returns false where GlusterFS does not report the state
   *  @throws nothing */
  async isReachable(): Promise<boolean> {
    return (await areSubvolumesUp(this.#dir)) && (await this.#haveQuorum(1)) === 'yes';
  }

  /** Whether each file is on one brick or on several.
   *  @returns 'one' where GlusterFS does not report it
   *  @throws nothing */
  async bricksPerFile(): Promise<'one' | 'several'> {
    try {
      return (await this.#activeGraph()).names.some((name) => REDUNDANT.test(name)) ? 'several' : 'one';
    } catch (error) {
      if (errnoNumber(error) === undefined) throw error;
      return 'one';
    }
  }

  /** @param minSets fewer sets are not checked: a single set answers ENOTCONN to every call */
  async #haveQuorum(minSets: number): Promise<'yes' | 'no' | 'unknown'> {
    try {
      const files = await this.#quorumFiles();
      if (files.length < minSets) return 'yes';
      const texts = await Promise.all(
        files.map((path) => retryErrnos(() => readFile(fsEncode(path), 'latin1'), [ESTALE])),
      );
      return texts.every((text) => !/^up = 0$/m.test(text)) ? 'yes' : 'no';
    } catch (error) {
      if (errnoNumber(error) === undefined) throw error;
      return 'unknown';
    }
  }

  /** Files that describe the replica sets. */
  async #quorumFiles(): Promise<readonly string[]> {
    const { dir, names } = await this.#activeGraph();
    return names.filter((name) => REPLICATE.test(name)).map((name) => `${dir}/${name}/private`);
  }

  /** Translators of the active graph. Each change of the volume creates a new graph. */
  async #activeGraph(): Promise<Graph> {
    const graphs = `${this.#dir}/.meta/graphs`;
    const active = await retryErrnos(() => readlink(fsEncode(`${graphs}/active`), 'latin1'), [ESTALE]);
    const dir = `${graphs}/${active}`;
    if (this.#graph?.dir !== dir)
      this.#graph = { dir, names: await retryErrnos(() => readdir(fsEncode(dir)), [ESTALE, ENOENT]) };
    return this.#graph;
  }
}
