// Checks with promtool and made-up series when the alert rules fire. Skipped without promtool.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { alertRules, RULES } from '../../src/metrics/alerts.js';
import { lacksProgram } from '../skip.js';

const LABELS = 'primary="gv0", secondary="b::sv0", brick="/b", instance="n1"';

type Series = Readonly<Record<string, string>>;

/** Series in promtool's notation with one value a minute, and the alerts that fire after two hours. */
const CASES: readonly (readonly [string, Series, readonly string[]])[] = [
  [
    'a healthy brick',
    {
      'gsyncd_lag_seconds{}': '0x200',
      'gsyncd_worker_up{}': '1x200',
      'gsyncd_worker_state{state="active"}': '1x200',
      'gsyncd_failures{kind="data"}': '0x200',
      'gsyncd_backlog_changelogs{}': '0x200',
    },
    [],
  ],
  ['a lag of an hour', { 'gsyncd_lag_seconds{}': '3600x200' }, ['GsyncdLagHigh']],
  ['a lag of a day', { 'gsyncd_lag_seconds{}': '86400x200' }, ['GsyncdLagHigh', 'GsyncdLagVeryHigh']],
  ['a faulty worker', { 'gsyncd_worker_state{state="faulty"}': '1x200' }, ['GsyncdWorkerFaulty']],
  [
    'a dead worker that was not stopped',
    { 'gsyncd_worker_up{}': '0x200', 'gsyncd_worker_state{state="active"}': '1x200' },
    ['GsyncdWorkerDown'],
  ],
  [
    'a stopped worker',
    {
      'gsyncd_worker_up{}': '0x200',
      'gsyncd_worker_state{state="stopped"}': '1x200',
      'gsyncd_worker_state{state="active"}': '0x200',
    },
    [],
  ],
  ['a worker that restarts every minute', { 'gsyncd_worker_restarts_total{}': '0+1x200' }, ['GsyncdWorkerRestarting']],
  [
    'lasting failures',
    { 'gsyncd_failures{kind="data"}': '0x200', 'gsyncd_failures{kind="entry"}': '2x200' },
    ['GsyncdFailures'],
  ],
  [
    'a backlog with progress',
    {
      'gsyncd_backlog_changelogs{}': '5x200',
      'gsyncd_changelogs_total{}': '0+1x200',
      'gsyncd_first_sync_in_progress{}': '0x200',
    },
    [],
  ],
  [
    'a backlog without progress',
    {
      'gsyncd_backlog_changelogs{}': '5x200',
      'gsyncd_changelogs_total{}': '7x200',
      'gsyncd_first_sync_in_progress{}': '0x200',
    },
    ['GsyncdBacklogStuck'],
  ],
  [
    'a first sync with progress',
    {
      'gsyncd_first_sync_in_progress{}': '1x200',
      'gsyncd_first_sync_entries_done{}': '0+5x200',
      'gsyncd_synced_bytes_total{}': '0x200',
    },
    [],
  ],
  [
    'a first sync of one large file',
    {
      'gsyncd_first_sync_in_progress{}': '1x200',
      'gsyncd_first_sync_entries_done{}': '5x200',
      'gsyncd_synced_bytes_total{}': '0+9x200',
    },
    [],
  ],
  [
    'a first sync without progress',
    {
      'gsyncd_first_sync_in_progress{}': '1x200',
      'gsyncd_first_sync_entries_done{}': '5x200',
      'gsyncd_synced_bytes_total{}': '9x200',
    },
    ['GsyncdFirstSyncStuck'],
  ],
  ['a checkpoint that is not completed', { 'gsyncd_checkpoint_completed{}': '0x200' }, ['GsyncdCheckpointWaits']],
];

/** Tells promtool to expect no alert, so that its output names exactly the alerts that fire. */
function firing(series: Series): string[] {
  const dir = mkdtempSync(join(tmpdir(), 'gsyncd-alerts-'));
  try {
    writeFileSync(join(dir, 'rules.yml'), alertRules());
    const input_series = Object.entries(series).map(([name, values]) => ({
      series: name.replace(/\{(.*)\}/, (_, own: string) => `{${LABELS}${own === '' ? '' : `, ${own}`}}`),
      values,
    }));
    const alert_rule_test = RULES.map(({ alert }) => ({ eval_time: '2h', alertname: alert, exp_alerts: [] }));
    writeFileSync(
      join(dir, 'tests.yml'),
      JSON.stringify({
        rule_files: ['rules.yml'],
        evaluation_interval: '1m',
        tests: [{ interval: '1m', input_series, alert_rule_test }],
      }),
    );
    const { status, stdout, stderr } = spawnSync('promtool', ['test', 'rules', join(dir, 'tests.yml')], {
      encoding: 'utf8',
    });
    const output = `${stdout}${stderr}`;
    const fired = [...output.matchAll(/alertname: ?(\w+), ?time/g)].map(([, name = '']) => name);
    if ((status === 0) !== (fired.length === 0)) throw new Error(output);
    return fired;
  } finally {
    rmSync(dir, { recursive: true });
  }
}

test.skipIf(lacksProgram('promtool', 'what alert rules fire on')).each(CASES)(
  'alerts for %s',
  (_, series, expected) => {
    expect(firing(series)).toEqual(expected);
  },
);

test('every rule fires in one of the cases', () => {
  expect(new Set(CASES.flatMap(([, , expected]) => expected))).toEqual(new Set(RULES.map(({ alert }) => alert)));
});
