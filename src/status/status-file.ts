// The status file of one brick, `brick_<path>.status` beside monitor.status: a JSON object that the stock status
// command and glusterd read. The monitor and the worker both write it under flock, each its own fields. The worker's
// side is WorkerStatus. Counters change with every batch phase, so it gathers their changes in memory and writes them
// together. It writes a change of state at once, together with the gathered changes.

import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MAX_CLOCK_SKEW_S } from '../changelog/timeline.js';
import type { EventFields } from '../gluster/events.js';
import type { Xtime } from '../gluster/xtime.js';
import { fsEncode } from '../names.js';
import { replaceFile } from '../native/durable-file.js';
import { withFlock } from '../native/locks.js';
import { statusFileName } from './file-name.js';

const NOT_AVAILABLE = 'N/A';
/** glusterd reads stock's report line by line into a buffer, so the line must be short. */
const MAX_ERROR_CHARS = 300;

export type WorkerState = 'Initializing...' | 'Active' | 'Passive' | 'Faulty';
export type CrawlState = 'N/A' | 'Hybrid Crawl' | 'History Crawl' | 'Changelog Crawl';
type Counter = 'entry' | 'data' | 'meta' | 'failures';

/** The file's fields, in stock's spelling. Times are seconds since the epoch, 0 for none. */
export interface StatusData {
  secondary_node: string;
  worker_status: string;
  last_synced: number;
  last_synced_entry: number;
  crawl_status: string;
  entry: number;
  data: number;
  meta: number;
  failures: number;
  checkpoint_completed: string;
  checkpoint_time: number;
  /** "N/A" while a checkpoint that has been reached waits for failures to be synced. */
  checkpoint_completion_time: number | string;
  /** One line; stock ignores it. */
  last_error?: string;
}

function defaultStatus(): StatusData {
  return {
    secondary_node: NOT_AVAILABLE,
    worker_status: NOT_AVAILABLE,
    last_synced: 0,
    last_synced_entry: 0,
    crawl_status: NOT_AVAILABLE,
    entry: 0,
    data: 0,
    meta: 0,
    failures: 0,
    checkpoint_completed: NOT_AVAILABLE,
    checkpoint_time: 0,
    checkpoint_completion_time: 0,
  };
}

/** The fields of the file, completed with the defaults. A missing, empty or broken file gives the defaults. */
export async function readStatus(path: string): Promise<StatusData> {
  let text: string;
  try {
    text = await readFile(fsEncode(path), 'utf8');
  } catch {
    text = '';
  }
  return parseStatus(text);
}

function parseStatus(text: string): StatusData {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    found = {};
  }
  if (typeof found !== 'object' || found === null || Array.isArray(found)) return defaultStatus();
  const { last_error: _, ...others } = found as Readonly<Record<string, unknown>>;
  return { ...others, ...validFields(found as Readonly<Record<string, unknown>>) };
}

/** Several programs and versions write the file, so a field of an unexpected type gets its default. */
function validFields({ last_error, ...found }: Readonly<Record<string, unknown>>): StatusData {
  const fields = Object.entries(defaultStatus()).map(([name, fallback]: [string, unknown]) => {
    const value = found[name];
    const isValid =
      typeof value === 'number'
        ? Number.isFinite(value) && typeof fallback === 'number'
        : typeof value === 'string' && (typeof fallback === 'string' || name === 'checkpoint_completion_time');
    return [name, isValid ? value : fallback];
  });
  return { ...(Object.fromEntries(fields) as StatusData), ...(typeof last_error === 'string' ? { last_error } : {}) };
}

export interface StatusLog {
  info(message: string, fields: Readonly<Record<string, unknown>>): void;
}

export interface WorkerStatusOptions {
  /** The session's monitor.status (config: state-file); the brick's file is beside it. */
  readonly stateFile: string;
  readonly brickPath: string;
  readonly log: StatusLog;
  /** Receives events for Gluster's events daemon, after the change is in the file. */
  readonly onEvent?: (event: 'ACTIVE' | 'PASSIVE' | 'CHECKPOINT_COMPLETED', fields: EventFields) => void;
  /** How long counter changes gather, milliseconds; default 250. */
  readonly gatherMs?: number;
}

/** Changes the data in place. The returned function runs once the change is in the file. */
type Change = (data: StatusData) => (() => void) | undefined;

function assign(values: Partial<StatusData>): Change {
  return (data) => void Object.assign(data, values);
}

