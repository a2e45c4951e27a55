// Random operations on a directory while its worker runs, crashes at any call and is started again: both trees end equal.
// A failing sequence is shortened and written to a file.
//   GSYNCD_EMBEDDED_SEED=n         repeats a run; without it each run has a new seed
//   GSYNCD_EMBEDDED_ROUNDS=n       number of seeds
//   GSYNCD_EMBEDDED_SEQUENCE=file  runs the sequence of such a file

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { randomSequence, runSequence, shrinkSequence, type Sequence } from './sequence.js';
import { seedFrom } from '../seeds.js';

const SEED = seedFrom('GSYNCD_EMBEDDED_SEED');
const ROUNDS = Number(process.env['GSYNCD_EMBEDDED_ROUNDS'] ?? 1);
const FILE = process.env['GSYNCD_EMBEDDED_SEQUENCE'];
const PHASES = 7;
const CONVERGE_MS = 45_000;
const SHRINK_RUNS = 30;
/** One run takes some seconds; a failing one is followed by those that shorten it. */
const TIMEOUT_MS = 900_000;

async function check(sequence: Sequence, seed: number): Promise<void> {
  const differences = await runSequence(sequence, { convergeMs: CONVERGE_MS, tell: (text) => console.log(text) });
  if (differences.length === 0) return;
  const fails = async (tried: Sequence): Promise<boolean> =>
    (await runSequence(tried, { convergeMs: 12_000 })).length > 0;
  const shortened = await shrinkSequence(sequence, fails, SHRINK_RUNS);
  const file = join(mkdtempSync(join(tmpdir(), 'gsyncd-sequence-')), `seed-${seed}.json`);
  writeFileSync(file, `${JSON.stringify(shortened, null, 1)}\n`);
  console.log(
    `the shortest failing sequence that was found (GSYNCD_EMBEDDED_SEQUENCE=${file}):\n${JSON.stringify(shortened)}`,
  );
  expect(differences, `seed ${seed}`).toEqual([]);
}

describe('a worker on plain directories ends with equal trees', () => {
  if (FILE !== undefined) {
    test(
      'after the sequence read from a file',
      () => check(JSON.parse(readFileSync(FILE, 'utf8')) as Sequence, 0),
      TIMEOUT_MS,
    );
    return;
  }
  const seeds = Array.from({ length: ROUNDS }, (_, i) => SEED + i);
  test.each(seeds)(
    'after random operations seen at once, and crashes at any call (seed %i)',
    (seed) => check(randomSequence(seed, PHASES, 'frozen'), seed),
    TIMEOUT_MS,
  );
  test.each(seeds)(
    'after random operations made while it works, and crashes (seed %i)',
    (seed) => check(randomSequence(seed, PHASES, 'running'), seed),
    TIMEOUT_MS,
  );
});
