// Keeps one brick's worker running. It starts the worker, waits for its acknowledgement, and restarts it after each end,
// with growing delays. When the worker's node of the secondary is down, the worker connects to another one. Reports to
// status, log and events daemon. Invariant: when run() has settled, the worker has ended.

import { errorLine } from '../errors.js';
import type { Log } from '../log.js';
import { delayOrWake } from '../async/wait.js';
import { within, type ExitInfo } from '../process/child.js';
import type { GroupChild } from '../process/spawn.js';
import { Backoff, type BackoffLimits } from './backoff.js';
import type { SecondaryNode, WorkerSpec } from './distribution.js';

/** The part of WorkerStatus that the monitor writes. */
export interface SupervisedStatus {
  setWorkerStatus(status: 'Initializing...'): Promise<void>;
  setFaulty(): Promise<void>;
  setLastError(line: string | null): Promise<void>;
}

export interface SupervisorDeps {
  /** Starts the worker, connected to `node`. */
  readonly start: (spec: WorkerSpec, node: SecondaryNode) => Promise<GroupChild>;
  readonly chooseNode: (own: SecondaryNode) => Promise<SecondaryNode>;
  readonly status: SupervisedStatus;
  /** Called when a removed brick's worker has finished. */
  readonly onRemovedBrickSynced: (spec: WorkerSpec) => Promise<void>;
  readonly onFaulty: (spec: WorkerSpec, node: SecondaryNode) => void;
  /** Whether a pause has just ended that a worker's connection may not have outlasted. Such an end is no fault. */
  readonly hasJustResumed: () => boolean;
  readonly log: Log;
  /** How long a worker may take to acknowledge. */
  readonly acknowledgeMs: number;
  /** How long a worker may take to end after a signal. */
  readonly stopMs: number;
  readonly backoff: BackoffLimits;
}

export class Supervisor {
  /** May be replaced by one with another remote, which applies from the next start on. */
  spec: WorkerSpec;
  readonly #deps: SupervisorDeps;
  readonly #backoff: Backoff;
  readonly #retired = new AbortController();
  #done: Promise<void> = Promise.resolve();
  #node: SecondaryNode | null = null;
  #wake: () => void = () => undefined;

  constructor(spec: WorkerSpec, deps: SupervisorDeps) {
    this.spec = spec;
    this.#deps = deps;
    this.#backoff = new Backoff(deps.backoff);
  }

  /** The node that the worker is connected to, null while none runs. */
  get node(): SecondaryNode | null {
    return this.#node;
  }

  /** Runs until `signal` aborts or retire() is called. */
  run(signal: AbortSignal): Promise<void> {
    this.#done = this.#supervise(AbortSignal.any([signal, this.#retired.signal]));
    return this.#done;
  }

  /** Starts a worker that waits for its next start, because the cause of its end may be gone. */
  restartNow(): void {
    this.#wake();
  }

  /** Ends the worker permanently. */
  async retire(): Promise<void> {
    this.#retired.abort();
    await this.#done;
  }

