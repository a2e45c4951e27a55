// A Grafana dashboard over the metrics, printed by `gsyncd-ts metrics dashboard`: state and lag first, then backlog,
// rates and failures. Import it in Grafana, which asks for the Prometheus data source.

import { METRIC_NAMES } from './names.js';

interface Query {
  readonly expr: string;
  readonly legend: string;
}

type PanelKind = 'stat' | 'timeseries' | 'table';

const SELECTOR = '{primary=~"$primary", brick=~"$brick"}';
const DATASOURCE = { type: 'prometheus', uid: '${datasource}' };
const BRICK = '{{primary}} {{brick}}';

const selected = (name: string): string => name + SELECTOR;
const ratePerSecond = (name: string): string => `rate(${selected(name)}[$__rate_interval])`;
const stateSelected = (name: string, selector: string): string =>
  `${name}{${selector}, primary=~"$primary", brick=~"$brick"}`;
const quantile = (q: number, name: string, label: string): string =>
  `histogram_quantile(${q}, sum by (le, ${label}) (rate(${selected(`${name}_bucket`)}[$__rate_interval])))`;

/** Title, unit, kind, width (of 24 columns), queries. */
const PANELS: readonly (readonly [string, string, PanelKind, number, readonly Query[]])[] = [
  ['Lag (RPO)', 's', 'stat', 6, [{ expr: `max(${selected(METRIC_NAMES.lag)})`, legend: 'largest lag' }]],
  [
    'Faulty bricks',
    'short',
    'stat',
    6,
    [{ expr: `sum(${stateSelected(METRIC_NAMES.state, 'state="faulty"')})`, legend: 'faulty' }],
  ],
  ['Not synced: failures', 'short', 'stat', 6, [{ expr: `sum(${selected(METRIC_NAMES.failures)})`, legend: 'items' }]],
  [
    'First sync',
    'percentunit',
    'stat',
    6,
    [{ expr: `${selected(METRIC_NAMES.firstDone)} / ${selected(METRIC_NAMES.firstExpected)}`, legend: BRICK }],
  ],
  ['Lag by brick', 's', 'timeseries', 12, [{ expr: selected(METRIC_NAMES.lag), legend: BRICK }]],
  ['Time to catch up', 's', 'timeseries', 12, [{ expr: selected(METRIC_NAMES.eta), legend: BRICK }]],
  [
    'Changelogs that wait',
    'short',
    'timeseries',
    8,
    [{ expr: selected(METRIC_NAMES.backlogChangelogs), legend: BRICK }],
  ],
  [
    'Files and entries in hand',
    'short',
    'timeseries',
    8,
    [
      { expr: selected(METRIC_NAMES.backlogFiles), legend: `files ${BRICK}` },
      { expr: selected(METRIC_NAMES.backlogEntries), legend: `entries ${BRICK}` },
    ],
  ],
  ['Content that waits', 'bytes', 'timeseries', 8, [{ expr: selected(METRIC_NAMES.backlogBytes), legend: BRICK }]],
  ['Files per second', 'short', 'timeseries', 8, [{ expr: ratePerSecond(METRIC_NAMES.files), legend: BRICK }]],
  ['Bytes per second', 'Bps', 'timeseries', 8, [{ expr: ratePerSecond(METRIC_NAMES.bytes), legend: BRICK }]],
  ['Entries per second', 'short', 'timeseries', 8, [{ expr: ratePerSecond(METRIC_NAMES.entries), legend: BRICK }]],
  [
    'Operations by type',
    'short',
    'timeseries',
    12,
    [{ expr: `sum by (type) (${ratePerSecond(METRIC_NAMES.operations)})`, legend: '{{type}}' }],
  ],
  [
    'Failures by kind',
    'short',
    'timeseries',
    12,
    [{ expr: `sum by (kind) (${selected(METRIC_NAMES.failures)})`, legend: '{{kind}}' }],
  ],
  [
    'Duration of transfers',
    's',
    'timeseries',
    8,
    [
      { expr: quantile(0.5, METRIC_NAMES.jobSeconds, 'engine'), legend: 'median {{engine}}' },
      { expr: quantile(0.95, METRIC_NAMES.jobSeconds, 'engine'), legend: '95% {{engine}}' },
    ],
  ],
  [
    'Duration of calls to the secondary',
    's',
    'timeseries',
    8,
    [
      { expr: quantile(0.5, METRIC_NAMES.callSeconds, 'kind'), legend: 'median {{kind}}' },
      { expr: quantile(0.95, METRIC_NAMES.callSeconds, 'kind'), legend: '95% {{kind}}' },
    ],
  ],
  [
    'Transfers that run',
    'short',
    'timeseries',
    8,
    [
      { expr: selected(METRIC_NAMES.jobsBusy), legend: BRICK },
      { expr: selected(METRIC_NAMES.jobs), legend: `limit ${BRICK}` },
    ],
  ],
  [
    'State and crawl',
    'short',
    'table',
    16,
    [
      { expr: `${selected(METRIC_NAMES.state)} == 1`, legend: '' },
      { expr: `${selected(METRIC_NAMES.crawl)} == 1`, legend: '' },
    ],
  ],
  ['Restarts', 'short', 'timeseries', 8, [{ expr: `increase(${selected(METRIC_NAMES.restarts)}[1h])`, legend: BRICK }]],
];

export function dashboard(): Record<string, unknown> {
  return {
    uid: 'gsyncd-ts',
    title: 'GlusterFS geo-replication (gsyncd-ts)',
    tags: ['glusterfs', 'geo-replication'],
    schemaVersion: 39,
    timezone: 'browser',
    refresh: '30s',
    time: { from: 'now-6h', to: 'now' },
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus' },
        queryVariable('primary', `label_values(${METRIC_NAMES.state}, primary)`),
        queryVariable('brick', `label_values(${METRIC_NAMES.state}{primary=~"$primary"}, brick)`),
      ],
    },
    panels: layOutPanels(),
  };
}

function queryVariable(name: string, query: string): Record<string, unknown> {
  return {
    name,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: name },
    refresh: 2,
    multi: true,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

/** Panels from left to right. A panel that does not fit begins a new row. */
function layOutPanels(): Record<string, unknown>[] {
  let x = 0;
  let y = 0;
  let rowHeight = 0;
  return PANELS.map(([title, unit, type, width, queries], i) => {
    const height = type === 'stat' ? 4 : 8;
    if (x + width > 24) {
      x = 0;
      y += rowHeight;
      rowHeight = 0;
    }
    const gridPos = { x, y, w: width, h: height };
    x += width;
    rowHeight = Math.max(rowHeight, height);
    const targets = queries.map(({ expr, legend }, n) => ({
      refId: String.fromCharCode(65 + n),
      datasource: DATASOURCE,
      expr,
      legendFormat: legend,
      ...(type === 'table' ? { format: 'table', instant: true } : {}),
    }));
    return {
      id: i + 1,
      title,
      type,
      datasource: DATASOURCE,
      gridPos,
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      options: {},
      targets,
    };
  });
}
