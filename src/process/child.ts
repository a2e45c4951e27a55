// One child process: started without a shell, its stderr always drained and bounded, ended by a ladder (close stdin,
// SIGTERM, SIGKILL) of bounded waits. spawn.ts builds the forms that the rest of the program uses on it; nothing else
// starts processes. Children stay in this process's group: glusterd pauses a session by stopping that group, and no byte
// shall move then.
// Invariant: a started child is signalled with its descendants, so they go too, and none outlives this process's exit.

import { execa } from 'execa';
import { constants } from 'node:os';
import { Readable, type Writable } from 'node:stream';
import { GsyncdError, errnoCode } from '../errors.js';
import { deadline } from '../async/deadline.js';
import { MARK_VARIABLE, markedProcesses, newMark } from './descendants.js';
import { childDirectory } from './removed-directory.js';
import { deathSignalPrefix, findProgram } from './program.js';
import { LineSplitter, Tail } from './tail.js';

export interface StartOptions {
  readonly cwd?: string | undefined;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly stdin: 'pipe' | 'ignore';
  readonly stdout: 'pipe' | 'ignore';
  /** Whether stdout's reader may take its time after the exit: what is in the pipe then is data, and none of it may
   *  be cut. Default: output that is still to come a moment after the exit is cut. */
  readonly stdoutAfterExit?: 'keep' | undefined;
  /** How much of stderr's end to keep. Default 8 KiB. */
  readonly stderrTailBytes?: number | undefined;
  readonly onStderrLine?: ((line: string) => void) | undefined;
  /** Have the kernel kill the child when this process dies. Default true. */
  readonly pdeathsig?: boolean | undefined;
  /**
   * Who gets a signal that is sent from here. 'tree' (default): the child and its descendants. 'child': it alone, for one
   * that ends its own children. 'group': the child leads a process group of its own, and goes on while this one is paused.
   */
  readonly reach?: 'tree' | 'child' | 'group' | undefined;
  /** 'pipe' opens FEEDBACK_FD in the child, whose end here is `feedback`. */
  readonly feedback?: 'pipe' | undefined;
}

/** Descriptor of the pipe that a child with `feedback` closes, or writes to. */
export const FEEDBACK_FD = 3;

export interface ExitInfo {
  /** null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderrTail: string;
}

/** Waits of the ladder, in milliseconds; each step begins when the one before has not ended the child. */
export interface Ladder {
  readonly closeMs: number;
  readonly termMs: number;
  readonly killMs: number;
}

export const DEFAULT_LADDER: Ladder = { closeMs: 1_000, termMs: 2_000, killMs: 2_000 };
/** How long output may still come after the exit, when a grandchild holds the pipe. */
const DRAIN_MS = 1_000;

const live = new Set<Child>();
let exitHook = false;
/** A process that forks while it is looked for may be missed once. */
const KILL_ROUNDS = 3;

export class Child {
  readonly argv: readonly string[];
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly feedback: Readable | null;
  /** Settles when the process has ended and its output is read. Never rejects. */
  readonly exited: Promise<ExitInfo>;
  readonly #reach: NonNullable<StartOptions['reach']>;
  /** In the environment of the child and its descendants. */
  readonly #mark: string;
  #leader: 'runs' | 'has ended' = 'runs';
  #over = false;

