// One child process, started without a shell. Its stderr is always drained and bounded. Bounded waits end it: close stdin,
// SIGTERM, SIGKILL. Unless `signalScope` is 'group', a child stays in this process's group. glusterd pauses a session by
// stopping that group, and then no data may move. Invariant: unless `signalScope` says otherwise, a signal reaches the child
// and its descendants. No child outlives this process's exit.

import { execa } from 'execa';
import { constants } from 'node:os';
import { Readable, type Writable } from 'node:stream';
import { GsyncdError, errnoCode } from '../errors.js';
import { deadline } from '../async/deadline.js';
import { MARK_VARIABLE, markedProcesses, newMark } from './descendants.js';
import { childCwd } from './removed-directory.js';
import { deathSignalPrefix, findProgram } from './program.js';
import { LineSplitter, Tail } from './tail.js';

export interface StartOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin: 'pipe' | 'ignore';
  readonly stdout: 'pipe' | 'ignore';
  /** 'keep': stdout is data, so unread output is never cut, even after the exit. By default, output that arrives more than
   *  a moment after the exit is cut. */
  readonly stdoutAfterExit?: 'keep';
  /** How many bytes of the end of stderr to keep. Default 8 KiB. */
  readonly stderrTailBytes?: number;
  readonly onStderrLine?: (line: string) => void;
  /** Lets the kernel kill the child when this process dies. Default true. */
  readonly pdeathsig?: boolean;
  /** Which processes receive a signal. 'tree' (default): the child and its descendants. 'child': the child alone, because
   *  it ends its own children. 'group': the child leads a new process group, and continues while this process's group is
   *  paused. */
  readonly signalScope?: 'tree' | 'child' | 'group';
  /** 'pipe' opens FEEDBACK_FD in the child. `feedback` is this process's end of it. */
  readonly feedback?: 'pipe';
}

/** Descriptor of the pipe that a child with `feedback` closes, or writes to. */
export const FEEDBACK_FD = 3;

export interface ExitInfo {
  /** null when a signal ended the process. */
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stderrTail: string;
}

/** Waits of the steps that end a child. A step begins when the previous one has not ended the child. */
export interface EndTimeouts {
  readonly closeMs: number;
  readonly termMs: number;
  readonly killMs: number;
}

export const DEFAULT_END_TIMEOUTS: EndTimeouts = { closeMs: 1_000, termMs: 2_000, killMs: 2_000 };
/** How long output may still arrive after the exit, if a grandchild holds the pipe open. */
const DRAIN_MS = 1_000;

const liveChildren = new Set<Child>();
let hasExitHook = false;
/** One scan can miss a process that forks during it. */
const KILL_ROUNDS = 3;

export class Child {
  readonly argv: readonly string[];
  readonly pid: number;
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly feedback: Readable | null;
  /** Settles when the process has ended and its output is read. Never rejects. */
  readonly exited: Promise<ExitInfo>;
  readonly #signalScope: NonNullable<StartOptions['signalScope']>;
  /** In the environment of the child and its descendants, which are found by it. */
  readonly #mark: string;
  #isRunning = true;
  #isClosed = false;

