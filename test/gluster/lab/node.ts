// A node of a Cluster: a machine inside a box (see node.sh) with a glusterd of its own. It can lose its power and its
// link, and come back with its disks as they were. Ends with the box.
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';
import type { Box } from './box.js';
import { childrenOf, Machine, onlyChild } from './machine.js';
import type { ExecResult } from './machine.js';
import { until } from './wait.js';

export class Node extends Machine {
  readonly name: string;
  readonly address: string;
  readonly #box: Box;
  #holder: ChildProcess | undefined;
  #initPid: number | undefined;
  #lostPower = false;

  constructor(box: Box, name: string, address: string) {
    super();
    this.#box = box;
    this.name = name;
    this.address = address;
  }

  protected override initPid(): number {
    if (this.#initPid === undefined) throw new Error(`node ${this.name}: it is down`);
    return this.#initPid;
  }

  override get up(): boolean {
    return this.#initPid !== undefined;
  }

  /** Whether it was ever crashed: its /tmp outlasts that, and the secondaries' list of mount points in /run does not. */
  get lostPower(): boolean {
    return this.#lostPower;
  }

  /** Boots it and its glusterd, which starts the bricks it knows of. */
  async boot(): Promise<void> {
    if (this.up) return;
    const argv = ['bash', path.join(import.meta.dirname, 'node.sh'), this.name, this.address];
    const holder = this.#box.start(argv, { BOX_STATE: this.#box.state });
    let said = '';
    holder.stderr?.on('data', (chunk: Buffer) => (said += chunk.toString()));
    await new Promise<void>((resolve, reject) => {
      holder.once('exit', (code) => reject(new Error(`node ${this.name}: exit code ${code}\n${said}`)));
      createInterface({ input: holder.stdout! }).on('line', (line) => line === 'ready' && resolve());
    });
    const [unshare] = await childrenOf(holder.pid!);
    this.#initPid = await onlyChild(unshare!, 'bash');
    this.#holder = holder;
    await this.#startGlusterd();
  }

  async #startGlusterd(): Promise<void> {
    await this.exec(['glusterd']);
    await until(`glusterd of ${this.name}`, async () => (await this.gluster(['pool', 'list'], 'return')).code === 0);
  }

  /** Restarts glusterd, so that it reads its configuration again. Bricks keep running. */
  async restartGlusterd(): Promise<void> {
    await this.sh('pkill -x glusterd; while pgrep -x glusterd >/dev/null; do sleep 0.1; done', '/');
    await this.#startGlusterd();
  }

  /** Cuts its power: every process of it is gone when this returns. */
  async crash(): Promise<void> {
    const holder = this.#holder;
    if (holder === undefined) return;
    const gone = new Promise<void>((resolve) => holder.once('exit', () => resolve()));
    process.kill(this.initPid(), 'SIGKILL');
    this.#holder = this.#initPid = undefined;
    this.#lostPower = true;
    await gone;
  }

  /** Waits until it sees `count` other nodes in its pool. */
  async untilPeers(count: number): Promise<void> {
    await until(`peers of ${this.name}`, async () => {
      const { stdout } = await this.gluster(['pool', 'list']);
      return (stdout.match(/\sConnected\s/g) ?? []).length === count + 1;
    });
  }

  gluster(args: readonly string[], onFailure: 'throw' | 'return' = 'throw'): Promise<ExecResult> {
    return this.exec(['gluster', '--mode=script', ...args], { onFailure, timeoutMs: 130_000 });
  }
}
