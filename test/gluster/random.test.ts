// A seeded random workload through the four ways in which changes reach a worker: first sync, made while stopped, live,
// and live with the worker killed in the middle. Each phase has to end with equal trees. The seed is printed;
//   WORKLOAD_SEED=n   repeats a run
//   WORKLOAD_OPS=n    operations a phase (default 500)
//   WORKLOAD_SHRINK=1 looks for the shortest failing sequence when a phase fails, and writes it to regressions/
import { expect, test } from 'vitest';
import { Lab } from './lab/lab.js';
import type { LabOptions } from './lab/lab.js';
import { nightly } from './lab/nightly.js';
import { runPhases } from './lab/phases.js';
import type { Phases } from './lab/phases.js';
import { saveRegression, shrink } from './lab/shrink.js';
import { Workload } from './lab/workload.js';
import type { WorkloadOptions } from './lab/workload.js';
import { seedFrom } from '../seeds.js';

const seed = seedFrom('WORKLOAD_SEED');
const count = Number(process.env['WORKLOAD_OPS'] ?? 500);

async function converges(
  options: WorkloadOptions,
  config: Readonly<Record<string, string>>,
  { gsyncd = 'stock', brickDisks }: Pick<LabOptions, 'gsyncd' | 'brickDisks'> = {},
): Promise<void> {
  console.log(
    `random workload: WORKLOAD_SEED=${seed} WORKLOAD_OPS=${count} (${options.names}, ${JSON.stringify(config)}, secondary: ${gsyncd}, bricks: ${brickDisks ?? 'this disk'})`,
  );
  const workload = new Workload(options);
  const phases: Phases = {
    first: workload.next(count),
    stopped: workload.next(count),
    live: workload.next(count),
    killed: workload.next(count),
  };
  // Comparisons leave out names that a stock secondary cannot take.
  const names = options.names === 'utf8' || gsyncd === 'ours' ? 'all' : 'utf8';
  const run = async (tried: Phases): Promise<string | undefined> => {
    const lab = await Lab.start({ config, gsyncd, ...(brickDisks === undefined ? {} : { brickDisks }) });
    let failure = await runPhases(lab, tried, { names, convergeMs: 120_000 });
    if (failure === undefined && names === 'all') failure = await leftOver(lab);
    await lab.close(failure === undefined ? 'passed' : 'failed');
    return failure;
  };
  const failure = await run(phases);
  if (failure !== undefined && process.env['WORKLOAD_SHRINK'] !== undefined) {
    const shortest = await shrink(phases, async (tried) => (await run(tried)) !== undefined);
    console.log(`shortest failing sequence: ${await saveRegression({ seed, names, config, phases: shortest })}`);
  }
  expect(failure, `seed ${seed}`).toBeUndefined();
}

/** The lines of the failure lists; undefined when these are empty. */
async function leftOver(lab: Lab): Promise<string | undefined> {
  const lines = await lab.sh('find . -name failures -exec cat {} +', '/var/lib/misc/gluster/gsyncd');
  return lines === '' ? undefined : `durable list:\n${lines}`;
}

test('a random workload converges through first sync, stop, live changes and a kill, with rsync, on XFS bricks', async () => {
  await converges(
    { seed, names: 'utf8', attributes: 'all', top: 'work' },
    { 'sync-method': 'rsync' },
    { brickDisks: 'xfs' },
  );
});

nightly('a random workload with names that are not UTF-8 converges except for these names, with tarssh', async () => {
  await converges({ seed, names: 'bytes', attributes: 'plain', top: 'work' }, { 'sync-method': 'tarssh' });
});

test('behind a secondary of this project, following the open changelog, names that are not UTF-8 and device nodes converge, too', async () => {
  await converges(
    { seed, names: 'bytes', attributes: 'all', devices: 'all', top: 'work' },
    {
      'sync-method': 'rsync',
      'small-file-size': ['0', '500', '65536'][seed % 3]!,
      'follow-open-changelog': 'true',
    },
    { gsyncd: 'ours' },
  );
});
