// Runs a workload through its phases on a lab: operations before the worker's first start, while it is stopped, while
// it runs, and while it runs and is killed half-way. Used by the random test, by shrinking and by the regressions.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from './lab.js';
import type { CompareOptions } from './tree.js';
import type { Operation } from './workload.js';

/** Operations of each phase; an empty list skips the phase. */
export interface Phases {
  readonly first: readonly Operation[];
  readonly stopped: readonly Operation[];
  readonly live: readonly Operation[];
  readonly killed: readonly Operation[];
}

export const PHASE_NAMES = ['first', 'stopped', 'live', 'killed'] as const;

export interface PhaseOptions {
  readonly names?: CompareOptions['names'];
  readonly convergeMs: number;
}

/** Undefined when every phase ended with equal trees, else what differed and in which phase. */
export async function runPhases(lab: Lab, phases: Phases, options: PhaseOptions): Promise<string | undefined> {
  const compare = options.names === undefined ? {} : { names: options.names };
  let phase = 'first';
  try {
    await lab.apply(phases.first);
    let worker = lab.startWorker();
    await lab.waitConverged(options.convergeMs, compare);
    if (phases.stopped.length > 0) {
      phase = 'stopped';
      await worker.stop();
      await lab.apply(phases.stopped);
      worker = lab.startWorker();
      await lab.waitConverged(options.convergeMs, compare);
    }
    if (phases.live.length > 0) {
      phase = 'live';
      await lab.apply(phases.live, { paceMs: paceFor(phases.live) });
      await lab.waitConverged(options.convergeMs, compare);
    }
    if (phases.killed.length > 0) {
      phase = 'killed';
      const paceMs = paceFor(phases.killed);
      const applied = lab.apply(phases.killed, { paceMs });
      applied.catch(() => undefined); // it is awaited below
      await sleep(paceMs / 2);
      await worker.kill();
      await applied;
      worker = lab.startWorker();
      await lab.waitConverged(options.convergeMs, compare);
    }
    phase = 'stop';
    await worker.stop();
    await lab.assertNoMountsLeft();
    return undefined;
  } catch (error) {
    return `phase ${phase}: ${error instanceof Error ? error.message : String(error)}`;
  }
}

/** Long lists are spread over several changelogs. */
function paceFor(ops: readonly Operation[]): number {
  return Math.min(12_000, ops.length * 20);
}
