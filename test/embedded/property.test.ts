// Random operations on a directory while its worker runs, is killed at any moment and started again: both trees end
// equal. GSYNCD_EMBEDDED_SEED repeats a run, GSYNCD_EMBEDDED_ROUNDS makes it longer.

import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { Random, Workload, type Operation } from '../gluster/lab/workload.js';
import { applyOperation } from './apply.js';
import { Pair } from './pair.js';

const SEED = Number(process.env['GSYNCD_EMBEDDED_SEED'] ?? randomInt(1 << 30));
const ROUNDS = Number(process.env['GSYNCD_EMBEDDED_ROUNDS'] ?? 1);
const PHASES = 6;
const OPERATIONS = 250;

async function differencesOf(seed: number, args: readonly string[]): Promise<readonly string[]> {
  const workload = new Workload({ seed, names: 'bytes', attributes: 'all', top: 'top' });
  const random = new Random(seed + 1);
  const pair = new Pair(args);
  try {
    apply(pair, workload.next(OPERATIONS));
    pair.start();
    for (let phase = 0; phase < PHASES; phase += 1) {
      const operations = workload.next(OPERATIONS);
      const killAt = random.int(operations.length);
      for (const [i, operation] of operations.entries()) {
        applyOperation(pair.a, operation);
        if (i % 10 === 0) await delay(random.int(30));
        if (i !== killAt) continue;
        await pair.end(random.int(3) === 0 ? 'SIGTERM' : 'SIGKILL');
        if (random.int(2) === 0) apply(pair, workload.next(30));
        pair.start();
      }
    }
    const { differences } = await pair.converged(45_000);
    if (differences.length > 0) console.log(pair.log.split('\n').filter((line) => / [WE] \[/.test(line)).slice(-40).join('\n'));
    return pair.isRunning ? differences : [...differences, 'the worker has ended'];
  } finally {
    if (process.env['GSYNCD_EMBEDDED_KEEP'] === undefined) await pair.remove();
    else {
      await pair.end('SIGKILL');
      console.log(`kept: ${pair.dir}`);
    }
  }
}

function apply(pair: Pair, operations: readonly Operation[]): void {
  for (const operation of operations) applyOperation(pair.a, operation);
}

describe('a worker on plain directories', () => {
  test.each(Array.from({ length: ROUNDS }, (_, i) => SEED + i))(
    'ends with equal trees after random operations, kills and restarts (seed %i)',
    async (seed) => {
      expect(await differencesOf(seed, [])).toEqual([]);
    },
    180_000,
  );
});
