// Runs other programs. runChild runs one to its end, spawnPipe starts a long-lived peer, spawnDaemonChild a server that
// dies with this process, spawnGroupChild a worker. pipeline joins two by a pipe. No shell is used: a command is its argv.

import { Readable, type Writable } from 'node:stream';
import { pipeline as pipeStreams } from 'node:stream/promises';
import { GsyncdError } from '../errors.js';
import {
  DEFAULT_END_TIMEOUTS,
  programName,
  startChild,
  type Child,
  type ExitInfo,
  type EndTimeouts,
  type StartOptions,
} from './child.js';
import { deadline } from '../async/deadline.js';
import { LineSplitter } from './tail.js';

/** A child's input: bytes, or chunks that are read on demand. */
export type ChildInput = Uint8Array | string | AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** In a pipeline, how long A may outlive B. Usually EPIPE ends A at once. */
const A_EXIT_WAIT_MS = 1_000;

interface CommonOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** When it aborts, the child is ended and the call rejects with GsyncdError('stopped'). */
  readonly signal?: AbortSignal;
  /** How many bytes of the end of stderr to keep, default 8 KiB. */
  readonly stderrTailBytes?: number;
  /** Lets the kernel kill the child when this process dies, even by SIGKILL. Default true. */
  readonly pdeathsig?: boolean;
  readonly endTimeouts?: EndTimeouts;
}

export interface RunOptions extends CommonOptions {
  readonly input?: ChildInput;
  readonly timeoutMs?: number;
  /** Receives stdout line by line; without it stdout is collected. Must not throw. */
  readonly onStdoutLine?: (line: string) => void;
  readonly onStderrLine?: (line: string) => void;
  /** Bound of the collected stdout, default 16 MiB. */
  readonly maxStdoutBytes?: number;
}

export interface ChildResult {
  /** null when a signal ended the child. */
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Empty when `onStdoutLine` took the output. */
  readonly stdout: Buffer;
  readonly stderrTail: string;
  readonly timedOut: boolean;
  readonly durationMs: number;
}

/** Runs a program to its end. A non-zero exit code is a result, not an error.
 *  @throws GsyncdError('preflight') when the program is missing, ('stopped') when the signal aborts, ('fault') when it
 *  prints more than `maxStdoutBytes`; the error of reading `input` */
export async function runChild(argv: readonly string[], options: RunOptions = {}): Promise<ChildResult> {
  throwIfStopped(argv, options.signal);
  const startMs = performance.now();
  const child = await startChild(argv, startOptions(options, options.input === undefined ? 'ignore' : 'pipe'));
  const stopper = new Stopper([child], options);
  const input =
    options.input === undefined
      ? undefined
      : writeInput(child, options.input).catch((error: unknown) => stopper.fail(error));
  const stdout = readStdout(argv, child, options, stopper);
  const exit = await stopper.settle(Promise.all([child.exited, input]).then(([info]) => info));
  return {
    exitCode: exit.code,
    signal: exit.signal,
    stdout: stdout(),
    stderrTail: exit.stderrTail,
    timedOut: stopper.timedOut,
    durationMs: performance.now() - startMs,
  };
}

/** A child with pipes on its stdin and stdout. */
export interface PipeChild {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly exited: Promise<ExitInfo>;
  kill(signal: NodeJS.Signals): boolean;
  /** Ends the child: stdin closed, SIGTERM, SIGKILL. Safe to call twice. */
  close(timeouts?: EndTimeouts): Promise<ExitInfo>;
}

/** Starts a long-lived child such as ssh for the RPC. Its stderr is drained; `exited` has the last bytes.
 *  @throws GsyncdError('preflight') when the program is missing */
export async function spawnPipe(
  argv: readonly string[],
  options: CommonOptions & { onStderrLine?: (line: string) => void } = {},
): Promise<PipeChild> {
  throwIfStopped(argv, options.signal);
  const child = await startChild(argv, startOptions(options, 'pipe'));
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new GsyncdError(`run ${programName(argv)}: no pipes`, { code: 'fault' });
  const close = (timeouts: EndTimeouts = options.endTimeouts ?? DEFAULT_END_TIMEOUTS): Promise<ExitInfo> => {
    stdout.resume(); // unread output would keep `exited` from settling
    return child.end(timeouts);
  };
  onAbort(options.signal, child.exited, () => void close().catch(() => undefined));
  return { pid: child.pid, stdin, stdout, exited: child.exited, kill: (signal) => child.kill(signal), close };
}

export interface DaemonChild {
  readonly pid: number;
  readonly exited: Promise<ExitInfo>;
  /** Signals the child and its descendants. */
  kill(signal: NodeJS.Signals): boolean;
}

