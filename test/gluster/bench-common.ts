// Shared by the benchmark's phases: starting and measuring workers, and the table in the end.
import type { Gsyncd, Lab } from './lab/lab.js';
import { usageOf } from './lab/meter.js';
import type { WorkerHandle } from './lab/worker.js';

export type Who = 'stock' | 'gsyncd-ts';

/** The gsyncd on the secondary: administrators run the same daemon on both sides. */
export const DAEMONS: Readonly<Record<Who, Gsyncd>> = { stock: 'stock', 'gsyncd-ts': 'ours' };

interface Result {
  readonly phase: string;
  readonly who: Who;
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly peakMiB: number;
}

export const results: Result[] = [];

/**
 * A script that changes the `of` first files of the tree, and new ones, in intervals of 3.2 s. Each interval has `per` appends,
 * a fifth as many new files, a tenth as many renames and chmods, and a twentieth as many unlinks.
 */
export function changes(intervals: number, { of, per }: { of: number; per: number }): string {
  return `python3 - <<'END'
import os, random, time
rng = random.Random(1)
files = ['tree/d%02d/f%04d' % (i % 50, i) for i in range(${of})]
for r in range(${intervals}):
    start = time.time()
    for f in rng.sample(files, ${per}):
        with open(f, 'ab') as fh: fh.write(b'x' * 100)
    for i in range(${per / 5}):
        f = 'tree/d%02d/n%d-%d' % (i % 50, r, i)
        with open(f, 'wb') as fh: fh.write(b'new')
        files.append(f)
    for i in range(${per / 10}):
        k = rng.randrange(len(files)); to = files[k] + '.r%d' % r
        os.rename(files[k], to); files[k] = to
    for i in range(${per / 20}): os.unlink(files.pop(rng.randrange(len(files))))
    for f in rng.sample(files, ${per / 10}): os.chmod(f, rng.choice([0o600, 0o640, 0o755]))
    time.sleep(max(0, 3.2 - (time.time() - start)))
END`;
}

export function start(lab: Lab, who: Who, brick = 0): WorkerHandle {
  return who === 'stock' ? lab.startStockWorker({ brick }) : lab.startWorker({ brick });
}

/** Time of the first log line with `text`, in seconds. */
export function timeOf(log: string, text: string): number {
  const line = log.split('\n').find((l) => l.includes(text)) ?? '';
  const [, date, clock, fraction] = /^\[(\S+) (\S+?)\.(\d+)\]/.exec(line) ?? [];
  if (date === undefined) throw new Error(`bench: no line with ${text}`);
  return Date.parse(`${date}T${clock}Z`) / 1000 + Number(fraction) / 1e6;
}

/** Runs `work`, and records the seconds that it returns and the workers' processor time and memory. */
export async function measure(
  phase: string,
  who: Who,
  workers: readonly WorkerHandle[],
  work: () => Promise<number>,
): Promise<void> {
  const usage = async (): Promise<{ cpuSeconds: number; peakMiB: number }> => {
    const all = await Promise.all(workers.map(async (worker) => usageOf(await worker.pid())));
    return {
      cpuSeconds: all.reduce((sum, { cpuSeconds }) => sum + cpuSeconds, 0),
      peakMiB: Math.max(...all.map(({ peakMiB }) => peakMiB)),
    };
  };
  const before = await usage();
  const seconds = await work();
  const after = await usage();
  results.push({ phase, who, seconds, cpuSeconds: after.cpuSeconds - before.cpuSeconds, peakMiB: after.peakMiB });
  console.log(`${phase} ${who}: ${seconds.toFixed(2)} s`);
}

export function report(rounds: number): void {
  const phases = [...new Set(results.map((r) => r.phase))];
  const median = (list: number[]): number => list.sort((a, b) => a - b)[list.length >> 1] ?? NaN;
  const of = (phase: string, who: Who, field: 'seconds' | 'cpuSeconds' | 'peakMiB'): number =>
    median(results.filter((r) => r.phase === phase && r.who === who).map((r) => r[field]));
  console.log(`\nmedian of ${rounds}: stock, gsyncd-ts, ratio`);
  for (const phase of phases) {
    const cells = (['seconds', 'cpuSeconds', 'peakMiB'] as const).map((field) => {
      const [a, b] = [of(phase, 'stock', field), of(phase, 'gsyncd-ts', field)];
      return `${field} ${a.toFixed(2)} ${b.toFixed(2)} ${(b / a).toFixed(2)}`;
    });
    console.log(`${phase.padEnd(28)} ${cells.map((c) => c.padEnd(34)).join(' ')}`);
  }
}
