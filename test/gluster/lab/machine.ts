// A machine of the lab: namespaces of its own, held by its process 1. Commands are run in it through nsenter, and plain
// files of its disks are reached from outside through /proc/<pid>/root. A Box is the outermost machine, the nodes of a
// Cluster are machines inside one. Knows nothing of volumes.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';

export const REPO = path.resolve(import.meta.dirname, '../../..');

export interface ExecOptions {
  readonly input?: string;
  readonly timeoutMs?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** 'throw' (default) makes an exit code other than 0 an error; 'return' hands it back. */
  readonly onFailure?: 'throw' | 'return';
  /** Aborts the call, which throws. Processes that it started in the machine end with the machine. */
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

export abstract class Machine {
  /** Pid of its process 1, as seen from outside. Throws when it is down. */
  protected abstract initPid(): number;

  get up(): boolean {
    return true;
  }

  /** Where a path of the machine is for this process. */
  outside(inside: string): string {
    return `/proc/${this.initPid()}/root${inside}`;
  }

  /** A file of the machine as text. */
  read(inside: string): Promise<string> {
    return readFile(this.outside(inside), 'utf8');
  }

  /** The command line that runs `argv` in the machine with the machine's environment and `env`. */
  command(argv: readonly string[], env: Readonly<Record<string, string>> = {}): [string, string[]] {
    const assignments = Object.entries({ ...ENVIRONMENT, ...env }).map(([name, value]) => `${name}=${value}`);
    const enter = ['--target', String(this.initPid()), '--pid', '--net', '--mount', '--uts', '--'];
    return ['nsenter', [...enter, 'env', '-i', ...assignments, ...argv]];
  }

  /** Runs `argv` in the machine to its end. Throws on a timeout (default 120 s) and, by default, on failure. */
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

  /** Runs a bash script in `cwd`; any failing command fails it. Returns its output. */
  async sh(script: string, cwd: string): Promise<string> {
    const argv = ['bash', '--norc', '-euo', 'pipefail', '-c', `cd "$1"\n${script}`, 'sh', cwd];
    return (await this.exec(argv, { timeoutMs: 300_000 })).stdout;
  }

  /** Puts this project's gsyncd in the stock one's place, or the stock one back. */
  async install(which: 'ours' | 'stock'): Promise<void> {
    const command = [process.execPath, '/mnt/gsyncd-ts/bin/gsyncd-ts.js', 'install'];
    await this.exec(which === 'ours' ? command : [...command, '--uninstall']);
  }

  /** Starts `argv` in the machine; the child that is returned is nsenter, which ends as its command ends. */
  start(argv: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProcess {
    const [file, args] = this.command(argv, env);
    return spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** Command lines of the machine's processes, by their pid in the machine. */
  async processes(): Promise<Map<number, string>> {
    const out = new Map<number, string>();
    for (const name of await readdir(this.outside('/proc'))) {
      if (!/^\d+$/.test(name)) continue;
      const line = await readFile(this.outside(`/proc/${name}/cmdline`), 'utf8').catch(() => '');
      if (line !== '') out.set(Number(name), line.split('\0').join(' ').trim());
    }
    return out;
  }
}

/** Pids of the children of process `pid`, as seen from outside a box. */
export async function childrenOf(pid: number): Promise<number[]> {
  const text = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8').catch(() => '');
  return text.split(' ').filter(Boolean).map(Number);
}

/** The only child of `pid` whose program is `name`; it must be there already. */
export async function onlyChild(pid: number, name: string): Promise<number> {
  for (const child of await childrenOf(pid)) {
    const program = await readFile(`/proc/${child}/comm`, 'utf8').catch(() => '');
    if (program.trim() === name) return child;
  }
  throw new Error(`box: process ${pid} has no child ${name}`);
}