export class WorkerStatus {
  readonly path: string;
  readonly #log: StatusLog;
  readonly #onEvent: NonNullable<WorkerStatusOptions['onEvent']>;
  readonly #gatherMs: number;
  #pendingChanges: Change[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(options: WorkerStatusOptions) {
    this.path = join(dirname(options.stateFile), statusFileName(options.brickPath));
    this.#log = options.log;
    this.#onEvent = options.onEvent ?? (() => undefined);
    this.#gatherMs = options.gatherMs ?? 250;
  }

  /** Clears the values of an earlier worker. The counter of failures stays, since the failures do. */
  async resetOnWorkerStart(): Promise<void> {
    await this.#write(
      assign({ secondary_node: NOT_AVAILABLE, crawl_status: NOT_AVAILABLE, entry: 0, data: 0, meta: 0 }),
    );
  }

  async setWorkerStatus(status: WorkerState): Promise<void> {
    await this.#write((data) => {
      if (data.worker_status === status) return undefined;
      data.worker_status = status;
      return () => {
        this.#log.info('Worker Status Change', { status });
        if (status === 'Active') this.#onEvent('ACTIVE', {});
        else if (status === 'Passive') this.#onEvent('PASSIVE', {});
      };
    });
  }

  async setActive(): Promise<void> {
    await this.setWorkerStatus('Active');
  }

  async setPassive(): Promise<void> {
    await this.setWorkerStatus('Passive');
  }

  async setFaulty(): Promise<void> {
    await this.setWorkerStatus('Faulty');
  }

  async setCrawlStatus(status: CrawlState): Promise<void> {
    await this.#write((data) => {
      if (data.crawl_status === status) return undefined;
      data.crawl_status = status;
      return () => this.#log.info('Crawl Status Change', { status });
    });
  }

  async setSecondaryNode(node: string): Promise<void> {
    await this.#write(assign({ secondary_node: node }));
  }

  /** Sets the reason why the worker is not well, in one line; null removes it. */
  async setLastError(line: string | null): Promise<void> {
    await this.#write((data) => {
      if (line === null) delete data.last_error;
      else data.last_error = line.replaceAll(/\s+/g, ' ').trim().slice(0, MAX_ERROR_CHARS);
      return undefined;
    });
  }

  /** Changes counters by the given amounts; none drops below zero. Written after `gatherMs`, or by flush(). */
  addCounts(delta: Readonly<Partial<Record<Counter, number>>>): void {
    this.#writeLater((data) => {
      for (const counter of ['entry', 'data', 'meta', 'failures'] as const)
        data[counter] = Math.max(0, data[counter] + (delta[counter] ?? 0));
      return undefined;
    });
  }

  /** Sets the number of open failures. Written after `gatherMs`, or by flush(). */
  setFailures(count: number): void {
    this.#writeLater(assign({ failures: count }));
  }

  /** Sets how far data has been synced, and judges the checkpoint (`checkpointTime`, seconds, 0 for none). A
   *  checkpoint that has been reached is completed unless failures from before it are open. In that case stock's
   *  status shows it as not completed. */
  async setLastSynced(
    stime: Xtime,
    checkpointTime: number,
    open: { readonly blockedByFailures: boolean },
  ): Promise<void> {
    await this.#write((data) => {
      const [seconds] = stime;
      data.last_synced = seconds;
      if (checkpointTime === 0 || checkpointTime !== data.checkpoint_time) {
        Object.assign(data, { checkpoint_time: 0, checkpoint_completion_time: 0, checkpoint_completed: 'No' });
      }
      if (checkpointTime === 0 || checkpointTime > seconds || data.checkpoint_completed !== 'No') return undefined;
      const now = Math.floor(Date.now() / 1000);
      // The stime is ahead of a clock that was set back. Its meaning for a time of the new clock is not known yet.
      if (seconds > now + MAX_CLOCK_SKEW_S) return undefined;
      data.checkpoint_time = checkpointTime;
      if (open.blockedByFailures) {
        data.checkpoint_completion_time = NOT_AVAILABLE;
        return undefined;
      }
      data.checkpoint_completion_time = now;
      data.checkpoint_completed = 'Yes';
      return () => {
        this.#log.info('Checkpoint completed', {
          checkpoint_time: formatUtc(checkpointTime),
          completion_time: formatUtc(now),
        });
        this.#onEvent('CHECKPOINT_COMPLETED', { checkpoint_time: checkpointTime, checkpoint_completion_time: now });
      };
    });
  }

  /** How far the namespace has been replayed, seconds. */
  async setLastSyncedEntry(seconds: number): Promise<void> {
    await this.#write(assign({ last_synced_entry: seconds }));
  }

  /** Resolves when every change made before is in the file. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const previous = this.#writing;
    const run = (async () => {
      await previous.catch(() => undefined);
      await this.#applyChanges();
    })();
    this.#writing = run;
    await run;
  }

  async #write(change: Change): Promise<void> {
    this.#pendingChanges.push(change);
    await this.flush();
  }

  #writeLater(change: Change): void {
    this.#pendingChanges.push(change);
    this.#timer ??= setTimeout(() => void this.flush().catch(() => undefined), this.#gatherMs).unref();
  }

  /** Applies the gathered changes, in order, to the present content of the file. When that fails, they stay gathered. */
  async #applyChanges(): Promise<void> {
    const changes = this.#pendingChanges;
    if (changes.length === 0) return;
    await withFlock(this.path, async (fd) => {
      this.#pendingChanges = [];
      try {
        const text = await readFile(`/proc/self/fd/${fd}`, 'utf8');
        const data = parseStatus(text);
        const callbacks = changes.map((change) => change(data));
        const next = JSON.stringify(data);
        if (next !== text) await replaceFile(this.path, next);
        for (const callback of callbacks) callback?.();
      } catch (error) {
        this.#pendingChanges = [...changes, ...this.#pendingChanges];
        throw error;
      }
    });
  }
}

function formatUtc(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
}
