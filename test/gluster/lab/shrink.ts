// Shrinks a failing workload by delta debugging (ddmin), and keeps the rest as a regression. The predicate runs a
// whole lab, so its calls are bounded.
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { PHASE_NAMES } from './phases.js';
import type { Phases } from './phases.js';
import type { Operation } from './workload.js';

type Step = readonly [(typeof PHASE_NAMES)[number], Operation];

export interface Regression {
  readonly seed: number;
  readonly names: 'all' | 'utf8';
  readonly config: Readonly<Record<string, string>>;
  readonly phases: Phases;
  /** A description of the failure. */
  readonly about?: string;
}

/** Where regressions are kept. */
export const REGRESSIONS = path.resolve(import.meta.dirname, '../regressions');

/**
 * The shortest part of `phases` found for which `fails` still holds, in at most `maxRuns` calls of it. Operations keep
 * their order and their phase.
 */
export async function shrink(
  phases: Phases,
  fails: (tried: Phases) => Promise<boolean>,
  maxRuns = 60,
): Promise<Phases> {
  let steps: Step[] = PHASE_NAMES.flatMap((name) => phases[name].map((op): Step => [name, op]));
  let runs = 0;
  const tryout = async (tried: readonly Step[]): Promise<boolean> => runs++ < maxRuns && fails(assemble(tried));
  // The phases behind the failing one are the cheapest to lose.
  for (let keep = 1; keep < PHASE_NAMES.length; keep++) {
    const kept = new Set<string>(PHASE_NAMES.slice(0, keep));
    const tried = steps.filter(([name]) => kept.has(name));
    if (tried.length < steps.length && (await tryout(tried))) {
      steps = tried;
      break;
    }
  }
  return assemble(await shortest(steps, tryout, () => runs < maxRuns));
}

/** Delta debugging: the shortest part of `items`, in their order, found for which `fails` still holds. */
export async function shortest<T>(
  items: readonly T[],
  fails: (tried: readonly T[]) => Promise<boolean>,
  mayTry: () => boolean,
): Promise<readonly T[]> {
  let kept = items;
  let parts = 2;
  while (kept.length > 1 && mayTry()) {
    const size = Math.ceil(kept.length / parts);
    let smaller: readonly T[] | undefined;
    for (let at = 0; at < kept.length && smaller === undefined; at += size) {
      const tried = [...kept.slice(0, at), ...kept.slice(at + size)];
      if (await fails(tried)) smaller = tried;
    }
    if (smaller !== undefined) {
      kept = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) break;
    else parts = Math.min(kept.length, parts * 2);
  }
  return kept;
}

function assemble(steps: readonly Step[]): Phases {
  const of = (phase: string): Operation[] => steps.filter(([name]) => name === phase).map(([, op]) => op);
  return { first: of('first'), stopped: of('stopped'), live: of('live'), killed: of('killed') };
}

/** Writes a regression file and returns its path. */
export async function saveRegression(regression: Regression): Promise<string> {
  await mkdir(REGRESSIONS, { recursive: true });
  const file = path.join(REGRESSIONS, `seed-${regression.seed}-${regression.config['sync-method'] ?? 'rsync'}.json`);
  await writeFile(file, `${JSON.stringify(regression, null, 1)}\n`);
  return file;
}