  constructor(argv: readonly string[], process: ReturnType<typeof launch>, mark: string, options: StartOptions) {
    const { pid } = process;
    if (pid === undefined) throw new Error('no pid');
    this.argv = argv;
    this.pid = pid;
    this.stdin = process.stdin;
    this.stdout = process.stdout;
    const feedback: unknown = process.stdio[FEEDBACK_FD];
    this.feedback = feedback instanceof Readable ? feedback : null;
    this.#reach = options.reach ?? 'tree';
    this.#mark = mark;
    this.stdin?.on('error', () => undefined); // EPIPE: the exit says more
    const tail = new Tail(options.stderrTailBytes ?? 8 << 10);
    const lines = options.onStderrLine && new LineSplitter(options.onStderrLine);
    process.stderr?.on('data', (chunk: Buffer) => {
      tail.push(chunk);
      lines?.push(chunk);
    });
    live.add(this);
    this.exited = new Promise((resolve) => {
      process.once('exit', () => {
        live.delete(this);
        this.#leader = 'has ended';
        // Descendants must not outlive the child; a pipe that another process holds is cut.
        setTimeout(() => {
          if (this.#over) return;
          signalAll([this], 'SIGKILL');
          for (const stream of [process.stdin, this.feedback, options.stdoutAfterExit === 'keep' ? null : process.stdout, process.stderr]) stream?.destroy();
        }, DRAIN_MS);
      });
      process.once('close', (code, signal) => {
        this.#over = true;
        lines?.end();
        resolve({ code, signal, stderrTail: tail.text() });
      });
    });
  }

  /** Sends a signal to the child and its descendants. @returns false when it has ended */
  kill(signal: NodeJS.Signals): boolean {
    return !this.#over && signalAll([this], signal);
  }

  /** Target of a signal (minus the pid for a whole group), and the mark by which descendants are found. */
  get reached(): { readonly target: number | null; readonly mark: string | null } {
    if (this.#reach === 'group') return { target: -this.pid, mark: null };
    return { target: this.#leader === 'runs' ? this.pid : null, mark: this.#reach === 'tree' ? this.#mark : null };
  }

  /**
   * Ends the child: closes stdin, then SIGTERM, then SIGKILL, each with its wait. A wait of 0 skips the step.
   * @throws GsyncdError('fault') when it does not even die of SIGKILL (it hangs in the kernel)
   */
  async end(ladder: Ladder = DEFAULT_LADDER): Promise<ExitInfo> {
    this.stdin?.end();
    const steps: [number, NodeJS.Signals | null][] = [
      [ladder.closeMs, null],
      [ladder.termMs, 'SIGTERM'],
      [ladder.killMs, 'SIGKILL'],
    ];
    for (const [waitMs, signal] of steps) {
      if (waitMs === 0) continue;
      if (signal !== null) this.kill(signal);
      const info = await within(this.exited, waitMs + (signal === 'SIGKILL' ? DRAIN_MS : 0));
      if (info !== undefined) return info;
    }
    throw new GsyncdError(`end ${programName(this.argv)}: process ${this.pid}: still there after SIGKILL`, { code: 'fault' });
  }
}

/**
 * Starts a process.
 * @throws GsyncdError('preflight') when the program is missing or cannot be run
 */
export async function startChild(argv: readonly string[], options: StartOptions): Promise<Child> {
  const [name, ...args] = argv;
  if (name === undefined || name === '') throw new GsyncdError('run a program: empty command', { code: 'preflight' });
  const program = await findProgram(name, { cwd: options.cwd, path: options.env?.['PATH'] });
  const prefix = (options.pdeathsig ?? true) ? await deathSignalPrefix() : [];
  const [file = program, ...rest] = [...prefix, program, ...args];
  const mark = newMark();
  const subprocess = launch(file, rest, mark, options);
  if (subprocess.pid === undefined) {
    const failure = await subprocess;
    const code = errnoCode(failure.cause) ?? failure.code ?? 'failed';
    throw new GsyncdError(`run ${programName(argv)}: ${options.cwd ?? program}: ${code}`, { code: 'preflight', cause: failure.cause });
  }
  if (!exitHook) {
    exitHook = true;
    process.once('exit', () => signalAll([...live], 'SIGKILL'));
  }
  return new Child(argv, subprocess, mark, options);
}

/** File name of a command's program, for messages. */
export function programName(argv: readonly string[]): string {
  const name = argv[0] ?? '';
  return name.slice(name.lastIndexOf('/') + 1);
}

/** Number of a signal, 0 for none: a child ended by signal 15 is logged as return code -15. */
export function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : constants.signals[signal];
}

/** The value, or undefined when `waitMs` passes first. */
export async function within<T>(promise: Promise<T>, waitMs: number): Promise<T | undefined> {
  let onTime: () => void = () => undefined;
  const timeout = new Promise<undefined>((resolve) => (onTime = () => resolve(undefined)));
  const wait = deadline(waitMs, onTime);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    wait.cancel();
  }
}

function launch(file: string, args: readonly string[], mark: string, options: StartOptions) {
  const cwd = options.cwd ?? childDirectory();
  return execa(file, args, {
    ...(cwd === undefined ? {} : { cwd }),
    // A child has this process's terminal, where there is one: ssh must fail, not ask for a password there.
    env: { SSH_ASKPASS_REQUIRE: 'force', SSH_ASKPASS: 'false', ...options.env, [MARK_VARIABLE]: mark },
    stdio: [options.stdin, options.stdout, 'pipe', ...(options.feedback === undefined ? [] : [options.feedback])],
    buffer: false,
    encoding: 'buffer',
    reject: false,
    cleanup: false,
    detached: options.reach === 'group',
  });
}

/** @returns whether there was anything to send it to */
function signalAll(children: readonly Child[], signal: NodeJS.Signals): boolean {
  const reached = children.map((child) => child.reached);
  const marks = reached.flatMap(({ mark }) => mark ?? []);
  // Looked for before anything ends: what is left of a tree then is found all the same.
  const targets = new Set([...reached.flatMap(({ target }) => target ?? []), ...(marks.length === 0 ? [] : markedProcesses(marks))]);
  const sent = [...targets].filter((target) => send(target, signal));
  for (let round = 1; signal === 'SIGKILL' && marks.length > 0 && round < KILL_ROUNDS; round++) {
    for (const pid of markedProcesses(marks)) send(pid, signal);
  }
  return sent.length > 0;
}

function send(target: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch {
    return false;
  }
}
