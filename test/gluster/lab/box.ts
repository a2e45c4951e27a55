// A box (see box.sh) held open for a test. The box ends when its standard input closes, so it cannot outlive the process
// that opened it. Used by Lab and Cluster.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { Machine, onlyChild } from './machine.js';

export class Box extends Machine {
  /** The box's state directory, outside and inside. */
  readonly state: string;
  readonly #holder: ChildProcess;
  readonly #initPid: number;

  private constructor(holder: ChildProcess, initPid: number, state: string) {
    super();
    this.#holder = holder;
    this.#initPid = initPid;
    this.state = state;
  }

  /** Opens a box. Throws when this machine cannot have one. */
  static async open(): Promise<Box> {
    const holder = spawn(
      'bash',
      [
        path.join(import.meta.dirname, 'box.sh'),
        'bash',
        '-c',
        'echo "ready $BOX_STATE"; read -r code; exit "${code:-0}"',
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const ended = new Promise<never>((_, reject) => {
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`box: ended before it was ready: exit code ${code}`)));
    });
    ended.catch(() => undefined);
    const ready = new Promise<string>((resolve) => {
      createInterface({ input: holder.stdout }).on(
        'line',
        (line) => line.startsWith('ready ') && resolve(line.slice(6)),
      );
    });
    const state = await Promise.race([ready, ended]);
    endWithParent();
    const unshare = await onlyChild(holder.pid!, 'unshare');
    return new Box(holder, await onlyChild(unshare, 'bash'), state);
  }

  protected override initPid(): number {
    return this.#initPid;
  }

  /** Ends everything in the box and removes its state; after 'failed' its logs are kept and their place is printed. */
  async close(outcome: 'passed' | 'failed'): Promise<void> {
    if (this.#holder.exitCode !== null) return;
    const gone = new Promise<void>((resolve) => this.#holder.once('exit', () => resolve()));
    this.#holder.stdin?.end(outcome === 'failed' ? '1\n' : '');
    await gone;
  }
}

let watching = false;

/** A test runner that is killed leaves its workers behind; they have to go too, and their boxes with them. */
function endWithParent(): void {
  if (watching) return;
  watching = true;
  const parent = process.ppid;
  setInterval(() => process.ppid !== parent && process.exit(1), 1000).unref();
}
