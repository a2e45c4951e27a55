// A whole run of a worker on plain directories as data: operations, how the worker sees them, and where it ends. The
// same seed gives the same sequence, and a sequence can be saved, shortened and run again.

import { setTimeout as delay } from 'node:timers/promises';
import { shortest } from '../gluster/lab/shrink.js';
import { Random } from '../gluster/lab/random.js';
import { Workload, type Operation } from '../gluster/lab/workload.js';
import { applyOperation } from './apply.js';
import { Pair, type CrashPoint } from './pair.js';

export interface Phase {
  readonly operations: readonly Operation[];
  /** `down`: not running; `frozen`: held by SIGSTOP, so that one scan sees all operations; `running`: each scan sees a random
   *  part of them. */
  readonly worker: 'down' | 'frozen' | 'running';
  /** How the worker ends: not at all, by SIGTERM, or killed at one of its calls. */
  readonly end: 'none' | 'SIGTERM' | CrashPoint;
  /** --rollover-time of a worker that is started in this phase. */
  readonly rolloverS?: number;
}

export type Sequence = readonly Phase[];

const OPERATIONS = 250;
/** A worker that does not reach its crash point in this time has nothing left to do. */
const CRASH_WAIT_MS = 2_500;

/** @param live 'frozen' repeats exactly; 'running' changes the tree while the worker works */
export function randomSequence(seed: number, phases: number, live: 'frozen' | 'running'): Sequence {
  const workload = new Workload({
    seed,
    names: 'bytes',
    attributes: 'all',
    devices: process.geteuid?.() === 0 ? 'all' : 'none',
    moves: 'all',
    top: 'top',
  });
  const random = new Random(seed + 1);
  return Array.from({ length: phases }, (_, i): Phase => {
    const calls = 1 + Math.floor(2 ** (random.next() * 10));
    const crash: CrashPoint = { calls, side: random.int(2) === 0 ? 'before' : 'after' };
    return {
      operations: workload.next(i === 0 ? OPERATIONS : 1 + random.int(OPERATIONS)),
      worker: i === 0 || random.int(3) === 0 ? 'down' : live,
      end: random.int(4) === 0 ? 'none' : random.int(5) === 0 ? 'SIGTERM' : crash,
      rolloverS: random.pick([1, 2, 3, 7, 15, 60]),
    };
  });
}

/** @returns the differences between the trees in the end. `tell` gets them with the warnings and errors of the log. */
export async function runSequence(
  sequence: Sequence,
  options: { convergeMs: number; args?: readonly string[]; tell?: (text: string) => void },
): Promise<readonly string[]> {
  const pair = new Pair(options.args);
  try {
    for (const [i, phase] of sequence.entries()) await runPhase(pair, phase, i);
    if (!pair.isRunning) pair.start();
    const { differences } = await pair.converged(options.convergeMs);
    const found = pair.isRunning ? differences : [...differences, `the worker has ended: ${pair.stderr.trim()}`];
    const complaints = pair.log.split('\n').filter((line) => / [WE] \[/.test(line));
    if (found.length > 0) options.tell?.([...found, ...complaints.slice(-40)].join('\n'));
    return found;
  } finally {
    await pair.remove();
  }
}

async function runPhase(pair: Pair, { operations, worker, end, rolloverS }: Phase, i: number): Promise<void> {
  pair.rolloverS = rolloverS;
  const apply = (part: readonly Operation[]): void => {
    for (const operation of part) applyOperation(pair.a, operation);
  };
  const crash = typeof end === 'object' ? end : undefined;
  if (worker === 'down') {
    await pair.end('SIGKILL');
    apply(operations);
    pair.start(crash);
  } else {
    if (!pair.isRunning) pair.start();
    // A frozen worker has to be idle first, so that one scan sees all operations.
    if (worker === 'frozen') await pair.converged(20_000);
    if (crash !== undefined) pair.crashAt(crash);
    if (worker === 'frozen') pair.frozen(() => apply(operations));
    const random = new Random(i);
    for (let at = 0; worker === 'running' && at < operations.length; at += 10) {
      apply(operations.slice(at, at + 10));
      await delay(random.int(30));
    }
  }
  if (crash !== undefined) await Promise.race([pair.exited, pair.converged(CRASH_WAIT_MS)]);
  if (crash !== undefined) await pair.end('SIGKILL');
  if (end === 'SIGTERM') await delay(300);
  if (end === 'SIGTERM') await pair.end('SIGTERM');
}

/** @returns the shortest failing sequence found in at most `maxRuns` runs */
export async function shrinkSequence(
  sequence: Sequence,
  fails: (tried: Sequence) => Promise<boolean>,
  maxRuns: number,
): Promise<Sequence> {
  let runs = 0;
  const mayTry = (): boolean => runs < maxRuns;
  const tryout = async (tried: Sequence): Promise<boolean> => runs++ < maxRuns && fails(tried);
  const phases = await shortest(sequence, tryout, mayTry);
  const flat = phases.flatMap((phase, i) => phase.operations.map((operation) => [i, operation] as const));
  const assemble = (kept: typeof flat | readonly (typeof flat)[number][]): Sequence =>
    phases.map((phase, i) => ({
      ...phase,
      operations: kept.filter(([at]) => at === i).map(([, operation]) => operation),
    }));
  return assemble(await shortest(flat, (tried) => tryout(assemble(tried)), mayTry));
}
