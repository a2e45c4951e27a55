// Default facts about a brick for reports; a test overrides the ones that it checks.
import { parseProgress, PROGRESS_VERSION, type ProgressData } from '../../src/progress/progress-data.js';
import type { BrickFacts } from '../../src/progress/report.js';

export const NOW_S = 1_800_000_000;

export function progress(values: Partial<ProgressData> = {}): ProgressData {
  const data: ProgressData = {
    version: PROGRESS_VERSION,
    pid: 4711,
    startTicks: 1,
    startedMs: (NOW_S - 600) * 1000,
    updatedMs: NOW_S * 1000,
    restarts: 0,
    ended: null,
    primary: 'gv0',
    secondary: 'backup::sv0',
    brick: '/bricks/b1',
    workingDir: '/var/lib/misc/b1',
    changelogDir: '/bricks/b1/.glusterfs/changelogs',
    caughtUp: 0,
    walk: null,
    queue: { files: 0, bytes: 0 },
    jobs: { total: 3, busySinceMs: [] },
    totals: {
      entries: 0,
      files: 0,
      bytes: 0,
      changelogs: 0,
      metas: 0,
      entryFailures: 0,
      metaFailures: 0,
      fileFailures: 0,
    },
    ops: {},
    batches: {},
    calls: {},
    transfers: {},
    history: [],
    ...values,
  };
  // Readers must accept the data of a test.
  if (parseProgress(JSON.stringify(data)) === null) throw new Error('facts: no valid progress');
  return data;
}

export function facts({
  status = {},
  ...values
}: Partial<Omit<BrickFacts, 'status'>> & { status?: Partial<BrickFacts['status']> } = {}): BrickFacts {
  return {
    brick: '/bricks/b1',
    monitor: 'Started',
    progress: progress(),
    isWorkerRunning: true,
    changelogs: { changelogs: 0, hasOpenChanges: false, oldestSince: null },
    failures: { count: 0, byKind: { entry: 0, meta: 0, data: 0, xattrs: 0 }, reasons: [], cut: false },
    nowMs: NOW_S * 1000,
    ...values,
    status: {
      secondary_node: 'backup',
      worker_status: 'Active',
      last_synced: NOW_S - 100_000,
      last_synced_entry: NOW_S - 100_000,
      crawl_status: 'Changelog Crawl',
      entry: 0,
      data: 0,
      meta: 0,
      failures: 0,
      checkpoint_completed: 'N/A',
      checkpoint_time: 0,
      checkpoint_completion_time: 0,
      ...status,
    },
  };
}
