// The demo: makes a tree, waits for the first sync of a real worker, and changes files while the worker runs. It kills the
// worker once in the middle, and compares both trees in full at the end. The demo command makes two directories, and needs
// only Node and an ordinary user; `npm run demo:gluster` uses mounts of two volumes.

import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { GsyncdError } from '../errors.js';
import { spawnDaemonChild, type DaemonChild } from '../process/spawn.js';
import { DemoTree } from './demo-tree.js';
import { compareTrees, type Comparison } from './compare.js';
import { DemoView, type DemoViewOptions } from './view.js';

export interface DemoOptions {
  /** Command of the program, without `worker` and its arguments. */
  readonly program: readonly string[];
  readonly seconds: number;
  readonly seed: number;
  /** Keep both trees and the state directory. */
  readonly keep: boolean;
  readonly view: DemoViewOptions;
}

/** Directories of a demo. All of them exist and are empty. */
export interface DemoPlaces {
  readonly primary: string;
  readonly secondary: string;
  /** Arguments of `gsyncd-ts worker`: all of them, and those that the demo prints. */
  readonly workerArgs: readonly string[];
  readonly shownArgs: readonly string[];
  /** Directory of the worker's status and progress. */
  readonly sessionDir: string;
  /** Names at the top of both trees that are not compared. Default: those of plain directories. */
  readonly skip?: readonly string[];
}

const CONDITION_TIMEOUT_MS = 90_000;
const POLL_INTERVAL_MS = 20;

/** Runs the demo on two new temporary directories. @throws as runDemoOn() */
export async function runDemo(options: DemoOptions): Promise<void> {
  const dir = await mkdtemp(join(tmpdir(), 'gsyncd-ts-demo-'));
  try {
    const [primary, secondary, sessionDir] = ['primary', 'secondary', 'state'].map((name) => join(dir, name)) as [
      string,
      string,
      string,
    ];
    for (const path of [primary, secondary, sessionDir]) await mkdir(path);
    const shownArgs = [`file://${primary}`, `file://${secondary}`];
    await runDemoOn(
      { primary, secondary, sessionDir, shownArgs, workerArgs: [...shownArgs, '--state-dir', sessionDir] },
      options,
    );
  } finally {
    if (options.keep) options.view.print(`kept: ${dir}`);
    else await rm(dir, { recursive: true, force: true });
  }
}

/** @throws GsyncdError if the trees differ at the end, or if the worker exits early or with an error */
export async function runDemoOn(places: DemoPlaces, options: Omit<DemoOptions, 'keep'>): Promise<void> {
  const demo = new Demo(places, options);
  try {
    await demo.run();
  } finally {
    await demo.endWorker('SIGKILL');
  }
}

class Demo {
  readonly #options: Omit<DemoOptions, 'keep'>;
  readonly #places: DemoPlaces;
  readonly #view: DemoView;
  #worker: DaemonChild | null = null;
  #workerError: string | null = null;

  constructor(places: DemoPlaces, options: Omit<DemoOptions, 'keep'>) {
    this.#options = options;
    this.#places = places;
    this.#view = new DemoView(places.sessionDir, options.view);
  }

  async run(): Promise<void> {
    const { seed, seconds } = this.#options;
    const { primary, secondary, shownArgs } = this.#places;
    const print = (line: string): void => this.#view.print(line);
    const tree = new DemoTree(primary, seed);
    print(`a tree of ${tree.build()} names in ${primary}`);
    print(`gsyncd-ts worker ${shownArgs.join(' ')}`);
    const startMs = performance.now();
    await this.#startWorker();
    await this.#waitFor(() => existsSync(join(secondary, 'directory 0', 'file 1')), 'the first file');
    print(`first replicated file after ${formatSeconds(performance.now() - startMs)} s`);
    const first = await this.#waitForEqualTrees();
    print(
      `first sync: ${first.counts.files} files equal on both sides after ${formatSeconds(performance.now() - startMs)} s`,
    );

    print(`changing files for ${seconds} s, with the worker at work`);
    const liveMs = performance.now();
    let isKilled = false;
    while (!isKilled || performance.now() - liveMs < seconds * 1000) {
      for (let i = 0; i < 5; i += 1) tree.change();
      await this.#view.showFrame();
      await delay(POLL_INTERVAL_MS);
      if (isKilled || performance.now() - liveMs < seconds * 500) continue;
      isKilled = true;
      await this.endWorker('SIGKILL');
      for (let i = 0; i < 100; i += 1) tree.change();
      print('killed the worker (SIGKILL), made 100 changes without it, and start it again');
      await this.#startWorker();
    }
    const { counts } = await this.#waitForEqualTrees();
    const code = await this.endWorker('SIGTERM');
    if (code !== 0)
      throw new GsyncdError(`demo: the worker, told to stop, ended with exit code ${code}`, { code: 'fault' });
    const names = counts.files + counts.directories + counts.symlinks + counts.others;
    print(
      `demo: equal: ${names} names (${counts.files} files, ${counts.directories} directories, ${counts.symlinks} symlinks), ${counts.bytes} bytes, after ${tree.changeCount} live changes and one kill`,
    );
  }

  /** @returns the worker's exit code; null if there is no worker or no code */
  async endWorker(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const worker = this.#worker;
    this.#worker = null;
    worker?.kill(signal);
    return (await worker?.exited)?.code ?? null;
  }

  async #startWorker(): Promise<void> {
    const worker = await spawnDaemonChild([...this.#options.program, 'worker', ...this.#places.workerArgs]);
    this.#worker = worker;
    void worker.exited.then(({ stderrTail }) => {
      if (this.#worker === worker) this.#workerError = stderrTail.trim().split('\n').at(-1) ?? '';
    });
  }

  async #waitForEqualTrees(): Promise<Comparison> {
    const { primary, secondary, skip } = this.#places;
    let comparison = compareTrees(primary, secondary, skip);
    await this.#waitFor(
      () => {
        comparison = compareTrees(primary, secondary, skip);
        return comparison.differences.length === 0;
      },
      () => `equal trees: ${comparison.differences.length} differences, the first: ${comparison.differences[0]}`,
    );
    return comparison;
  }

  async #waitFor(isDone: () => boolean, condition: string | (() => string)): Promise<void> {
    const deadlineMs = performance.now() + CONDITION_TIMEOUT_MS;
    while (!isDone()) {
      if (this.#workerError !== null)
        throw new GsyncdError(`demo: the worker ended: ${this.#workerError}`, { code: 'fault' });
      if (performance.now() > deadlineMs)
        throw new GsyncdError(
          `demo: timed out waiting for ${typeof condition === 'string' ? condition : condition()}`,
          { code: 'fault' },
        );
      await this.#view.showFrame();
      await delay(POLL_INTERVAL_MS);
    }
  }
}

function formatSeconds(ms: number): string {
  return (ms / 1000).toFixed(1);
}