/** Starts a server without input or output. It dies with this process.
 *  @param pause whether it stops while the session is paused. A mount's server must not stop: its bricks, and every process
 *  that accesses the mount, would wait for it
 *  @throws GsyncdError('preflight') when the program is missing */
export async function spawnDaemonChild(
  argv: readonly string[],
  pause: 'stops' | 'goes on' = 'goes on',
): Promise<DaemonChild> {
  const child = await startChild(argv, {
    stdin: 'ignore',
    stdout: 'ignore',
    signalScope: pause === 'stops' ? 'tree' : 'group',
  });
  return { pid: child.pid, exited: child.exited, kill: (signal) => child.kill(signal) };
}

/** A worker of the monitor. It runs in the monitor's process group, which glusterd pauses and stops as a whole. */
export interface GroupChild {
  readonly pid: number;
  readonly exited: Promise<ExitInfo>;
  /** Resolves when the child has closed its feedback descriptor, or has ended. */
  readonly acknowledged: Promise<void>;
  kill(signal: NodeJS.Signals): boolean;
  /** Sends SIGTERM, then SIGKILL, with the waits of `timeouts`. */
  end(timeouts: EndTimeouts): Promise<ExitInfo>;
}

/** Starts a child that ends its own children, with a pipe at FEEDBACK_FD. It dies with this process.
 *  @throws GsyncdError('preflight') when the program is missing */
export async function spawnGroupChild(
  argv: readonly string[],
  options: Pick<CommonOptions, 'env' | 'stderrTailBytes'> & { onStderrLine?: (line: string) => void } = {},
): Promise<GroupChild> {
  const child = await startChild(argv, {
    ...startOptions(options, 'ignore'),
    stdout: 'ignore',
    signalScope: 'child',
    feedback: 'pipe',
  });
  const { feedback } = child;
  if (feedback === null) throw new GsyncdError(`run ${programName(argv)}: no pipes`, { code: 'fault' });
  const acknowledged = new Promise<void>((resolve) => {
    feedback.once('close', () => resolve());
    feedback.once('error', () => resolve());
    feedback.resume();
  });
  return {
    pid: child.pid,
    exited: child.exited,
    acknowledged,
    kill: (signal) => child.kill(signal),
    end: (timeouts) => child.end(timeouts),
  };
}

export interface PipelineOptions {
  readonly cwdA?: string;
  readonly envA?: Readonly<Record<string, string>>;
  readonly inputA: ChildInput;
  /** Receives the data that goes from A to B. Must not throw. */
  readonly onData?: (chunk: Buffer) => void;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  readonly stderrTailBytes?: number;
  readonly onStderrLineA?: (line: string) => void;
  readonly onStderrLineB?: (line: string) => void;
  readonly endTimeouts?: EndTimeouts;
}

export interface PipelineResult {
  readonly a: ExitInfo;
  readonly b: ExitInfo;
  /** Bytes that went from A to B. */
  readonly bytes: number;
  readonly timedOut: boolean;
}

/**
 * `A | B`, A fed with `inputA`, B's stdout dropped. When B ends early, A is ended too.
 * @throws as runChild
 */
export async function pipeline(
  argvA: readonly string[],
  argvB: readonly string[],
  options: PipelineOptions,
): Promise<PipelineResult> {
  throwIfStopped(argvA, options.signal);
  const common = { stderrTailBytes: options.stderrTailBytes };
  const a = await startChild(argvA, {
    ...common,
    cwd: options.cwdA,
    env: options.envA,
    stdin: 'pipe',
    stdout: 'pipe',
    stdoutAfterExit: 'keep',
    onStderrLine: options.onStderrLineA,
  });
  let b: Child;
  try {
    b = await startChild(argvB, { ...common, stdin: 'pipe', stdout: 'ignore', onStderrLine: options.onStderrLineB });
  } catch (error) {
    await a.end({ closeMs: 0, termMs: 0, killMs: 2_000 });
    throw error;
  }
  const stopper = new Stopper([a, b], options);
  let bytes = 0;
  const { stdout } = a;
  const { stdin } = b;
  if (stdout === null || stdin === null)
    throw new GsyncdError(`run ${programName(argvA)}: no pipes`, { code: 'fault' });
  stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    options.onData?.(chunk);
  });
  const transferred = Promise.all([
    writeInput(a, options.inputA).catch((error: unknown) => stopper.fail(error)),
    pipeStreams(stdout, stdin).catch(() => undefined), // the exit statuses say more
  ]);
  void b.exited
    .then(() => a.end({ ...DEFAULT_END_TIMEOUTS, closeMs: A_EXIT_WAIT_MS }))
    .catch((error: unknown) => stopper.fail(error));
  const [infoA, infoB] = await stopper.settle(Promise.all([a.exited, b.exited, transferred]));
  return { a: infoA, b: infoB, bytes, timedOut: stopper.timedOut };
}

