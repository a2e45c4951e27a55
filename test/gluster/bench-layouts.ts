// The benchmark's phases on the layouts that people run: the primary has two bricks and so two workers, the secondary is
// distributed and replicated. What administrators have on both sides is measured: stock with stock, this project with itself. Bricks are XFS.
//   distributed       secondary 2 x 2: a first sync of 1,000 files of 4 KiB and 50 symlinks with rsync and with tarssh, from the
//                     first "starting hybrid crawl" to the last "finished hybrid crawl"; 250 files written under a temporary
//                     name and renamed, in eight directories, from the last rename until all are whole on all bricks; a backlog of four intervals
//                     made while stopped, from the workers' start to equal trees
//   triples, arbiter, disperse  only the first sync, with rsync, on a secondary 2 x 3, 2 x (2+1), 2+1
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { changes, DAEMONS, measure, start, timeOf, type Who } from './bench-common.js';
import { Lab } from './lab/lab.js';
import type { LabOptions } from './lab/lab.js';
import type { WorkerHandle } from './lab/worker.js';

export const LAYOUT_PHASES = ['distributed', 'triples', 'arbiter', 'disperse'] as const;
type LayoutPhase = (typeof LAYOUT_PHASES)[number];

const SECONDARIES = {
  distributed: { bricks: 4, layout: 'pairs' },
  triples: { bricks: 6, layout: 'triples' },
  arbiter: { bricks: 6, layout: 'arbiter' },
  disperse: { bricks: 3, layout: 'disperse' },
} as const satisfies Record<LayoutPhase, LabOptions['secondary']>;

const TREE = `python3 - <<'END'
import os
for i in range(1000):
    d = 'tree/d%02d' % (i % 50)
    os.makedirs(d, exist_ok=True)
    with open('%s/f%04d' % (d, i), 'wb') as f: f.write(os.urandom(4096))
    if i % 20 == 0: os.symlink('f%04d' % i, '%s/s%04d' % (d, i))
END`;

const RENAMED = 250;
const RENAMED_BYTES = 4096;
const SECONDARY_BRICKS = [1, 2, 3, 4];
const RENAMES = `python3 - <<'END'
import os
for d in range(8): os.makedirs('live/d%d' % d, exist_ok=True)
for i in range(${RENAMED}):
    name = 'live/d%d/f%d' % (i % 8, i)
    with open(name + '.tmp', 'wb') as f: f.write(os.urandom(${RENAMED_BYTES}))
    os.rename(name + '.tmp', name)
END`;

/** The time recorded for a run whose trees are not equal by then. */
const LIMIT_S = 60;
const PRIMARY_BRICKS = [0, 1];

async function withLab(
  phase: LayoutPhase,
  who: Who,
  engine: 'rsync' | 'tarssh',
  work: (lab: Lab) => Promise<void>,
): Promise<void> {
  const config = { 'secondary-access-mount': 'true', 'sync-method': engine };
  const lab = await Lab.start({
    bricks: PRIMARY_BRICKS.length,
    secondary: SECONDARIES[phase],
    gsyncd: DAEMONS[who],
    brickDisks: 'xfs',
    config,
  });
  try {
    await work(lab);
  } finally {
    await lab.close();
  }
}

async function firstSync(lab: Lab, who: Who, title: string): Promise<WorkerHandle[]> {
  await lab.sh(TREE);
  await lab.exec(['sync']);
  const workers = PRIMARY_BRICKS.map((brick) => start(lab, who, brick));
  await measure(title, who, workers, async () => {
    const until = (text: string, pick: typeof Math.max): Promise<number> =>
      Promise.all(
        workers.map(async (worker) => {
          await worker.waitForLog(new RegExp(text), 600_000);
          return timeOf(await worker.log(), text);
        }),
      ).then((times) => pick(...times));
    const began = await until('starting hybrid crawl', Math.min);
    return (await until('finished hybrid crawl', Math.max)) - began;
  });
  await lab.waitConverged(300_000);
  return workers;
}

/** Number of complete files under their final names on the secondary's bricks. A comparison of trees would take seconds. */
function copies(lab: Lab): number {
  const dirs = SECONDARY_BRICKS.map((brick) => lab.box.outside(`/srv/sv0_${brick}/live`)).filter((dir) =>
    existsSync(dir),
  );
  const files = dirs
    .flatMap((dir) => readdirSync(dir, { recursive: true, withFileTypes: true }))
    .filter((file) => file.isFile() && !file.name.endsWith('.tmp'));
  return files.filter(
    ({ parentPath, name }) => statSync(join(parentPath, name), { throwIfNoEntry: false })?.size === RENAMED_BYTES,
  ).length;
}

/** Seconds until the trees are equal, LIMIT_S when they are not by then. */
async function untilEqual(lab: Lab, beganMs: number, limitS = LIMIT_S): Promise<number> {
  try {
    await lab.waitConverged(limitS * 1000 - (Date.now() - beganMs));
    return (Date.now() - beganMs) / 1000;
  } catch (error) {
    console.log(String(error).slice(0, 300));
    return limitS;
  }
}

async function renames(lab: Lab, who: Who, workers: readonly WorkerHandle[]): Promise<void> {
  await sleep(5_000);
  await measure('2 x 2: live, renamed', who, workers, async () => {
    await lab.sh(RENAMES);
    const beganMs = Date.now();
    while (copies(lab) < 2 * RENAMED && Date.now() - beganMs < LIMIT_S * 1000) await sleep(100);
    const seconds = (Date.now() - beganMs) / 1000;
    return (await untilEqual(lab, beganMs)) < LIMIT_S ? seconds : LIMIT_S;
  });
}

async function backlog(lab: Lab, who: Who): Promise<void> {
  await lab.sh(changes(4, { of: 1000, per: 300 }));
  const beganMs = Date.now();
  const workers = PRIMARY_BRICKS.map((brick) => start(lab, who, brick));
  await measure('2 x 2: backlog', who, workers, () => untilEqual(lab, beganMs, 5 * LIMIT_S));
  await stop(workers);
}

async function stop(workers: readonly WorkerHandle[]): Promise<void> {
  for (const worker of workers) await worker.stop().catch(() => undefined);
}

async function distributed(who: Who): Promise<void> {
  await withLab('distributed', who, 'rsync', async (lab) => {
    const workers = await firstSync(lab, who, '2 x 2: first sync, rsync');
    await renames(lab, who, workers);
    await stop(workers);
    await backlog(lab, who);
  });
  await withLab('distributed', who, 'tarssh', async (lab) =>
    stop(await firstSync(lab, who, '2 x 2: first sync, tarssh')),
  );
}

const only =
  (phase: LayoutPhase, title: string) =>
  (who: Who): Promise<void> =>
    withLab(phase, who, 'rsync', async (lab) => stop(await firstSync(lab, who, `${title}: first sync`)));

export const benchLayouts: Readonly<Record<LayoutPhase, (who: Who) => Promise<void>>> = {
  distributed,
  triples: only('triples', '2 x 3'),
  arbiter: only('arbiter', '2 x (2+1)'),
  disperse: only('disperse', '2+1'),
};
