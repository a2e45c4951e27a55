// Seeds of the random tests, and fast-check with such a seed. They are pinned, so that a failure of a run belongs to its
// change. Nightly runs draw new ones.

import { randomInt } from 'node:crypto';
import fc from 'fast-check';

const PINNED_SEED = 20_260;

const drawnSeed = process.env['NIGHTLY'] === undefined ? PINNED_SEED : randomInt(1 << 30);

/** @param variable name of the environment variable that sets it */
export function seedFrom(variable: string): number {
  return Number(process.env[variable] ?? drawnSeed);
}

fc.configureGlobal({ seed: seedFrom('FC_SEED') });

export { fc };
