// The metrics' names, types and meanings, in one table. Names follow the conventions of Prometheus: base units,
// `_total` for counters. Every metric has the labels primary, secondary and brick, and at most one more with few
// values. So the number of bricks bounds the cardinality.

export interface MetricDefinition {
  readonly name: string;
  readonly type: 'gauge' | 'counter' | 'histogram';
  readonly help: string;
  /** A label in addition to those of every metric. */
  readonly label?: string;
}

export const BASE_LABELS = ['primary', 'secondary', 'brick'] as const;

const gauge = (name: string, help: string, label?: string): MetricDefinition => ({ name, type: 'gauge', help, label });
const counter = (name: string, help: string, label?: string): MetricDefinition => ({
  name,
  type: 'counter',
  help,
  label,
});
const histogram = (name: string, help: string, label: string): MetricDefinition => ({
  name,
  type: 'histogram',
  help,
  label,
});

export const METRICS = {
  info: gauge('gsyncd_build_info', 'Version of the program that exports this', 'version'),
  state: gauge('gsyncd_worker_state', 'State of the brick: 1 for the one it is in', 'state'),
  crawl: gauge('gsyncd_crawl_state', 'Kind of crawl: 1 for the one that runs', 'crawl'),
  up: gauge('gsyncd_worker_up', 'Whether the process of the worker runs'),
  start: gauge('gsyncd_worker_start_time_seconds', 'When the worker was started'),
  restarts: counter('gsyncd_worker_restarts_total', 'Starts of the worker after an end that nobody asked for'),
  lag: gauge(
    'gsyncd_lag_seconds',
    'Age of the oldest change that is not on the secondary, 0 when nothing is pending; absent before the first sync is done',
  ),
  synced: gauge(
    'gsyncd_last_synced_timestamp_seconds',
    'Changes from before this time are on the secondary, or on the list of failures',
  ),
  syncedEntry: gauge('gsyncd_last_synced_entry_timestamp_seconds', 'Names from before this time are on the secondary'),
  backlogChangelogs: gauge('gsyncd_backlog_changelogs', 'Closed changelogs that are not synced'),
  backlogEntries: gauge('gsyncd_backlog_entries', 'Entry operations in the batches in hand'),
  backlogMeta: gauge('gsyncd_backlog_attributes', 'Attribute changes in the batches in hand'),
  backlogFiles: gauge('gsyncd_backlog_files', 'Files whose content is to be sent in the batches in hand'),
  backlogBytes: gauge('gsyncd_backlog_bytes', 'Content that waits for a transfer or is in one'),
  eta: gauge('gsyncd_eta_seconds', 'Time until nothing is pending at the present speed; absent when it cannot be told'),
  failures: gauge('gsyncd_failures', 'Items on the durable list of what could not be synced', 'kind'),
  operations: counter('gsyncd_operations_total', 'Operations of committed batches, by the type of the change', 'type'),
  batches: counter('gsyncd_batches_total', 'Committed batches', 'crawl'),
  changelogs: counter('gsyncd_changelogs_total', 'Changelogs of committed batches'),
  entries: counter('gsyncd_synced_entries_total', 'Entry operations that the secondary has taken'),
  entryErrors: counter(
    'gsyncd_entry_errors_total',
    'Entry operations that the secondary has refused; most are mended by comparing',
  ),
  files: counter('gsyncd_synced_files_total', 'Files whose content arrived'),
  fileErrors: counter('gsyncd_file_errors_total', 'Files in transfers that did not arrive; they are tried again'),
  bytes: counter('gsyncd_synced_bytes_total', 'Content sent'),
  jobs: gauge('gsyncd_sync_jobs', 'Transfers that may run at a time'),
  jobsBusy: gauge('gsyncd_sync_jobs_busy', 'Transfers that run'),
  jobSeconds: histogram('gsyncd_sync_job_duration_seconds', 'Duration of transfers', 'engine'),
  callSeconds: histogram(
    'gsyncd_secondary_call_duration_seconds',
    'Duration of calls to the secondary with entry or attribute operations',
    'kind',
  ),
  firstSync: gauge('gsyncd_first_sync_in_progress', 'Whether the first sync is not done yet'),
  firstSeen: gauge('gsyncd_first_sync_entries_seen', 'Entries that the first sync has found'),
  firstDone: gauge('gsyncd_first_sync_entries_done', 'Entries that the first sync has brought'),
  firstExpected: gauge(
    'gsyncd_first_sync_entries_expected',
    'All entries of the first sync, an estimate while it still finds some',
  ),
  checkpoint: gauge('gsyncd_checkpoint_timestamp_seconds', 'The checkpoint that has been reached'),
  checkpointDone: gauge('gsyncd_checkpoint_completed', 'Whether the checkpoint is completed'),
  checkpointAt: gauge('gsyncd_checkpoint_completion_timestamp_seconds', 'When the checkpoint was completed'),
} as const satisfies Readonly<Record<string, MetricDefinition>>;

export type MetricKey = keyof typeof METRICS;

export const METRIC_NAMES = Object.fromEntries(
  Object.entries(METRICS).map(([key, { name }]) => [key, name]),
) as Readonly<Record<MetricKey, string>>;
