// The benchmark behind `npm run bench`. Each phase is measured for the stock worker and for this project's, on volumes
// made in the same way, one after the other, each behind a secondary of the same daemon:
//   first-rsync, first-tarssh  5,000 files of 4 KiB in 50 directories, from "starting hybrid crawl" to "finished hybrid crawl",
//                              to a secondary without other clients
//   busy-tarssh                the same with tarssh on a secondary that other clients used just before, so that its brick has
//                              several threads; only on request
//   live                       a new file of 4 KiB, and 4 KiB more in one that is there, from the write and from its changelog's
//                              rollover to the whole size on the secondary's brick; medians of 8 writes at odd moments
//   catch-up                   8 intervals of 1,000 appends, 200 creates, 100 renames, 50 unlinks and 100 chmods made while
//                              stopped, from the start of the worker to equal trees
//   backlog                    the same with 40 intervals, 58,000 changes; only on request, it takes ten minutes
//   distributed, triples, arbiter, disperse
//                              secondaries of several bricks, see bench-layouts.ts
//   wan                        over a slow network, see bench-wan.ts
//   pending                    a first sync of 100,000 empty files in 100 directories, this worker alone: its peak memory while
//                              they are pending
//   status                     what glusterd runs for `status`, 30 times each by turns (see bench-status.ts)
//   secondary                  entry operations a second of the stock secondary and this project's, taking turns, and the peak
//                              memory with a batch of 50,000
//   planning                   100,000 records of changelogs read and planned, in records a second (see plan.bench.ts)
// Processor time is that of the worker and everything it started on the primary's side; memory is the worker's peak.
import { readdirSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'vitest';
import { PLANNED_RECORDS, planningSteps } from '../primary/planning-steps.js';
import { statusCalls } from './bench-status.js';
import { changes, DAEMONS, measure, report, results, start, timeOf, type Who } from './bench-common.js';
import { benchLayouts, LAYOUT_PHASES } from './bench-layouts.js';
import { benchWan } from './bench-wan.js';
import { bothSecondaries } from './lab/both-secondaries.js';
import { Lab } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import type { WorkerHandle } from './lab/worker.js';

const PHASES = (
  process.env['BENCH_PHASES'] ?? 'planning,status,first-rsync,live,catch-up,first-tarssh,pending,secondary'
).split(',');
const WHO = (process.env['BENCH_WHO'] ?? 'stock,gsyncd-ts').split(',') as Who[];
const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 1);
const TREE = `python3 - <<'END'
import os
for i in range(5000):
    d = 'tree/d%02d' % (i % 50)
    os.makedirs(d, exist_ok=True)
    with open('%s/f%04d' % (d, i), 'wb') as f: f.write(os.urandom(4096))
END`;

/** A change that has not arrived by then is lost: the stock daemon loses some now and then. */
const LOST_MS = 60_000;
const CATCH_UP_INTERVALS = 8;
const BACKLOG_INTERVALS = 40;

const PENDING = `python3 - <<'END'
import os
for d in range(100):
    os.makedirs('tree/d%03d' % d)
    for i in range(1000): open('tree/d%03d/f%03d' % (d, i), 'w').close()
END`;

/** Load of other clients of the secondary: its brick keeps a thread for each of their calls that waited, for two minutes after
 *  the last. */
const OTHER_CLIENTS = `for i in {1..60}; do (for j in {1..5}; do ls -la . >/dev/null; getfattr -d . >/dev/null; stat absent-$i-$j; done) >/dev/null 2>&1 & done; wait`;

/** Waits until the brick has one thread: threads that the set-up left by chance would change the result. */
async function quiet(lab: Lab): Promise<void> {
  const threads = `pid=$(pgrep -f 'glusterfsd .*--volfile-id sv0[.]'); cat /proc/$pid/task/*/comm | grep -c iotwr || true`;
  await lab.until('one thread in the brick', async () => Number(await lab.sh(threads, '/')) <= 1, 240_000);
}

async function end(worker: WorkerHandle): Promise<void> {
  await worker.stop().catch(() => undefined);
}

async function firstSync(lab: Lab, who: Who, phase: string, tree = TREE): Promise<WorkerHandle> {
  await lab.sh(tree);
  if (phase.startsWith('busy')) await lab.sh(OTHER_CLIENTS, lab.secondary);
  else await quiet(lab);
  // Flushes earlier writes, so that only the worker uses the disk.
  await lab.exec(['sync']);
  const worker = start(lab, who);
  await measure(phase, who, [worker], async () => {
    await worker.waitForLog(/finished hybrid crawl/, 900_000);
    const log = await worker.log();
    return timeOf(log, 'finished hybrid crawl') - timeOf(log, 'starting hybrid crawl');
  });
  await lab.waitConverged(300_000);
  return worker;
}

