// The demo: replicates a directory to another one with the real worker, as an ordinary user, with nothing but Node.
// Makes a tree, lets the first sync run, changes files while the worker runs, kills it once in the middle, and at the
// end compares both trees in full. Used by the demo command.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GsyncdError } from '../errors.js';
import { spawnDaemonChild, type DaemonChild } from '../process/spawn.js';
import { DemoTree } from './changes.js';
import { compareTrees, type Comparison } from './compare.js';
import { DemoView, type DemoViewOptions } from './view.js';

export interface DemoOptions {
  /** The program that runs the worker: argv without the worker's arguments. */
  readonly program: readonly string[];
  readonly seconds: number;
  readonly seed: number;
  /** Keep both trees and the log. */
  readonly keep: boolean;
  readonly view: DemoViewOptions;
}

const CONVERGE_MS = 60_000;
const PAUSE_MS = 20;

/** @throws GsyncdError when the trees differ at the end, or the worker ends by itself */
export async function runDemo(options: DemoOptions): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'gsyncd-ts-demo-'));
  const demo = new Demo(dir, options);
  try {
    await demo.run();
  } finally {
    await demo.end('SIGKILL');
    if (options.keep) options.view.print(`kept: ${dir}`);
    else await rm(dir, { recursive: true, force: true });
  }
}

class Demo {
  readonly #options: DemoOptions;
  readonly #primary: string;
  readonly #secondary: string;
  readonly #stateDir: string;
  readonly #view: DemoView;
  #worker: DaemonChild | null = null;
  #fault: string | null = null;

  constructor(dir: string, options: DemoOptions) {
    this.#options = options;
    this.#primary = join(dir, 'primary');
    this.#secondary = join(dir, 'secondary');
    this.#stateDir = join(dir, 'state');
    this.#view = new DemoView(this.#stateDir, options.view);
  }

  async run(): Promise<void> {
    const { seed, seconds } = this.#options;
    const print = (line: string): void => this.#view.say(line);
    await mkdir(this.#stateDir);
    await mkdir(this.#primary);
    await mkdir(this.#secondary);
    const tree = new DemoTree(this.#primary, seed);
    print(`a tree of ${tree.build()} names in ${this.#primary}`);
    print(`gsyncd-ts worker file://${this.#primary} file://${this.#secondary}`);
    const startMs = performance.now();
    await this.#start();
    await this.#until(() => existsSync(join(this.#secondary, 'directory 0', 'file 1')), 'the first file');
    print(`first replicated file after ${inSeconds(performance.now() - startMs)} s`);
    const first = await this.#converged();
    print(`first sync: ${first.counts.files} files equal on both sides after ${inSeconds(performance.now() - startMs)} s`);

    print(`changing files for ${seconds} s, with the worker at work`);
    const liveMs = performance.now();
    let isKilled = false;
    while (!isKilled || performance.now() - liveMs < seconds * 1000) {
      for (let i = 0; i < 5; i += 1) tree.change();
      await this.#view.show();
      await delay(PAUSE_MS);
      if (isKilled || performance.now() - liveMs < seconds * 500) continue;
      isKilled = true;
      await this.end('SIGKILL');
      for (let i = 0; i < 100; i += 1) tree.change();
      print('killed the worker (SIGKILL), made 100 changes without it, and start it again');
      await this.#start();
    }
    const { counts } = await this.#converged();
    await this.end('SIGTERM');
    const names = counts.files + counts.directories + counts.symlinks + counts.others;
    print(`demo: equal: ${names} names (${counts.files} files, ${counts.directories} directories, ${counts.symlinks} symlinks), ${counts.bytes} bytes, after ${tree.operations} live changes and one kill`);
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const worker = this.#worker;
    this.#worker = null;
    worker?.kill(signal);
    await worker?.exited;
  }

  async #start(): Promise<void> {
    const argv = [...this.#options.program, 'worker', `file://${this.#primary}`, `file://${this.#secondary}`, '--state-dir', this.#stateDir];
    const worker = await spawnDaemonChild(argv);
    this.#worker = worker;
    void worker.exited.then(({ stderrTail }) => {
      if (this.#worker === worker) this.#fault = stderrTail.trim().split('\n').at(-1) ?? '';
    });
  }

  async #converged(): Promise<Comparison> {
    let comparison = compareTrees(this.#primary, this.#secondary);
    await this.#until(() => {
      comparison = compareTrees(this.#primary, this.#secondary);
      return comparison.differences.length === 0;
    }, () => `equal trees: ${comparison.differences.length} differences, the first: ${comparison.differences[0]}`);
    return comparison;
  }

  async #until(holds: () => boolean, what: string | (() => string)): Promise<void> {
    const deadlineMs = performance.now() + CONVERGE_MS;
    while (!holds()) {
      if (this.#fault !== null) throw new GsyncdError(`demo: the worker ended: ${this.#fault}`, { code: 'fault' });
      if (performance.now() > deadlineMs) throw new GsyncdError(`demo: waited in vain for ${typeof what === 'string' ? what : what()}`, { code: 'fault' });
      await this.#view.show();
      await delay(PAUSE_MS);
    }
  }
}

function inSeconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
