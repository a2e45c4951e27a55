// A primary and a secondary directory with a worker between them, which runs as a process of its own so that it can be
// killed. The worker is the built one.

import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { compareTrees, type Comparison } from '../../src/demo/compare.js';

const PROGRAM = join(import.meta.dirname, '../../bin/gsyncd-ts.js');

export class Pair {
  readonly dir = mkdtempSync(join(tmpdir(), 'gsyncd-embedded-'));
  readonly a = join(this.dir, 'a');
  readonly b = join(this.dir, 'b');
  readonly #args: readonly string[];
  #worker: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();

  constructor(args: readonly string[] = []) {
    this.#args = args;
    mkdirSync(this.a);
    mkdirSync(this.b);
  }

  start(): void {
    const argv = ['worker', `file://${this.a}`, `file://${this.b}`, '--state-dir', join(this.dir, 'state'), ...this.#args];
    const worker = spawn(process.execPath, [PROGRAM, ...argv], { stdio: ['ignore', 'ignore', 'inherit'] });
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#worker?.kill(signal);
    await this.#exited;
    this.#worker = null;
  }

  get isRunning(): boolean {
    return this.#worker !== null && this.#worker.exitCode === null && this.#worker.signalCode === null;
  }

  get log(): string {
    const file = join(this.dir, 'state', 'gsyncd.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** Waits until both trees are equal. @returns the last comparison */
  async converged(timeoutMs: number): Promise<Comparison> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const comparison = compareTrees(this.a, this.b);
      if (comparison.differences.length === 0 || Date.now() >= deadline || !this.isRunning) return comparison;
      await delay(200);
    }
  }

  async remove(): Promise<void> {
    await this.end('SIGKILL');
    open(this.dir);
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Gives an ordinary user's closed directories their rights back, so that they can be removed. */
function open(dir: string): void {
  if (process.geteuid?.() !== 0) chmodSync(dir, 0o700);
  for (const name of readdirSync(dir, { encoding: 'buffer' })) {
    const path = Buffer.concat([Buffer.from(`${dir}/`), name]);
    if (process.geteuid?.() !== 0 && lstatSync(path).isDirectory()) open(path.toString('latin1') === path.toString('utf8') ? path.toString('utf8') : path.toString('latin1'));
  }
}
