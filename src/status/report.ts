// The `status` output for one brick: the worker's status file, corrected by the monitor's state and the configured
// checkpoint. Pure. Names, order, texts and times are GlusterFS's, since glusterd parses the lines and shows them.

const NOT_AVAILABLE = 'N/A';

/** Fields in the order in which they are printed: those of every brick, then further fields of the file. */
export type StatusReport = Map<string, unknown>;

export type MonitorState = { readonly state: string; readonly isRunning: boolean };

export interface ReportInput {
  /** Content of the brick's status file, parsed; anything but an object is ignored. */
  readonly file: unknown;
  /** The state in monitor.status, and whether a monitor holds its pid file. */
  readonly monitor: MonitorState;
  /** Seconds since the epoch, 0 for none. */
  readonly checkpoint: number;
}

export function statusReport({ file, monitor, checkpoint }: ReportInput): StatusReport {
  const report: StatusReport = new Map<string, unknown>([
    ['secondary_node', NOT_AVAILABLE],
    ['worker_status', NOT_AVAILABLE],
    ['last_synced', 0],
    ['last_synced_entry', 0],
    ['crawl_status', NOT_AVAILABLE],
    ['entry', 0],
    ['data', 0],
    ['meta', 0],
    ['failures', 0],
    ['checkpoint_completed', NOT_AVAILABLE],
    ['checkpoint_time', 0],
    ['checkpoint_completion_time', 0],
  ]);
  if (typeof file === 'object' && file !== null && !Array.isArray(file))
    for (const [key, value] of Object.entries(file)) report.set(key, value);
  const state =
    (monitor.state === 'Started' || monitor.state === 'Paused') && !monitor.isRunning ? 'Stopped' : monitor.state;
  if (state === 'Created' || state === 'Paused' || state === 'Stopped') report.set('worker_status', state);
  if (state === '') report.set('worker_status', 'Stopped');
  applyCheckpoint(report, checkpoint);
  formatTimes(report);
  clearStaleFields(report);
  return report;
}

function applyCheckpoint(report: StatusReport, checkpoint: number): void {
  if (checkpoint === 0) {
    clearFields(report, ['checkpoint_completed', 'checkpoint_time', 'checkpoint_completion_time']);
    return;
  }
  if (checkpoint === report.get('checkpoint_time')) return;
  // The worker has not judged this checkpoint yet. Stock would judge it by the stime alone, regardless of the failure
  // list.
  report.set('checkpoint_completed', 'No');
  report.set('checkpoint_time', checkpoint);
  report.set('checkpoint_completion_time', NOT_AVAILABLE);
}

function formatTimes(report: StatusReport): void {
  for (const name of ['checkpoint_time', 'checkpoint_completion_time']) {
    const value = report.get(name);
    if (value === 0 || value === NOT_AVAILABLE) continue;
    report.set(name, formatTime(value, 'local'));
    report.set(`${name}_utc`, formatTime(value, 'utc'));
  }
  const synced = report.get('last_synced');
  report.set('last_synced', synced === 0 ? NOT_AVAILABLE : formatTime(synced, 'local'));
  report.set('last_synced_utc', synced === 0 ? NOT_AVAILABLE : formatTime(synced, 'utc'));
}

function clearStaleFields(report: StatusReport): void {
  const state = report.get('worker_status');
  if (state !== 'Active') {
    clearFields(report, [
      'last_synced',
      'last_synced_utc',
      'crawl_status',
      'entry',
      'data',
      'meta',
      'failures',
      'checkpoint_completed',
    ]);
    // No other output has the second name, checkpoint_completed_time, but stock prints it.
    clearFields(report, [
      'checkpoint_time',
      'checkpoint_completed_time',
      'checkpoint_time_utc',
      'checkpoint_completion_time_utc',
    ]);
  }
  if (state !== 'Active' && state !== 'Passive') report.set('secondary_node', NOT_AVAILABLE);
  for (const name of ['last_synced_utc', 'checkpoint_completion_time_utc', 'checkpoint_time_utc']) {
    if ((report.get(name) ?? 0) === 0) report.set(name, NOT_AVAILABLE);
  }
}

function clearFields(report: StatusReport, names: readonly string[]): void {
  for (const name of names) report.set(name, NOT_AVAILABLE);
}

/** `2026-11-24 06:30:00`; N/A if the value is no time. */
function formatTime(value: unknown, zone: 'local' | 'utc'): string {
  const date = new Date(Math.floor(Number(value)) * 1000);
  if (typeof value === 'string' && value.trim() === '') return NOT_AVAILABLE;
  const year = zone === 'utc' ? date.getUTCFullYear() : date.getFullYear();
  if (!(year >= 1 && year <= 9999)) return NOT_AVAILABLE;
  const parts =
    zone === 'utc'
      ? [date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
      : [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  const [month, day, hour, minute, second] = parts.map((part) => String(part).padStart(2, '0'));
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
}
