// Converts a brick's report to samples of the metrics. Pure.

import type { Buckets } from '../progress/buckets.js';
import { BRICK_STATES, type BrickReport } from '../progress/report.js';
import type { BrickReading } from '../progress/sessions.js';
import type { MetricKey } from './names.js';

export interface MetricSample {
  readonly key: MetricKey;
  /** Value of the metric's additional label. */
  readonly label?: string;
  readonly value: number | Buckets;
}

export interface BrickSamples {
  readonly primary: string;
  readonly secondary: string;
  readonly brick: string;
  readonly samples: readonly MetricSample[];
}

const CRAWLS: Readonly<Record<string, string>> = {
  'Hybrid Crawl': 'hybrid',
  'History Crawl': 'history',
  'Changelog Crawl': 'changelog',
  'N/A': 'none',
};
const BATCH_CRAWLS: Readonly<Record<string, string>> = {
  xsync: 'hybrid',
  history_changelog: 'history',
  live_changelog: 'changelog',
};

/** @param session name of the session's directory, used when the volumes' names are unknown */
export function brickSamples({ report, progress }: BrickReading, session: string, version: string): BrickSamples {
  const samples: MetricSample[] = [];
  const add = (key: MetricKey, value: number | Buckets | null | undefined, label?: string): void => {
    if (value !== null && value !== undefined) samples.push({ key, value, label });
  };
  add('info', 1, version);
  for (const state of BRICK_STATES) add('state', Number(report.state === state), stateLabel(state));
  for (const [crawl, label] of Object.entries(CRAWLS)) add('crawl', Number(report.crawl === crawl), label);
  add('lag', report.lag);
  add('synced', report.lastSynced);
  add('syncedEntry', report.lastSyncedEntry);
  add('backlogChangelogs', report.backlog.changelogs);
  add('backlogEntries', report.backlog.entries);
  add('backlogMeta', report.backlog.meta);
  add('backlogFiles', report.backlog.data);
  add('backlogBytes', report.backlog.bytes);
  add('eta', report.eta);
  for (const kind of ['entry', 'meta', 'data', 'xattrs'] as const)
    add('failures', report.failures.byKind?.[kind], kind);
  if (report.failures.byKind === undefined) add('failures', report.failures.count, 'unknown');
  add('checkpoint', report.checkpoint?.time);
  add('checkpointDone', report.checkpoint === null ? null : Number(report.checkpoint.completed));
  add('checkpointAt', report.checkpoint?.completionTime);
  add('firstSync', Number(report.firstSync !== null));
  add('firstSeen', report.firstSync?.seen);
  add('firstDone', report.firstSync?.synced);
  add('firstExpected', report.firstSync?.expected);
  add('up', report.worker === null ? null : Number(report.worker.running));
  add('start', report.worker?.started);
  add('restarts', report.worker?.restarts);
  add('jobs', report.transfers?.total);
  add('jobsBusy', report.transfers?.busy);
  if (progress !== null) {
    const { totals } = progress;
    add('changelogs', totals.changelogs);
    add('entries', totals.entries);
    add('entryErrors', totals.entryFailures);
    add('files', totals.files);
    add('fileErrors', totals.fileFailures);
    add('bytes', totals.bytes);
    for (const [type, value] of Object.entries(progress.ops)) add('operations', value, type.toLowerCase());
    for (const [crawl, label] of Object.entries(BATCH_CRAWLS)) add('batches', progress.batches[crawl] ?? 0, label);
    for (const [engine, buckets] of Object.entries(progress.transfers)) add('jobSeconds', buckets, engine);
    for (const [kind, buckets] of Object.entries(progress.calls)) add('callSeconds', buckets, kind);
  }
  const [, primary = session, secondary = ''] = /^([^_]+)_[^_]+_([^_]+)$/.exec(session) ?? [];
  return {
    primary: progress?.primary ?? primary,
    secondary: progress?.secondary ?? secondary,
    brick: report.brick,
    samples,
  };
}

function stateLabel(state: BrickReport['state']): string {
  return state === 'N/A' ? 'unknown' : state.replace(/\.*$/, '').toLowerCase();
}
