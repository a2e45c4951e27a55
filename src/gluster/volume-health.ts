// Whether a mount sees all of its volume: every subvolume is up, and every set of replicas has its quorum. GlusterFS tells the
// former in one attribute. A set that lost its quorum counts as up there, refuses to answer (ENOTCONN), and beside others the
// mount makes an ENOENT of that as often as not; only the mount's own description of itself, `.meta`, has it. Both are
// answered by the client alone, without the bricks. An ENOTCONN is not always the volume's: of a name on which the copies
// disagree (split-brain) a set says the same while all of it is up.

import { readFile, readdir, readlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { fsEncode } from '../names.js';
import { errnoNumber } from '../native/libc.js';
import { statusIsUp } from './mount-ready.js';
import { retryErrnos } from './retry.js';

const { ENOENT, ESTALE } = constants.errno;
const REPLICATE = /-replicate-\d+$/;
const COPIES = /-(?:replicate|disperse)-\d+$/;

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

  /** @throws nothing for a part that is down; what GlusterFS does not tell counts as up */
  async isWhole(): Promise<boolean> {
    return (await statusIsUp(this.#dir)) && (await this.#haveQuorum(2)) !== 'no';
  }

  /** Whether an ENOTCONN cannot be the volume's, which is up. @throws nothing; what GlusterFS does not tell counts as down */
  async isReachable(): Promise<boolean> {
    return (await statusIsUp(this.#dir)) && (await this.#haveQuorum(1)) === 'yes';
  }

  /** Whether each file is on one brick or on several. @throws nothing; 'one' where GlusterFS does not tell */
  async bricksOfFile(): Promise<'one' | 'several'> {
    try {
      return (await this.#translators()).names.some((name) => COPIES.test(name)) ? 'several' : 'one';
    } catch (error) {
      if (errnoNumber(error) === undefined) throw error;
      return 'one';
    }
  }

  /** @param fromSets fewer sets are not looked at: one that is alone answers ENOTCONN to every call */
  async #haveQuorum(fromSets: number): Promise<'yes' | 'no' | 'unknown'> {
    try {
      const states = await this.#states();
      if (states.length < fromSets) return 'yes';
      const texts = await Promise.all(states.map((path) => retryErrnos(() => readFile(fsEncode(path), 'latin1'), [ESTALE])));
      return texts.every((text) => !/^up = 0$/m.test(text)) ? 'yes' : 'no';
    } catch (error) {
      if (errnoNumber(error) === undefined) throw error;
      return 'unknown';
    }
  }

  /** Files that describe the sets. */
  async #states(): Promise<readonly string[]> {
    const { dir, names } = await this.#translators();
    return names.filter((name) => REPLICATE.test(name)).map((name) => `${dir}/${name}/private`);
  }

  /** Translators of the active graph. Each change of the volume makes a new graph. */
  async #translators(): Promise<Graph> {
    const graphs = `${this.#dir}/.meta/graphs`;
    const active = await retryErrnos(() => readlink(fsEncode(`${graphs}/active`), 'latin1'), [ESTALE]);
    const dir = `${graphs}/${active}`;
    if (this.#graph?.dir !== dir) this.#graph = { dir, names: await retryErrnos(() => readdir(fsEncode(dir)), [ESTALE, ENOENT]) };
    return this.#graph;
  }
}