/** New files and changes of files that are there, by turns. */
async function live(lab: Lab, who: Who, worker: WorkerHandle): Promise<void> {
  const htime = lab.box.outside('/srv/gv0_1/.glusterfs/changelogs/htime');
  const index = `${htime}/${readdirSync(htime)[0]}`;
  const fromWrite: Record<'new' | 'changed', number[]> = { new: [], changed: [] };
  const fromRollover: Record<'new' | 'changed', number[]> = { new: [], changed: [] };
  await lab.sh('mkdir live');
  await measure('live, whole time', who, [worker], async () => {
    const began = Date.now();
    for (let i = 0; i < 16; i++) {
      const [kind, path, size] =
        i % 2 === 0
          ? (['new', `live/f${i}`, 4096] as const)
          : (['changed', `tree/d00/f${String(50 * i).padStart(4, '0')}`, 8192] as const);
      await sleep(500 + 270 * i);
      await lab.sh(`head -c 4096 /dev/zero >>${path}`);
      const written = Date.now();
      const target = lab.box.outside(`/srv/sv0_1/${path}`);
      let rolled = 0;
      while (statSync(target, { throwIfNoEntry: false })?.size !== size) {
        if (rolled === 0 && statSync(index).mtimeMs > written) rolled = Date.now();
        if (Date.now() - written > LOST_MS) {
          console.log(`live ${who}: ${path} is not up to date after ${LOST_MS / 1000} s`);
          break;
        }
        await sleep(10);
      }
      fromWrite[kind].push(Date.now() - written);
      fromRollover[kind].push(rolled === 0 ? 0 : Date.now() - rolled);
    }
    return (Date.now() - began) / 1000;
  });
  const median = (list: number[]): number => (list.sort((a, b) => a - b)[list.length >> 1] ?? 0) / 1000;
  const { cpuSeconds, peakMiB } = results.at(-1)!;
  for (const kind of ['new', 'changed'] as const) {
    results.push({ phase: `live, ${kind}, from write`, who, seconds: median(fromWrite[kind]), cpuSeconds, peakMiB });
    results.push({
      phase: `live, ${kind}, from rollover`,
      who,
      seconds: median(fromRollover[kind]),
      cpuSeconds,
      peakMiB,
    });
  }
}

async function catchUp(lab: Lab, who: Who, phase: string, intervals: number): Promise<void> {
  await lab.sh(changes(intervals, { of: 2000, per: 1000 }));
  const worker = start(lab, who);
  const began = Date.now();
  await measure(phase, who, [worker], async () => {
    // A comparison takes processor time from both, so it starts only after the worker has finished its crawl.
    await worker.waitForLog(/finished history crawl/, 1_200_000);
    await lab.waitConverged(1_200_000);
    return (Date.now() - began) / 1000;
  });
  await end(worker);
}

/** Peak memory with many pending files, of this worker only: the stock worker would take very long. */
async function pending(): Promise<void> {
  const lab = await Lab.start({ config: { 'secondary-access-mount': 'true' } });
  try {
    await end(await firstSync(lab, 'gsyncd-ts', 'pending, 100,000 files', PENDING));
  } finally {
    await lab.close();
  }
}

interface SecondaryRates {
  readonly one: number;
  readonly many: number;
  readonly before: number;
  readonly after: number;
}

async function secondaries(): Promise<void> {
  const lab = await Lab.start({ session: 'none' });
  try {
    const { daemon, stock, own } = await bothSecondaries(lab);
    const argv = [
      'python3',
      `${REPO}/test/fixtures/secondary/rates.py`,
      daemon,
      '/srv/rates.json',
      JSON.stringify([stock, own]),
    ];
    const { stderr } = await lab.exec(argv, { onFailure: 'return', timeoutMs: 900_000 });
    const found = JSON.parse(
      await lab.read('/srv/rates.json').catch(() => Promise.reject(new Error(`rates.py: ${stderr}`))),
    ) as SecondaryRates[];
    for (const [i, { one, many, before, after }] of found.entries()) {
      const who = i === 0 ? 'stock' : 'gsyncd-ts';
      console.log(
        `secondary ${who}: ${one.toFixed(0)}/s in one directory, ${many.toFixed(0)}/s in 64, peak ${before} MiB, ${after} MiB with 50,000 in a call`,
      );
    }
  } finally {
    await lab.close();
  }
}

/** Rates of the steps between a changelog's bytes and the operations, without other load. */
function planning(): void {
  for (const [step, run] of Object.entries(planningSteps())) {
    run();
    const began = performance.now();
    for (let i = 0; i < 5; i++) run();
    console.log(
      `planning, ${step}: ${Math.round((5 * PLANNED_RECORDS) / ((performance.now() - began) / 1000)).toLocaleString('en')} records/s`,
    );
  }
}

test('benchmark', async () => {
  if (PHASES.includes('planning')) planning();
  if (PHASES.includes('status')) for (const line of await statusCalls()) console.log(line);
  for (let round = 0; round < ROUNDS; round++) {
    for (const who of WHO) {
      if (['first-rsync', 'live', 'catch-up', 'backlog'].some((phase) => PHASES.includes(phase))) {
        const lab = await Lab.start({ gsyncd: DAEMONS[who], config: { 'secondary-access-mount': 'true' } });
        try {
          const worker = await firstSync(lab, who, 'first sync, rsync');
          if (PHASES.includes('live')) await live(lab, who, worker);
          await end(worker);
          if (PHASES.includes('catch-up')) await catchUp(lab, who, 'catch-up', CATCH_UP_INTERVALS);
          if (PHASES.includes('backlog')) await catchUp(lab, who, 'backlog', BACKLOG_INTERVALS);
        } finally {
          await lab.close();
        }
      }
      for (const [phase, title] of [
        ['first-tarssh', 'first sync, tarssh'],
        ['busy-tarssh', 'busy secondary, tarssh'],
      ] as const) {
        if (!PHASES.includes(phase)) continue;
        const lab = await Lab.start({
          gsyncd: DAEMONS[who],
          config: { 'secondary-access-mount': 'true', 'sync-method': 'tarssh' },
        });
        try {
          await end(await firstSync(lab, who, title));
        } finally {
          await lab.close();
        }
      }
    }
    for (const layout of LAYOUT_PHASES)
      if (PHASES.includes(layout)) for (const who of WHO) await benchLayouts[layout](who);
    if (PHASES.includes('wan')) for (const who of WHO) await benchWan(who);
    if (PHASES.includes('pending')) await pending();
    if (PHASES.includes('secondary')) await secondaries();
  }
  report(ROUNDS);
});
