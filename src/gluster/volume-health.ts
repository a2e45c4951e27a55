// Whether a mount sees all of its volume: every subvolume is up, and every set of replicas has its quorum. GlusterFS tells
// the former in one attribute. A set that lost its quorum counts as up there, refuses to answer (ENOTCONN), and beside
// others the mount makes an ENOENT of that as often as not; only the mount's own description of itself, `.meta`, has it.
// Both are answered by the client alone, without the bricks. Used by mount.ts and the daemon's secondary.

import { readFile, readdir, readlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { fsEncode } from '../names.js';
import { errnoNumber } from '../native/libc.js';
import { statusIsUp } from './mount-ready.js';
import { retryErrnos } from './retry.js';

const { ENOENT, ESTALE } = constants.errno;
const REPLICATE = /-replicate-\d+$/;

export class VolumeHealth {
  readonly #dir: string;
  /** Of the graph that was active when they were looked for. */
  #sets: { readonly graph: string; readonly states: readonly string[] } | null = null;

  /** @param dir absolute path of the mount's root */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** @throws nothing for a part that is down; what GlusterFS does not tell counts as up */
  async isWhole(): Promise<boolean> {
    return (await statusIsUp(this.#dir)) && this.#haveQuorum();
  }

  async #haveQuorum(): Promise<boolean> {
    try {
      const states = await this.#states();
      const texts = await Promise.all(states.map((path) => retryErrnos(() => readFile(fsEncode(path), 'latin1'), [ESTALE])));
      return texts.every((text) => !/^up = 0$/m.test(text));
    } catch (error) {
      if (errnoNumber(error) === undefined) throw error;
      return true;
    }
  }

  /** Files that describe the sets. One set alone says ENOTCONN itself. The graph is another one after each change of the volume. */
  async #states(): Promise<readonly string[]> {
    const graphs = `${this.#dir}/.meta/graphs`;
    const graph = await retryErrnos(() => readlink(fsEncode(`${graphs}/active`), 'latin1'), [ESTALE]);
    if (this.#sets?.graph !== graph) {
      const dir = `${graphs}/${graph}`;
      const names = (await retryErrnos(() => readdir(fsEncode(dir)), [ESTALE, ENOENT])).filter((name) => REPLICATE.test(name));
      this.#sets = { graph, states: names.length < 2 ? [] : names.map((name) => `${dir}/${name}/private`) };
    }
    return this.#sets.states;
  }
}
