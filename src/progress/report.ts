// The state of one brick. The live view, its JSON and the metrics all show this report. Pure: computed from the status
// file, the progress file, the failure list and the brick's changelogs.
//
// Lag is the amount that a loss of the primary would cost now (RPO): the age of the oldest change that is not on the
// secondary. It is 0 when nothing is pending. Otherwise it is now minus the later of two times: the stime, and the
// start of the changelog interval in which that change was made. If the changelogs cannot be read, it is now minus the
// stime. Before the first sync is done there is no copy, and therefore no lag. Entries on the failure list are older
// than the stime and not in the lag: the report shows them as failures.

import type { FailureSummary } from '../status/failure-summary.js';
import type { StatusData } from '../status/status-file.js';
import type { ChangelogBacklog } from './changelog-backlog.js';
import { SAMPLED_COUNTERS, type ProgressData, type SampledCounter, type WalkProgress } from './progress-data.js';
import { rateAt, ratesOver } from './series.js';

export type BrickState = 'Initializing...' | 'Active' | 'Passive' | 'Faulty' | 'Paused' | 'Stopped' | 'Created' | 'N/A';
export const BRICK_STATES: readonly BrickState[] = [
  'Initializing...',
  'Active',
  'Passive',
  'Faulty',
  'Paused',
  'Stopped',
  'Created',
  'N/A',
];

export interface BrickFacts {
  readonly brick: string;
  readonly status: StatusData;
  /** Content of monitor.status; null when there is none. */
  readonly monitor: string | null;
  /** null: no worker of this program has run yet. */
  readonly progress: ProgressData | null;
  /** Whether the worker that wrote the progress file runs. */
  readonly isWorkerRunning: boolean;
  readonly changelogs: ChangelogBacklog | null;
  /** null when the list cannot be read; the report then uses the status file's count. */
  readonly failures: FailureSummary | null;
  readonly nowMs: number;
}

/** Times are seconds since the epoch, null for never or unknown; spans are seconds. */
export interface BrickReport {
  readonly brick: string;
  /** Equal for bricks that hold the same files; null when unknown. */
  readonly set: string | null;
  readonly state: BrickState;
  readonly crawl: string;
  readonly secondaryNode: string | null;
  readonly lastError: string | null;
  readonly worker: {
    readonly pid: number;
    readonly running: boolean;
    readonly started: number;
    readonly restarts: number;
  } | null;
  readonly lastSynced: number | null;
  readonly lastSyncedEntry: number | null;
  readonly pending: 'yes' | 'no' | 'unknown';
  readonly lag: number | null;
  readonly eta: number | null;
  readonly backlog: {
    /** Closed changelogs that are not synced. */
    readonly changelogs: number | null;
    /** Operations of the batches in progress. */
    readonly entries: number;
    readonly meta: number;
    readonly data: number;
    /** Content that waits for a transfer or is in one. */
    readonly bytes: number | null;
  };
  /** Per second. */
  readonly rates: Readonly<Record<SampledCounter, number>>;
  readonly transfers: { readonly busy: number; readonly total: number; readonly longest: number | null } | null;
  readonly firstSync: FirstSync | null;
  readonly checkpoint: {
    readonly time: number;
    readonly completed: boolean;
    readonly completionTime: number | null;
  } | null;
  readonly failures: { readonly count: number } & Partial<Omit<FailureSummary, 'count'>>;
  /** Rates of the last minutes, the oldest first. */
  readonly history: { readonly span: number } & Readonly<Record<SampledCounter, readonly number[]>>;
}

export interface FirstSync {
  readonly state: WalkProgress['state'];
  readonly seen: number;
  readonly synced: number;
  /** Number of all entries: counted when the crawl has ended, estimated before. */
  readonly expected: number | null;
  /** 0 to 1 */
  readonly fraction: number | null;
  /** Entries per second since the crawl began. */
  readonly rate: number;
  readonly started: number;
}

