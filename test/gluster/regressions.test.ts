// Replays the sequences in regressions/: shortest forms of workloads that did not converge once. Sequences with the same
// configuration share a lab.
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { runPhases } from './lab/phases.js';
import { REGRESSIONS } from './lab/shrink.js';
import type { Regression } from './lab/shrink.js';
import { useLab } from './lab/use-lab.js';

const all = readdirSync(REGRESSIONS)
  .filter((name) => name.endsWith('.json'))
  .map((name) => ({ name, regression: JSON.parse(readFileSync(path.join(REGRESSIONS, name), 'utf8')) as Regression }));
const configs = [...new Set(all.map(({ regression }) => JSON.stringify(regression.config)))];

describe.each(configs)('with %s', (config) => {
  const lab = useLab({ config: JSON.parse(config) as Record<string, string> });

  test.each(all.filter((one) => JSON.stringify(one.regression.config) === config))(
    '$name converges',
    async ({ regression }) => {
      // Removes the files of the previous sequence.
      await lab().sh('find . -mindepth 1 -maxdepth 1 ! -name .trashcan -exec rm -rf {} +');
      const failure = await runPhases(lab(), regression.phases, { names: regression.names, convergeMs: 60_000 });
      expect(failure).toBeUndefined();
    },
  );
});
