// Whether the process of one brick runs, as the client of a mount sees it. The mount's description of itself, `.meta`, has
// a directory for each connection to a brick. Without that process the brick records no changelogs, while a replica of the
// brick, or the rest of the volume, still answers.

import { readFile, readdir, readlink } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { fsDecode, fsEncode } from '../names.js';
import { errnoNumber } from '../native/libc.js';
import { retryErrnos } from './retry.js';

const { ENOENT, ENOTCONN, ESTALE } = constants.errno;
const CLIENT_NAME = /-client-\d+$/;
const POLL_MS = 1_000;
/** Number of checks in a row that must fail. A client needs 3 s to reconnect to a brick that was only restarted. */
const MAX_FAILED_CHECKS = 5;

export class OwnBrick {
  readonly #dir: string;
  readonly #host: string;
  readonly #path: string;
  /** Directory of the connection in the graph that was active at the lookup; null when the mount lists no such connection. */
  #connection: { readonly graph: string; readonly dir: string | null } | null = null;

  /** @param dir absolute path of the mount's root
   *  @param brick its node as the volume names it, and its path there */
  constructor(dir: string, brick: { readonly host: string; readonly path: string }) {
    this.#dir = dir;
    this.#host = brick.host;
    this.#path = brick.path;
  }

  /** Resolves when the brick has been down for MAX_FAILED_CHECKS checks in a row.
   *  @throws errors that are no system errors; the abort of `signal` */
  async waitUntilDown(signal: AbortSignal): Promise<void> {
    for (let failedChecks = 0; failedChecks < MAX_FAILED_CHECKS;) {
      failedChecks = (await this.isUp()) ? 0 : failedChecks + 1;
      if (failedChecks < MAX_FAILED_CHECKS) await delay(POLL_MS, undefined, { signal });
    }
  }

  /** Waits as long as waitUntilDown() for the brick to come up.
   *  @returns whether it is up */
  async waitUntilUp(signal: AbortSignal): Promise<boolean> {
    for (let failedChecks = 0; failedChecks < MAX_FAILED_CHECKS; failedChecks++) {
      if (await this.isUp()) return true;
      await delay(POLL_MS, undefined, { signal });
    }
    return false;
  }

  /** A brick that the mount does not list is reported as up.
   *  @throws nothing for a brick or a volume that is down */
  async isUp(): Promise<boolean> {
    try {
      const graph = await this.#retry(() => readlink(fsEncode(`${this.#dir}/.meta/graphs/active`), 'latin1'));
      if (this.#connection?.graph !== graph)
        this.#connection = { graph, dir: await this.#findConnection(`${this.#dir}/.meta/graphs/${graph}`) };
      const { dir } = this.#connection;
      return dir === null || !/^connected = 0$/m.test(await this.#readText(`${dir}/private`));
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === undefined) throw error;
      return errno !== ENOTCONN;
    }
  }

  async #findConnection(graph: string): Promise<string | null> {
    const clients = (await this.#retry(() => readdir(fsEncode(graph))))
      .filter((name) => CLIENT_NAME.test(name))
      .map((name) => `${graph}/${name}`);
    const paths = await Promise.all(clients.map((client) => this.#readText(`${client}/options/remote-subvolume`)));
    const withPath = clients.filter((_, i) => paths[i] === this.#path);
    if (withPath.length < 2) return withPath[0] ?? null;
    const hosts = await Promise.all(withPath.map((client) => this.#readText(`${client}/options/remote-host`)));
    return withPath.find((_, i) => hosts[i] === this.#host) ?? null;
  }

  async #readText(path: string): Promise<string> {
    return fsDecode(await this.#retry(() => readFile(fsEncode(path)))).replace(/\n$/, '');
  }

  #retry<T>(call: () => Promise<T>): Promise<T> {
    return retryErrnos(call, [ESTALE, ENOENT]);
  }
}