const RATE_WINDOW_MS = 15_000;
/** Changelogs close every few seconds, so their rate needs a longer window. */
const CHANGELOG_WINDOW_MS = 60_000;
const HISTORY_CELLS = 40;
const HISTORY_SPAN_MS = 3_000;

export function brickReport(given: BrickFacts): BrickReport {
  const facts = isContinuedByOther(given) ? { ...given, progress: null } : given;
  const { status, progress, isWorkerRunning, nowMs } = facts;
  const state = stateOf(facts);
  const samples = progress?.history ?? [];
  const perSecond = (name: SampledCounter, windowMs: number): number =>
    rateAt(samples, SAMPLED_COUNTERS.indexOf(name), nowMs, windowMs);
  const rates = byCounter((name) => perSecond(name, name === 'changelogs' ? CHANGELOG_WINDOW_MS : RATE_WINDOW_MS));
  const firstSync = firstSyncOf(progress, nowMs);
  const batchOps = { entries: status.entry, meta: status.meta, data: status.data };
  const bytes = progress === null ? null : isWorkerRunning ? progress.queue.bytes : 0;
  const pending = pendingOf(facts, state, firstSync);
  const backlog = {
    changelogs: facts.changelogs?.changelogs ?? null,
    ...(isWorkerRunning || progress === null ? batchOps : { entries: 0, meta: 0, data: 0 }),
    bytes,
  };
  return {
    brick: facts.brick,
    set: progress?.set ?? null,
    state,
    crawl: state === 'Active' ? status.crawl_status : 'N/A',
    secondaryNode:
      status.secondary_node === 'N/A' || (state !== 'Active' && state !== 'Passive') ? null : status.secondary_node,
    lastError: status.last_error ?? null,
    worker:
      progress === null
        ? null
        : {
            pid: progress.pid,
            running: isWorkerRunning,
            started: progress.startedMs / 1000,
            restarts: progress.restarts,
          },
    lastSynced: zeroAsNull(status.last_synced),
    lastSyncedEntry: zeroAsNull(status.last_synced_entry),
    pending,
    lag: state === 'Passive' ? null : lagOf(facts, pending),
    eta: state === 'Active' ? etaOf({ pending, firstSync, backlog, rates }) : null,
    backlog,
    rates,
    transfers: progress === null ? null : transfersOf(progress, isWorkerRunning, nowMs),
    firstSync,
    checkpoint: checkpointOf(status),
    failures: facts.failures ?? { count: status.failures },
    history: {
      span: HISTORY_SPAN_MS / 1000,
      ...byCounter((name) => ratesOver(samples, SAMPLED_COUNTERS.indexOf(name), nowMs, HISTORY_SPAN_MS, HISTORY_CELLS)),
    },
  };
}

function byCounter<T>(of: (name: SampledCounter) => T): Record<SampledCounter, T> {
  return { entries: of('entries'), files: of('files'), bytes: of('bytes'), changelogs: of('changelogs') };
}

/** Whether another program's worker has continued the session after the worker of the progress file ended. */
function isContinuedByOther({ status, monitor, progress, isWorkerRunning }: BrickFacts): boolean {
  return (
    progress !== null &&
    !isWorkerRunning &&
    progress.ended !== null &&
    monitor === 'Started' &&
    ['Active', 'Passive'].includes(status.worker_status)
  );
}

/** Stock's rule, corrected by the state of the process. A worker may run without a monitor, and a worker that died
 *  leaves its last state in the file. */
function stateOf({ status, monitor, progress, isWorkerRunning }: BrickFacts): BrickState {
  const reported = parseState(status.worker_status);
  if (isWorkerRunning) return reported === 'N/A' ? 'Initializing...' : reported;
  if (monitor === 'Started') return reported;
  if (monitor === 'Paused') return 'Paused';
  if (monitor === 'Stopped') return 'Stopped';
  if (progress !== null) return progress.ended === 'stopped' ? 'Stopped' : 'Faulty';
  if (monitor === null || monitor === '') return 'Stopped';
  return monitor === 'Created' ? 'Created' : reported;
}