  constructor(argv: readonly string[], process: ReturnType<typeof launch>, mark: string, options: StartOptions) {
    const { pid } = process;
    if (pid === undefined) throw new Error('no pid');
    this.argv = argv;
    this.pid = pid;
    this.stdin = process.stdin;
    this.stdout = process.stdout;
    const feedback: unknown = process.stdio[FEEDBACK_FD];
    this.feedback = feedback instanceof Readable ? feedback : null;
    this.#signalScope = options.signalScope ?? 'tree';
    this.#mark = mark;
    this.stdin?.on('error', () => undefined); // EPIPE: the exit status says more
    const tail = new Tail(options.stderrTailBytes ?? 8 << 10);
    const lines = options.onStderrLine && new LineSplitter(options.onStderrLine);
    process.stderr?.on('data', (chunk: Buffer) => {
      tail.push(chunk);
      lines?.push(chunk);
    });
    liveChildren.add(this);
    this.exited = new Promise((resolve) => {
      process.once('exit', () => {
        liveChildren.delete(this);
        this.#isRunning = false;
        // Descendants must not outlive the child. Pipes that another process holds open are closed.
        setTimeout(() => {
          if (this.#isClosed) return;
          signalAll([this], 'SIGKILL');
          for (const stream of [
            process.stdin,
            this.feedback,
            options.stdoutAfterExit === 'keep' ? null : process.stdout,
            process.stderr,
          ])
            stream?.destroy();
        }, DRAIN_MS);
      });
      process.once('close', (code, signal) => {
        this.#isClosed = true;
        lines?.end();
        resolve({ code, signal, stderrTail: tail.text() });
      });
    });
  }

  /** Sends a signal to the processes that `signalScope` selects.
   *  @returns false when none received it */
  kill(signal: NodeJS.Signals): boolean {
    return !this.#isClosed && signalAll([this], signal);
  }

  /** Target of a signal (minus the pid for a whole group), and the mark by which descendants are found. */
  get signalTarget(): { readonly target: number | null; readonly mark: string | null } {
    if (this.#signalScope === 'group') return { target: -this.pid, mark: null };
    return { target: this.#isRunning ? this.pid : null, mark: this.#signalScope === 'tree' ? this.#mark : null };
  }

  /** Ends the child: closes stdin, then SIGTERM, then SIGKILL, each with its wait. A wait of 0 skips the step.
   *  @throws GsyncdError('fault') when it survives SIGKILL because it hangs in the kernel */
  async end(timeouts: EndTimeouts = DEFAULT_END_TIMEOUTS): Promise<ExitInfo> {
    this.stdin?.end();
    const steps: [number, NodeJS.Signals | null][] = [
      [timeouts.closeMs, null],
      [timeouts.termMs, 'SIGTERM'],
      [timeouts.killMs, 'SIGKILL'],
    ];
    for (const [waitMs, signal] of steps) {
      if (waitMs === 0) continue;
      if (signal !== null) this.kill(signal);
      const info = await within(this.exited, waitMs + (signal === 'SIGKILL' ? DRAIN_MS : 0));
      if (info !== undefined) return info;
    }
    throw new GsyncdError(`end ${programName(this.argv)}: process ${this.pid}: still there after SIGKILL`, {
      code: 'fault',
    });
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
    throw new GsyncdError(`run ${programName(argv)}: ${options.cwd ?? program}: ${code}`, {
      code: 'preflight',
      cause: failure.cause,
    });
  }
  if (!hasExitHook) {
    hasExitHook = true;
    process.once('exit', () => signalAll([...liveChildren], 'SIGKILL'));
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
  let onTimeout: () => void = () => undefined;
  const timeout = new Promise<undefined>((resolve) => (onTimeout = () => resolve(undefined)));
  const wait = deadline(waitMs, onTimeout);
  try {
    return await Promise.race([promise, timeout]);
  } finally {
    wait.cancel();
  }
}

function launch(file: string, args: readonly string[], mark: string, options: StartOptions) {
  const cwd = options.cwd ?? childCwd();
  return execa(file, args, {
    cwd,
    // A child shares this process's terminal, if there is one. ssh must fail instead of asking for a password there.
    env: { SSH_ASKPASS_REQUIRE: 'force', SSH_ASKPASS: 'false', ...options.env, [MARK_VARIABLE]: mark },
    stdio: [options.stdin, options.stdout, 'pipe', ...(options.feedback === undefined ? [] : [options.feedback])],
    buffer: false,
    encoding: 'buffer',
    reject: false,
    cleanup: false,
    detached: options.signalScope === 'group',
  });
}

/** @returns whether any process received the signal */
function signalAll(children: readonly Child[], signal: NodeJS.Signals): boolean {
  const reached = children.map((child) => child.signalTarget);
  const marks = reached.flatMap(({ mark }) => mark ?? []);
  // Search before any process ends. The mark also finds descendants whose parent has ended.
  const targets = new Set([
    ...reached.flatMap(({ target }) => target ?? []),
    ...(marks.length === 0 ? [] : markedProcesses(marks)),
  ]);
  const signalled = [...targets].filter((target) => sendSignal(target, signal));
  for (let round = 1; signal === 'SIGKILL' && marks.length > 0 && round < KILL_ROUNDS; round++) {
    for (const pid of markedProcesses(marks)) sendSignal(pid, signal);
  }
  return signalled.length > 0;
}

function sendSignal(target: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(target, signal);
    return true;
  } catch {
    return false;
  }
}
