// A gsyncd-ts worker that runs in a box: its log as it grows, and the ways to end it. Made by Lab.startWorker.
import type { ChildProcess } from 'node:child_process';
import { statSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { childrenOf } from './machine.js';

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class WorkerHandle {
  readonly exited: Promise<WorkerExit>;
  readonly #child: ChildProcess;
  readonly #logPath: string;
  readonly #kind: 'ours' | 'stock';
  readonly #logStart: number;
  #stderr = '';
  #exit: WorkerExit | undefined;

  /** `child` is the nsenter that started the worker, `logPath` the worker's log as this process sees it. */
  constructor(child: ChildProcess, logPath: string, kind: 'ours' | 'stock' = 'ours') {
    this.#child = child;
    this.#logPath = logPath;
    this.#kind = kind;
    // Stock workers share one log: earlier lines are not this worker's.
    this.#logStart = statSync(logPath, { throwIfNoEntry: false })?.size ?? 0;
    const keep = (chunk: Buffer): void => {
      this.#stderr = (this.#stderr + chunk.toString()).slice(-100_000);
    };
    child.stdout?.on('data', keep);
    child.stderr?.on('data', keep);
    this.exited = new Promise((resolve) => {
      child.once('close', (code, signal) => {
        this.#exit = { code, signal };
        resolve(this.#exit);
      });
    });
  }

  /** The end of the worker's output on its standard streams. */
  get stderr(): string {
    return this.#stderr;
  }

  get running(): boolean {
    return this.#exit === undefined;
  }

  /** The worker's log so far. */
  async log(): Promise<string> {
    const bytes = await readFile(this.#logPath).catch(() => Buffer.alloc(0));
    return bytes.toString('utf8', this.#logStart);
  }

  /** Pid of the worker itself, as seen from outside the box. Throws when it does not run. */
  async pid(): Promise<number> {
    for (let tries = 0; tries < 50 && this.running; tries++) {
      const [pid] = await childrenOf(this.#child.pid!);
      if (pid !== undefined) return pid;
      await sleep(20);
    }
    throw new Error(`worker: not running\n${this.#stderr}`);
  }

  /**
   * Waits until the log has a match of `pattern` behind character `from` and returns it. Throws with the log's end
   * when the worker ends first or `timeoutMs` is over.
   */
  async waitForLog(pattern: RegExp, timeoutMs = 60_000, from = 0): Promise<RegExpMatchArray> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const ended = !this.running;
      const text = await this.log();
      const match = text.slice(from).match(pattern);
      if (match !== null) return match;
      if (ended || Date.now() > deadline) {
        const why = ended ? `it ended (${JSON.stringify(this.#exit)})` : `not after ${timeoutMs} ms`;
        throw new Error(`worker: log has no ${pattern}: ${why}\n${text.slice(-4000)}\n${this.#stderr.slice(-4000)}`);
      }
      await sleep(50);
    }
  }

  /** Sends SIGTERM and waits. Throws unless it ends with exit code 0 within `timeoutMs`. */
  async stop(timeoutMs = 20_000): Promise<void> {
    const exit = await this.#end('SIGTERM', timeoutMs);
    if (exit.code !== 0 && this.#kind === 'ours') {
      throw new Error(
        `worker: SIGTERM: ended with ${JSON.stringify(exit)}\n${this.#stderr}\n${(await this.log()).slice(-4000)}`,
      );
    }
  }

  /** Ends it at once, as a crash would. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL', 10_000);
  }

  /** Sends a signal to the worker only, not to its children. */
  async signal(name: NodeJS.Signals): Promise<void> {
    process.kill(await this.pid(), name);
    // nsenter stops itself beside its child.
    if (name === 'SIGCONT') process.kill(this.#child.pid!, name);
  }

  async #end(signal: NodeJS.Signals, timeoutMs: number): Promise<WorkerExit> {
    if (this.#exit !== undefined) return this.#exit;
    await this.signal(signal);
    const late = sleep(timeoutMs, 'late' as const, { ref: false });
    const exit = await Promise.race([this.exited, late]);
    if (exit !== 'late') return exit;
    const log = (await this.log()).slice(-4000);
    await this.signal('SIGKILL').catch(() => undefined);
    throw new Error(`worker: ${signal}: still there after ${timeoutMs} ms\n${log}`);
  }
}
