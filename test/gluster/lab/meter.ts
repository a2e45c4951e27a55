// The cost of a worker: processor time of it and all that it started, and its peak memory. Read from /proc.
import { readdir, readFile } from 'node:fs/promises';

export interface Usage {
  /** Seconds of processor time, user and system, of the process, its descendants and those of them that ended. */
  readonly cpuSeconds: number;
  /** Most resident memory of the process itself so far, in MiB. */
  readonly peakMiB: number;
}

const TICKS_PER_SECOND = 100;

/** Usage so far of process `pid`. Processes that daemonized away from it are not counted. */
export async function usageOf(pid: number): Promise<Usage> {
  const stats = new Map<number, { parent: number; ticks: number }>();
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const text = await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '');
    const fields = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ticks = fields.slice(11, 15).reduce((sum, n) => sum + n, 0);
    if (text !== '') stats.set(Number(name), { parent: fields[1] ?? 0, ticks });
  }
  let ticks = 0;
  for (const id of stats.keys()) {
    let at: number | undefined = id;
    while (at !== undefined && at !== pid && at > 1) at = stats.get(at)?.parent;
    if (at === pid) ticks += stats.get(id)?.ticks ?? 0;
  }
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return { cpuSeconds: ticks / TICKS_PER_SECOND, peakMiB: Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024 };
}
