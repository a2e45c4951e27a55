// A primary and a secondary directory with the built worker between them, in a separate process that tests can kill.

import { spawn, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { compareTrees, type Comparison } from '../../src/demo/compare.js';
import { parseProgress, type ProgressData } from '../../src/progress/progress-data.js';
import { FAILURES_FILE } from '../../src/status/failures.js';

const PROGRAM = join(import.meta.dirname, '../../bin/gsyncd-ts.js');
const CRASH_POINT = join(import.meta.dirname, 'crash-point.js');

/** Kills a worker at its N-th call that changes something; see crash-point.js. */
export interface CrashPoint {
  readonly calls: number;
  readonly side: 'before' | 'after';
}

export class Pair {
  readonly dir = mkdtempSync(join(tmpdir(), 'gsyncd-embedded-'));
  readonly a = join(this.dir, 'a');
  readonly b = join(this.dir, 'b');
  /** PATH of workers to be started; the tests' own unless set. */
  path: string | undefined = process.env['PATH'];
  /** --rollover-time of workers to be started; the default unless set. */
  rolloverS: number | undefined;
  readonly #args: string[];
  readonly #secondary: string;
  #stderr = '';
  #worker: ChildProcess | null = null;
  #exited: Promise<unknown> = Promise.resolve();

  /** @param secondary makes the worker's secondary argument from the secondary's path */
  constructor(args: readonly string[] = [], secondary: (path: string) => string = (path) => `file://${path}`) {
    this.#args = [...args];
    this.#secondary = secondary(this.b);
    mkdirSync(this.a);
    mkdirSync(this.b);
  }

  /** Sets options of workers that are started later. */
  configure(settings: Readonly<Record<string, string>>): void {
    const file = join(this.dir, 'gsyncd.conf');
    writeFileSync(
      file,
      `[vars]\n${Object.entries(settings)
        .map(([name, value]) => `${name} = ${value}\n`)
        .join('')}`,
    );
    this.#args.push('--config-file', file);
  }

  /** @param crash counted from the start of the process @param uid the user that runs it */
  start(crash?: CrashPoint, uid?: number): void {
    const argv = [
      'worker',
      `file://${this.a}`,
      this.#secondary,
      '--state-dir',
      join(this.dir, 'state'),
      ...(this.rolloverS === undefined ? [] : ['--rollover-time', String(this.rolloverS)]),
      ...this.#args,
    ];
    const env = {
      ...process.env,
      PATH: this.path,
      ...(crash === undefined ? {} : { GSYNCD_CRASH_AFTER: crashText(crash) }),
    };
    const worker = spawn(process.execPath, ['--import', CRASH_POINT, PROGRAM, ...argv], {
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      env,
      ...(uid === undefined ? {} : { uid, gid: uid }),
    });
    this.#stderr = '';
    worker.stderr?.on('data', (chunk: Buffer) => (this.#stderr = (this.#stderr + chunk.toString()).slice(-10_000)));
    this.#worker = worker;
    this.#exited = new Promise((resolve) => worker.once('exit', resolve));
  }

  /** Counts the running worker's calls from now on. */
  crashAt(crash: CrashPoint): void {
    this.#worker?.send(crashText(crash), () => undefined);
  }

  /** Runs `change` while SIGSTOP holds the worker, so that one scan sees all of it. */
  frozen(change: () => void): void {
    this.#worker?.kill('SIGSTOP');
    try {
      change();
    } finally {
      this.#worker?.kill('SIGCONT');
    }
  }

  /** The last 10,000 characters of the worker's stderr. */
  get stderr(): string {
    return this.#stderr;
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#worker?.kill(signal);
    await this.#exited;
    this.#worker = null;
  }

  /** Settles when the process that runs now has ended. */
  get exited(): Promise<unknown> {
    return this.#exited;
  }

  get isRunning(): boolean {
    return this.#worker !== null && this.#worker.exitCode === null && this.#worker.signalCode === null;
  }

  get log(): string {
    const file = join(this.dir, 'state', 'gsyncd.log');
    return existsSync(file) ? readFileSync(file, 'utf8') : '';
  }

  /** The lines of the failure list. */
  get failures(): string[] {
    return this.#state(FAILURES_FILE).flatMap((text) => text.split('\n').filter((line) => line !== ''));
  }

  /** The worker's progress file; null before it is written. */
  get progress(): ProgressData | null {
    const [text] = this.#state('.progress');
    return text === undefined ? null : parseProgress(text);
  }

  /** Contents of the files in the state directory whose names end with `ending`. */
  #state(ending: string): string[] {
    const dir = join(this.dir, 'state');
    if (!existsSync(dir)) return [];
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).filter((path) => path.endsWith(ending));
    return files.map((path) => readFileSync(join(dir, path), 'utf8'));
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
    open(Buffer.from(this.dir));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

function crashText({ calls, side }: CrashPoint): string {
  return `${calls} ${side}`;
}

/** Gives an ordinary user's closed directories their rights back, so that they can be removed. */
function open(dir: Buffer): void {
  if (process.geteuid?.() === 0) return;
  chmodSync(dir, 0o700);
  for (const name of readdirSync(dir, { encoding: 'buffer' })) {
    const path = Buffer.concat([dir, Buffer.from('/'), name]);
    if (lstatSync(path).isDirectory()) open(path);
  }
}
