// A box (see box.sh) held open for a test: commands are run in it through nsenter, and plain files of its disks are
// reached from outside through /proc/<pid>/root. The box ends when its standard input closes, so it cannot outlive
// the process that opened it. Used by Lab; knows nothing of volumes.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { execa } from 'execa';

export const REPO = path.resolve(import.meta.dirname, '../../..');

export interface ExecOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** 'throw' (default) makes an exit code other than 0 an error; 'return' hands it back. */
  readonly onFailure?: 'throw' | 'return';
  /** Gives the command up: the call throws, what runs in the box ends with the box. */
  readonly signal?: AbortSignal;
}

export interface ExecResult {
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

const ENVIRONMENT = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  HOME: '/root',
  LANG: 'C.UTF-8',
};

export class Box {
  readonly #holder: ChildProcess;
  readonly #initPid: number;

  private constructor(holder: ChildProcess, initPid: number) {
    this.#holder = holder;
    this.#initPid = initPid;
  }

  /** Opens a box. Throws when this machine cannot have one. */
  static async open(): Promise<Box> {
    const holder = spawn(
      'bash',
      [path.join(import.meta.dirname, 'box.sh'), 'bash', '-c', 'echo ready; read -r code; exit "${code:-0}"'],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const ended = new Promise<never>((_, reject) => {
      holder.once('error', reject);
      holder.once('exit', (code) => reject(new Error(`box: ended before it was ready: exit code ${code}`)));
    });
    ended.catch(() => undefined);
    const ready = new Promise<void>((resolve) => {
      createInterface({ input: holder.stdout }).on('line', (line) => line === 'ready' && resolve());
    });
    await Promise.race([ready, ended]);
    endWithParent();
    const unshare = await onlyChild(holder.pid!, 'unshare');
    return new Box(holder, await onlyChild(unshare, 'bash'));
  }

  /** Where a path of the box is for this process. */
  outside(inside: string): string {
    return `/proc/${this.#initPid}/root${inside}`;
  }

  /** The command line that runs `argv` in the box with the box's environment and `env`. */
  command(argv: readonly string[], env: Readonly<Record<string, string>> = {}): [string, string[]] {
    const assignments = Object.entries({ ...ENVIRONMENT, ...env }).map(([name, value]) => `${name}=${value}`);
    const enter = ['--target', String(this.#initPid), '--pid', '--net', '--mount', '--'];
    return ['nsenter', [...enter, 'env', '-i', ...assignments, ...argv]];
  }

  /** Runs `argv` in the box to its end. Throws on a timeout (default 120 s) and, by default, on failure. */
  async exec(argv: readonly string[], options: ExecOptions = {}): Promise<ExecResult> {
    const timeoutMs = options.timeoutMs ?? 120_000;
    const [file, args] = this.command(argv, options.env);
    const result = await execa(file, args, {
      input: options.input ?? '',
      timeout: timeoutMs,
      reject: false,
      stripFinalNewline: false,
      maxBuffer: 64 << 20,
      ...(options.signal && { cancelSignal: options.signal }),
    });
    const shown = argv.join(' ').slice(0, 300);
    options.signal?.throwIfAborted();
    if (result.timedOut) throw new Error(`box: ${shown}: not done after ${timeoutMs} ms\n${result.stderr}`);
    if (result.exitCode !== 0 && options.onFailure !== 'return') {
      throw new Error(`box: ${shown}: exit code ${result.exitCode}\n${result.stdout}${result.stderr}`);
    }
    return { code: result.exitCode, stdout: result.stdout, stderr: result.stderr };
  }

  /** Starts `argv` in the box; the child that is returned is nsenter, which ends as its command ends. */
  start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const [file, args] = this.command(argv, env);
    return spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Command lines of the box's processes, by their pid in the box. */
  async processes(): Promise<Map<number, string>> {
    const out = new Map<number, string>();
    for (const name of await readdir(this.outside('/proc'))) {
      if (!/^\d+$/.test(name)) continue;
      const line = await readFile(this.outside(`/proc/${name}/cmdline`), 'utf8').catch(() => '');
      if (line !== '') out.set(Number(name), line.split('\0').join(' ').trim());
    }
    return out;
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

/** Pids of the children of process `pid`, as seen from outside a box. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The only child of `pid` whose program is `name`; it must be there already. */
async function onlyChild(pid: number, name: string): Promise<number> {
  for (const child of await childrenOf(pid)) {
    const program = await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '');
    if (program.trim() === name) return child;
  }
  throw new Error(`box: process ${pid} has no child ${name}`);
}