  async #supervise(stop: AbortSignal): Promise<void> {
    while (!stop.aborted) {
      const { reason, servedMs } = await this.#runOnce(stop);
      if (stop.aborted) return;
      if (reason === null) continue;
      const delayMs = this.#backoff.next(servedMs);
      this.#deps.log.info('restarting worker', { brick: this.spec.brickPath, delay: delayMs / 1000, reason });
      await delayOrWake(delayMs, stop, new Promise<void>((resolve) => (this.#wake = resolve)));
    }
  }

  /** Runs the worker once. `reason` says why it ended; null when it is stopped, or restarts at once. */
  async #runOnce(stop: AbortSignal): Promise<{ reason: string | null; servedMs: number }> {
    const { status, log } = this.#deps;
    const brick = this.spec.brickPath;
    const node = await this.#deps.chooseNode(this.spec.remote);
    if (stop.aborted) return { reason: null, servedMs: 0 };
    let reason: string;
    let servedMs = 0;
    try {
      await this.#updateStatus(() => status.setWorkerStatus('Initializing...'));
      log.info('starting gsyncd worker', { brick, secondary_node: node.host });
      const child = await this.#deps.start(this.spec, node);
      this.#node = node;
      const ended = await this.#waitForEnd(child, stop);
      if (stop.aborted) return { reason: null, servedMs: 0 };
      servedMs = ended.servedMs;
      if (ended.exit.signal === 'SIGUSR1') {
        this.#backoff.reset();
        return { reason: null, servedMs };
      }
      if (this.spec.isRemoved === true && ended.exit.code === 0) {
        this.#retired.abort();
        log.info('removed brick: its changelogs are synced', { brick });
        await this.#deps.onRemovedBrickSynced(this.spec);
        return { reason: null, servedMs };
      }
      if (this.#deps.hasJustResumed()) {
        log.info('restarting worker after a pause', { brick, reason: endReason(ended.exit) });
        return { reason: null, servedMs };
      }
      reason = ended.isUnacknowledged
        ? `no acknowledgement after ${this.#deps.acknowledgeMs / 1000} s${messageSuffix(ended.exit)}`
        : endReason(ended.exit);
    } catch (error) {
      reason = errorLine(error);
    } finally {
      this.#node = null;
    }
    log.error('worker is faulty', { brick, secondary_node: node.host, reason });
    await this.#updateStatus(async () => {
      await status.setFaulty();
      await status.setLastError(reason);
    });
    this.#deps.onFaulty(this.spec, node);
    return { reason, servedMs };
  }

  /** Waits for the worker's end. A missing acknowledgement or `stop` causes it. */
  async #waitForEnd(
    child: GroupChild,
    stop: AbortSignal,
  ): Promise<{ exit: ExitInfo; servedMs: number; isUnacknowledged: boolean }> {
    const { log, acknowledgeMs, stopMs } = this.#deps;
    const brick = this.spec.brickPath;
    const stopped = new Promise<'stopped'>((resolve) => {
      if (stop.aborted) resolve('stopped');
      else stop.addEventListener('abort', () => resolve('stopped'), { once: true });
    });
    const exited = child.exited.then(() => 'exited' as const);
    const firstEvent = await within(
      Promise.race([child.acknowledged.then(() => 'acknowledged' as const), exited, stopped]),
      acknowledgeMs,
    );
    const startedMs = performance.now();
    if (firstEvent === undefined) {
      log.error('worker not confirmed after wait, aborting it: ssh to the secondary or the primary mount hangs', {
        brick,
        timeout: acknowledgeMs / 1000,
      });
      return { exit: await child.end({ closeMs: 0, termMs: 0, killMs: stopMs }), servedMs: 0, isUnacknowledged: true };
    }
    if (firstEvent !== 'stopped') {
      // The end of the process also closes the pipe.
      if ((await within(exited, EARLY_END_MS)) !== undefined) {
        log.info('worker died before establishing connection', { brick });
        return { exit: await child.exited, servedMs: 0, isUnacknowledged: false };
      }
      log.debug('worker connected', { brick });
      await Promise.race([exited, stopped]);
    }
    const servedMs = performance.now() - startedMs;
    const exit = stop.aborted ? await child.end({ closeMs: 0, termMs: stopMs, killMs: stopMs }) : await child.exited;
    if (!stop.aborted && servedMs < acknowledgeMs) log.info('worker died in startup phase', { brick });
    return { exit, servedMs, isUnacknowledged: false };
  }

  /** A status file that cannot be written does not prevent a worker from running. */
  async #updateStatus(change: () => Promise<void>): Promise<void> {
    try {
      await change();
    } catch (error) {
      this.#deps.log.warn('cannot write status file', { brick: this.spec.brickPath, error: errorLine(error) });
    }
  }
}

/** If the process ends within this time after the pipe closed, the worker did not acknowledge. */
const EARLY_END_MS = 300;

/** Why a worker ended, in one line: its last message, or its signal or exit code. */
function endReason(exit: ExitInfo): string {
  if (exit.signal !== null) return `killed by ${exit.signal}${messageSuffix(exit)}`;
  return lastMessage(exit) || `ended with exit code ${exit.code}`;
}

function messageSuffix(exit: ExitInfo): string {
  const message = lastMessage(exit);
  return message === '' ? '' : `: ${message}`;
}

/** The last line that the program marked as its own, else the last line: after a fault a stack trace follows. */
function lastMessage({ stderrTail }: ExitInfo): string {
  const lines = stderrTail
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  const own = lines.filter((line) => line.startsWith(OWN_PREFIX)).at(-1);
  return own?.slice(OWN_PREFIX.length) ?? lines.at(-1) ?? '';
}

const OWN_PREFIX = 'gsyncd-ts: ';
