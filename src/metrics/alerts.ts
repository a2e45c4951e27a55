// Alert rules for Prometheus, printed by `gsyncd-ts metrics alerts`. The thresholds suit a disaster-recovery copy; an
// admin is meant to edit them.

import { METRIC_NAMES } from './names.js';

interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly severity: 'warning' | 'critical';
  readonly summary: string;
}

const BRICK = '{{ $labels.primary }} to {{ $labels.secondary }}, brick {{ $labels.brick }}';

export const RULES: readonly Rule[] = [
  {
    alert: 'GsyncdLagHigh',
    expr: `${METRIC_NAMES.lag} > 900`,
    for: '5m',
    severity: 'warning',
    summary: `${BRICK}: changes are {{ $value | humanizeDuration }} behind`,
  },
  {
    alert: 'GsyncdLagVeryHigh',
    expr: `${METRIC_NAMES.lag} > 14400`,
    for: '5m',
    severity: 'critical',
    summary: `${BRICK}: changes are {{ $value | humanizeDuration }} behind`,
  },
  {
    alert: 'GsyncdWorkerFaulty',
    expr: `${METRIC_NAMES.state}{state="faulty"} == 1`,
    for: '2m',
    severity: 'critical',
    summary: `${BRICK}: the worker is faulty; its log says why`,
  },
  {
    alert: 'GsyncdWorkerDown',
    expr: `${METRIC_NAMES.up} == 0 and on (primary, secondary, brick, instance) (${METRIC_NAMES.state}{state=~"active|passive|initializing"} == 1)`,
    for: '5m',
    severity: 'critical',
    summary: `${BRICK}: no worker runs`,
  },
  {
    alert: 'GsyncdWorkerRestarting',
    expr: `increase(${METRIC_NAMES.restarts}[30m]) > 3`,
    for: '0m',
    severity: 'warning',
    summary: `${BRICK}: the worker ended {{ $value | humanize }} times in 30 minutes`,
  },
  {
    alert: 'GsyncdFailures',
    expr: `sum without (kind) (${METRIC_NAMES.failures}) > 0`,
    for: '15m',
    severity: 'warning',
    summary: `${BRICK}: {{ $value }} items cannot be synced`,
  },
  {
    alert: 'GsyncdBacklogStuck',
    expr: `${METRIC_NAMES.backlogChangelogs} > 0 and increase(${METRIC_NAMES.changelogs}[30m]) == 0 and ${METRIC_NAMES.firstSync} == 0`,
    for: '10m',
    severity: 'critical',
    summary: `${BRICK}: {{ $value }} changelogs wait and none was synced for 30 minutes`,
  },
  {
    alert: 'GsyncdFirstSyncStuck',
    expr: `${METRIC_NAMES.firstSync} == 1 and delta(${METRIC_NAMES.firstDone}[1h]) == 0 and increase(${METRIC_NAMES.bytes}[1h]) == 0`,
    for: '10m',
    severity: 'warning',
    summary: `${BRICK}: the first sync has not moved for an hour`,
  },
  {
    alert: 'GsyncdCheckpointWaits',
    expr: `${METRIC_NAMES.checkpointDone} == 0`,
    for: '30m',
    severity: 'warning',
    summary: `${BRICK}: the checkpoint is reached, waiting for failures to be synced`,
  },
];

/** The rules as a file for `rule_files`. */
export function alertRules(): string {
  const lines = ['groups:', '  - name: gsyncd', '    rules:'];
  for (const { alert, expr, for: duration, severity, summary } of RULES) {
    lines.push(
      `      - alert: ${alert}`,
      `        expr: ${yamlString(expr)}`,
      `        for: ${duration}`,
      '        labels:',
      `          severity: ${severity}`,
      '        annotations:',
      `          summary: ${yamlString(summary)}`,
    );
  }
  return `${lines.join('\n')}\n`;
}

/** A JSON string is a YAML string. */
function yamlString(text: string): string {
  return JSON.stringify(text);
}
