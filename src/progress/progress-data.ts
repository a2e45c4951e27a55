// A worker's progress, stored as `brick_<path>.progress` beside the brick's status file, and its parser. The status
// file keeps stock's keys and is written durably. Only the worker writes the progress file, which it replaces often
// and never syncs.

import type { Buckets } from './buckets.js';
import type { WalkKind } from './sink.js';
import type { Sample } from './series.js';

export const PROGRESS_VERSION = 2;

/** Counters that `history` samples, in this order. */
export const SAMPLED_COUNTERS = ['entries', 'files', 'bytes', 'changelogs'] as const;
export type SampledCounter = (typeof SAMPLED_COUNTERS)[number];

/** A hybrid crawl of the brick. */
export interface WalkProgress {
  readonly kind: WalkKind;
  /** `walking`: the crawl still finds entries; `walked`: it has found all, but not all are synced; `done`. */
  readonly state: 'walking' | 'walked' | 'done';
  /** Milliseconds since the epoch; 0: not yet. */
  readonly startedMs: number;
  readonly endedMs: number;
  readonly seen: number;
  readonly synced: number;
  /** Expected number of entries, estimated at the start of a first sync; null: unknown. */
  readonly expected: number | null;
}

export interface ProgressData {
  readonly version: typeof PROGRESS_VERSION;
  readonly pid: number;
  /** Start time of the process in ticks since boot. Distinguishes it from a later process with the same id. */
  readonly startTicks: number;
  /** Milliseconds since the epoch. */
  readonly startedMs: number;
  readonly updatedMs: number;
  /** How often the worker started after an exit that was not requested. */
  readonly restarts: number;
  /** How the process ended; null: it has not reported its end. */
  readonly ended: 'stopped' | 'faulty' | null;
  readonly primary: string;
  /** `host::volume` */
  readonly secondary: string;
  readonly brick: string;
  readonly workingDir: string;
  readonly changelogDir: string;
  /** Bricks with the same value hold copies, or parts, of the same files. */
  readonly set?: string;
  /** Seconds, 0: never. See ProgressSink.caughtUp. */
  readonly caughtUp: number;
  readonly walk: WalkProgress | null;
  /** Files that wait for a transfer or are in one. */
  readonly queue: { readonly files: number; readonly bytes: number };
  /** Milliseconds since the epoch: start times of the running transfers. */
  readonly jobs: { readonly total: number; readonly busySinceMs: readonly number[] };
  readonly totals: Readonly<Record<SampledCounter, number>> & {
    readonly metas: number;
    readonly entryFailures: number;
    readonly metaFailures: number;
    readonly fileFailures: number;
  };
  readonly ops: Readonly<Record<string, number>>;
  /** By crawl. */
  readonly batches: Readonly<Record<string, number>>;
  /** Keys: `entry` and `meta` for calls, the engine's name for transfers. */
  readonly calls: Readonly<Record<string, Buckets>>;
  readonly transfers: Readonly<Record<string, Buckets>>;
  readonly history: readonly Sample[];
}

export function progressFileOf(statusFile: string): string {
  return `${statusFile.replace(/\.status$/, '')}.progress`;
}

/** Parses a file's text; null when it is of another version, incomplete or no such file at all. */
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
const oneOf =
  (...values: readonly unknown[]): Check =>
  (value) =>
    values.includes(value);
const list =
  (item: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(item);
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const record =
  (item: Check): Check =>
  (value) =>
    isObject(value) && Object.values(value).every(item);
const objectWith =
  (fields: Readonly<Record<string, Check>>): Check =>
  (value) =>
    isObject(value) && Object.entries(fields).every(([key, check]) => check(value[key]));
const buckets = objectWith({ bounds: list(number), counts: list(number), sum: number });

const isProgressShape = objectWith({
  version: oneOf(PROGRESS_VERSION),
  ...Object.fromEntries(
    ['pid', 'startTicks', 'startedMs', 'updatedMs', 'restarts', 'caughtUp'].map((key) => [key, number]),
  ),
  ...Object.fromEntries(['primary', 'secondary', 'brick', 'workingDir', 'changelogDir'].map((key) => [key, string])),
  set: (value) => value === undefined || string(value),
  ended: oneOf('stopped', 'faulty', null),
  walk: orNull(
    objectWith({
      kind: oneOf('first', 'again'),
      state: oneOf('walking', 'walked', 'done'),
      startedMs: number,
      endedMs: number,
      seen: number,
      synced: number,
      expected: orNull(number),
    }),
  ),
  queue: objectWith({ files: number, bytes: number }),
  jobs: objectWith({ total: number, busySinceMs: list(number) }),
  totals: objectWith(
    Object.fromEntries(
      [...SAMPLED_COUNTERS, 'metas', 'entryFailures', 'metaFailures', 'fileFailures'].map((key) => [key, number]),
    ),
  ),
  ops: record(number),
  batches: record(number),
  calls: record(buckets),
  transfers: record(buckets),
  history: list(list(number)),
});

function isProgress(value: unknown): value is ProgressData {
  return isProgressShape(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
