// What a worker tells about its progress, as it lies in `brick_<path>.progress` beside the brick's status file, and
// how a reader takes it in. The status file keeps to stock's keys and is written durably; this one is the worker's
// alone, replaced often and never synced. Written by ProgressRecorder, read by the report.

import type { Buckets } from './buckets.js';
import type { WalkKind } from './sink.js';
import type { Sample } from './series.js';

export const PROGRESS_VERSION = 2;

/** Counters that `history` samples, in this order. */
export const SAMPLED = ['entries', 'files', 'bytes', 'changelogs'] as const;
export type Sampled = (typeof SAMPLED)[number];

/** A walk of the brick. */
export interface WalkProgress {
  readonly kind: WalkKind;
  /** `walking`: entries are still being found; `walked`: all are found, not all are synced; `done`. */
  readonly state: 'walking' | 'walked' | 'done';
  /** Milliseconds since the epoch; 0: not yet. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly seen: number;
  readonly synced: number;
  /** Entries to be found, estimated at the start of a first walk; null: unknown. */
  readonly expected: number | null;
}

export interface ProgressData {
  readonly version: typeof PROGRESS_VERSION;
  readonly pid: number;
  /** Start of the process in ticks since boot: tells it from a later one with the same id. */
  readonly startTicks: number;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  readonly updatedMs: number;
  /** Starts after an unrequested end. */
  readonly restarts: number;
  /** How the process ended; null: it has not said. */
  readonly ended: 'stopped' | 'faulty' | null;
  readonly primary: string;
  /** `host::volume` */
  readonly secondary: string;
  readonly brick: string;
  readonly workingDir: string;
  readonly changelogDir: string;
  /** Bricks with the same word hold copies, or parts, of the same files. */
  readonly set?: string;
  /** Seconds, 0: never. See ProgressSink.caughtUp. */
  readonly caughtUp: number;
  readonly walk: WalkProgress | null;
  /** Files that wait for a transfer or are in one. */
  readonly queue: { readonly files: number; readonly bytes: number };
  /** Start times of the transfers under way, milliseconds since the epoch. */
  readonly jobs: { readonly total: number; readonly busySinceMs: readonly number[] };
  readonly totals: Readonly<Record<Sampled, number>> & {
    readonly metas: number;
    readonly entryFailures: number;
    readonly metaFailures: number;
    readonly fileFailures: number;
  };
  readonly ops: Readonly<Record<string, number>>;
  /** By crawl. */
  readonly batches: Readonly<Record<string, number>>;
  /** `entry`, `meta`: calls; a name of an engine: transfers. */
  readonly calls: Readonly<Record<string, Buckets>>;
  readonly transfers: Readonly<Record<string, Buckets>>;
  readonly history: readonly Sample[];
}

export function progressFileOf(statusFile: string): string {
  return `${statusFile.replace(/\.status$/, '')}.progress`;
}

/** The data in a file's text; null when it is of another version, half written or no such file at all. */
export function parseProgress(text: string): ProgressData | null {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return null;
  }
  return isProgress(found) ? found : null;
}

type Check = (value: unknown) => boolean;

const number: Check = (value) => typeof value === 'number';
const string: Check = (value) => typeof value === 'string';
const oneOf = (...words: readonly unknown[]): Check => (value) => words.includes(value);
const list = (item: Check): Check => (value) => Array.isArray(value) && value.every(item);
const orNull = (check: Check): Check => (value) => value === null || check(value);
const record = (item: Check): Check => (value) => isObject(value) && Object.values(value).every(item);
const shape = (fields: Readonly<Record<string, Check>>): Check => (value) => isObject(value) && Object.entries(fields).every(([key, check]) => check(value[key]));
const buckets = shape({ bounds: list(number), counts: list(number), sum: number });

const SHAPE = shape({
  version: oneOf(PROGRESS_VERSION),
  ...Object.fromEntries(['pid', 'startTicks', 'startedMs', 'updatedMs', 'restarts', 'caughtUp'].map((key) => [key, number])),
  ...Object.fromEntries(['primary', 'secondary', 'brick', 'workingDir', 'changelogDir'].map((key) => [key, string])),
  set: (value) => value === undefined || string(value),
  ended: oneOf('stopped', 'faulty', null),
  walk: orNull(
    shape({
      kind: oneOf('first', 'again'),
      state: oneOf('walking', 'walked', 'done'),
      startedMs: number,
      endedMs: number,
      seen: number,
      synced: number,
      expected: orNull(number),
    }),
  ),
  queue: shape({ files: number, bytes: number }),
  jobs: shape({ total: number, busySinceMs: list(number) }),
  totals: shape(Object.fromEntries([...SAMPLED, 'metas', 'entryFailures', 'metaFailures', 'fileFailures'].map((key) => [key, number]))),
  ops: record(number),
  batches: record(number),
  calls: record(buckets),
  transfers: record(buckets),
  history: list(list(number)),
});

function isProgress(value: unknown): value is ProgressData {
  return SHAPE(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