function parseState(text: string): BrickState {
  return BRICK_STATES.find((state) => state === text) ?? 'N/A';
}

function pendingOf(
  { status, changelogs, progress, isWorkerRunning }: BrickFacts,
  state: BrickState,
  firstSync: FirstSync | null,
): BrickReport['pending'] {
  if (state === 'Passive') return 'no';
  if (firstSync !== null) return 'yes';
  if (isWorkerRunning && (status.entry > 0 || status.data > 0 || status.meta > 0 || (progress?.queue.files ?? 0) > 0))
    return 'yes';
  if (changelogs === null) return 'unknown';
  return changelogs.changelogs > 0 || changelogs.hasOpenChanges ? 'yes' : 'no';
}

function lagOf({ status, changelogs, nowMs }: BrickFacts, pending: BrickReport['pending']): number | null {
  if (pending === 'no') return 0;
  if (status.last_synced === 0) return null;
  const since = Math.max(status.last_synced, changelogs?.oldestSince ?? 0);
  return Math.max(0, nowMs / 1000 - since);
}

function firstSyncOf(progress: ProgressData | null, nowMs: number): FirstSync | null {
  const walk = progress?.walk;
  if (walk === undefined || walk === null || walk.kind !== 'first' || walk.state === 'done') return null;
  const seconds = Math.max(1, (nowMs - walk.startedMs) / 1000);
  const expected =
    walk.state === 'walked' ? walk.seen : walk.expected === null ? null : Math.max(walk.expected, walk.seen);
  const fraction = expected === null ? null : expected === 0 ? 1 : Math.min(1, walk.synced / expected);
  const { state, seen, synced, startedMs } = walk;
  return { state, seen, synced, expected, fraction, rate: synced / seconds, started: startedMs / 1000 };
}

/** Seconds until nothing is pending, at the present speed. */
function etaOf({
  pending,
  firstSync,
  backlog,
  rates,
}: Pick<BrickReport, 'pending' | 'firstSync' | 'backlog' | 'rates'>): number | null {
  if (firstSync !== null)
    return firstSync.expected === null ? null : quotient(firstSync.expected - firstSync.synced, firstSync.rate);
  if (pending === 'no') return 0;
  const batchSeconds = [
    quotient(backlog.bytes ?? 0, rates.bytes),
    quotient(backlog.data, rates.files),
    quotient(backlog.entries, rates.entries),
  ];
  const changelogs = quotient(backlog.changelogs ?? 0, rates.changelogs);
  const all = [...batchSeconds, changelogs];
  // If only the open changelog holds changes, no rate applies until it closes.
  if (all.every((seconds) => seconds === 0)) return null;
  return all.includes(null) ? null : Math.max(...all.map((seconds) => seconds ?? 0));
}

function quotient(rest: number, rate: number): number | null {
  if (rest <= 0) return 0;
  return rate > 0 ? rest / rate : null;
}

function transfersOf({ jobs }: ProgressData, isWorkerRunning: boolean, nowMs: number): BrickReport['transfers'] {
  const busy = isWorkerRunning ? jobs.busySinceMs : [];
  return {
    busy: busy.length,
    total: jobs.total,
    longest: busy.length === 0 ? null : Math.max(0, nowMs - Math.min(...busy)) / 1000,
  };
}

function checkpointOf(status: StatusData): BrickReport['checkpoint'] {
  if (status.checkpoint_time === 0) return null;
  const { checkpoint_completion_time: at } = status;
  return {
    time: status.checkpoint_time,
    completed: status.checkpoint_completed === 'Yes',
    completionTime: typeof at === 'number' ? zeroAsNull(at) : null,
  };
}

function zeroAsNull(seconds: number): number | null {
  return seconds === 0 ? null : seconds;
}
