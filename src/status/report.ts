// The `status` output for one brick: the worker's status file, corrected by the monitor's state and the configured
// checkpoint. Pure. Names, order, texts and times are GlusterFS's, since glusterd parses the lines and shows them.

const NONE = 'N/A';

/** Fields in the order in which they are printed: those of every brick, then further fields of the file. */
export type Report = Map<string, unknown>;

export type MonitorState = { readonly said: string; readonly running: boolean };

export interface ReportInput {
  /** Content of the brick's status file, parsed; anything but an object is ignored. */
  readonly file: unknown;
  /** The state in monitor.status, and whether a monitor holds its pid file. */
  readonly monitor: MonitorState;
  /** Seconds since the epoch, 0 for none. */
  readonly checkpoint: number;
}

export function statusReport({ file, monitor, checkpoint }: ReportInput): Report {
  const report: Report = new Map<string, unknown>([
    ['secondary_node', NONE],
    ['worker_status', NONE],
    ['last_synced', 0],
    ['last_synced_entry', 0],
    ['crawl_status', NONE],
    ['entry', 0],
    ['data', 0],
    ['meta', 0],
    ['failures', 0],
    ['checkpoint_completed', NONE],
    ['checkpoint_time', 0],
    ['checkpoint_completion_time', 0],
  ]);
  if (typeof file === 'object' && file !== null && !Array.isArray(file)) for (const [key, value] of Object.entries(file)) report.set(key, value);
  const said = (monitor.said === 'Started' || monitor.said === 'Paused') && !monitor.running ? 'Stopped' : monitor.said;
  if (said === 'Created' || said === 'Paused' || said === 'Stopped') report.set('worker_status', said);
  if (said === '') report.set('worker_status', 'Stopped');
  judgeCheckpoint(report, checkpoint);
  showTimes(report);
  hideWhatIsNotCurrent(report);
  return report;
}

function judgeCheckpoint(report: Report, checkpoint: number): void {
  if (checkpoint === 0) {
    setAll(report, ['checkpoint_completed', 'checkpoint_time', 'checkpoint_completion_time']);
    return;
  }
  if (checkpoint === report.get('checkpoint_time')) return;
  // The worker has not judged this checkpoint yet. Stock would judge it by the stime alone, regardless of the failure
  // list.
  report.set('checkpoint_completed', 'No');
  report.set('checkpoint_time', checkpoint);
  report.set('checkpoint_completion_time', NONE);
}

function showTimes(report: Report): void {
  for (const name of ['checkpoint_time', 'checkpoint_completion_time']) {
    const value = report.get(name);
    if (value === 0 || value === NONE) continue;
    report.set(name, timeText(value, 'local'));
    report.set(`${name}_utc`, timeText(value, 'utc'));
  }
  const synced = report.get('last_synced');
  report.set('last_synced', synced === 0 ? NONE : timeText(synced, 'local'));
  report.set('last_synced_utc', synced === 0 ? NONE : timeText(synced, 'utc'));
}

function hideWhatIsNotCurrent(report: Report): void {
  const state = report.get('worker_status');
  if (state !== 'Active') {
    setAll(report, ['last_synced', 'last_synced_utc', 'crawl_status', 'entry', 'data', 'meta', 'failures', 'checkpoint_completed']);
    // No other output has the second name, checkpoint_completed_time, but stock prints it.
    setAll(report, ['checkpoint_time', 'checkpoint_completed_time', 'checkpoint_time_utc', 'checkpoint_completion_time_utc']);
  }
  if (state !== 'Active' && state !== 'Passive') report.set('secondary_node', NONE);
  for (const name of ['last_synced_utc', 'checkpoint_completion_time_utc', 'checkpoint_time_utc']) {
    if ((report.get(name) ?? 0) === 0) report.set(name, NONE);
  }
}

function setAll(report: Report, names: readonly string[]): void {
  for (const name of names) report.set(name, NONE);
}

/** `2026-11-24 06:30:00`; N/A if the value is no time. */
function timeText(value: unknown, zone: 'local' | 'utc'): string {
  const date = new Date(Math.floor(Number(value)) * 1000);
  if (typeof value === 'string' && value.trim() === '') return NONE;
  const year = zone === 'utc' ? date.getUTCFullYear() : date.getFullYear();
  if (!(year >= 1 && year <= 9999)) return NONE;
  const parts =
    zone === 'utc'
      ? [date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes(), date.getUTCSeconds()]
      : [date.getMonth() + 1, date.getDate(), date.getHours(), date.getMinutes(), date.getSeconds()];
  const [month, day, hour, minute, second] = parts.map((part) => String(part).padStart(2, '0'));
  return `${year}-${month}-${day} ${hour}:${minute}:${second}`;
}