/** Ends children when a signal aborts, a timeout passes or an input fails, and decides how the call settles. */
class Stopper {
  timedOut = false;
  #isStopped = false;
  #failure: Error | undefined;
  #isEnding = false;
  readonly #children: readonly Child[];
  readonly #options: Pick<RunOptions, 'signal' | 'timeoutMs' | 'endTimeouts'>;
  #onEndFailed: (error: unknown) => void = () => undefined;

  constructor(children: readonly Child[], options: Pick<RunOptions, 'signal' | 'timeoutMs' | 'endTimeouts'>) {
    this.#children = children;
    this.#options = options;
  }

  fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    this.#end();
  }

  /** Waits for `done`.
   *  @throws the first failure, GsyncdError('stopped'), or the error of a child that does not end */
  async settle<T>(done: Promise<T>): Promise<T> {
    const { timeoutMs } = this.#options;
    const hung = new Promise<never>((_, reject) => {
      this.#onEndFailed = reject;
    });
    const timeout =
      timeoutMs === undefined
        ? undefined
        : deadline(timeoutMs, () => {
            this.timedOut = true;
            this.#end();
          });
    onAbort(this.#options.signal, done, () => {
      this.#isStopped = true;
      this.#end();
    });
    try {
      const result = await Promise.race([done, hung]);
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#isStopped) throw stoppedError(this.#children[0]?.argv ?? []);
      return result;
    } finally {
      timeout?.cancel();
    }
  }

  #end(): void {
    const timeouts = { ...(this.#options.endTimeouts ?? DEFAULT_END_TIMEOUTS), closeMs: 0 };
    for (const child of this.#children) child.stdout?.resume();
    if (this.#isEnding) return;
    this.#isEnding = true;
    Promise.all(this.#children.map((child) => child.end(timeouts))).catch((error: unknown) => this.#onEndFailed(error));
  }
}

async function writeInput(child: Child, input: ChildInput): Promise<void> {
  if (child.stdin === null) return;
  if (typeof input === 'string' || input instanceof Uint8Array) {
    child.stdin.end(input);
    return;
  }
  const failures: unknown[] = [];
  const chunks = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* input;
    } catch (error) {
      failures.push(error);
      throw error;
    }
  };
  await pipeStreams(Readable.from(chunks(), { objectMode: false }), child.stdin).catch(() => undefined); // EPIPE: the exit status says more
  for (const error of failures) throw error instanceof Error ? error : new Error(String(error));
}

function readStdout(argv: readonly string[], child: Child, options: RunOptions, stopper: Stopper): () => Buffer {
  const { onStdoutLine, maxStdoutBytes = 16 << 20 } = options;
  if (onStdoutLine !== undefined) {
    const lines = new LineSplitter(onStdoutLine);
    child.stdout?.on('data', (chunk: Buffer) => lines.push(chunk));
    child.stdout?.once('end', () => lines.end());
    return () => Buffer.alloc(0);
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  child.stdout?.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= maxStdoutBytes) chunks.push(chunk);
    else
      stopper.fail(
        new GsyncdError(`run ${programName(argv)}: more than ${maxStdoutBytes} bytes of output`, { code: 'fault' }),
      );
  });
  return () => Buffer.concat(chunks);
}

function startOptions(
  options: Omit<CommonOptions, 'signal'> & { onStderrLine?: (line: string) => void },
  stdin: 'pipe' | 'ignore',
): StartOptions {
  const { cwd, env, stderrTailBytes, onStderrLine, pdeathsig } = options;
  return { cwd, env, stderrTailBytes, onStderrLine, pdeathsig, stdin, stdout: 'pipe' };
}

/** Calls `action` when `signal` aborts before `until` settles; leaves no listener behind. */
function onAbort(signal: AbortSignal | undefined, until: Promise<unknown>, action: () => void): void {
  if (signal === undefined) return;
  if (signal.aborted) {
    action();
    return;
  }
  signal.addEventListener('abort', action, { once: true });
  const remove = (): void => signal.removeEventListener('abort', action);
  until.then(remove, remove);
}

function throwIfStopped(argv: readonly string[], signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw stoppedError(argv);
}

function stoppedError(argv: readonly string[]): GsyncdError {
  return new GsyncdError(`run ${programName(argv)}: stopped`, { code: 'stopped' });
}
