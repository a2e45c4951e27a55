import { expect, test } from 'vitest';
import { brickReport } from '../../src/progress/report.js';
import { facts, NOW_S, progress } from './facts.js';

const walk = {
  kind: 'first',
  state: 'walking',
  startedMs: (NOW_S - 100) * 1000,
  endedMs: 0,
  seen: 6_000,
  synced: 5_000,
  expected: 20_000,
} as const;

test('lag is 0 when nothing is pending, even long after the last change', () => {
  expect(brickReport(facts())).toMatchObject({ lag: 0, pending: 'no', eta: 0, state: 'Active' });
});

test('lag after a quiet time is the age of the first new change, not of the stime', () => {
  const report = brickReport(facts({ changelogs: { changelogs: 2, hasOpenChanges: true, oldestSince: NOW_S - 40 } }));
  expect(report).toMatchObject({ pending: 'yes', lag: 40, backlog: { changelogs: 2 } });
});

test('lag with changelogs older than the stime is the age of the stime', () => {
  const report = brickReport(
    facts({
      status: { last_synced: NOW_S - 30 },
      changelogs: { changelogs: 1, hasOpenChanges: false, oldestSince: NOW_S - 45 },
    }),
  );
  expect(report.lag).toBe(30);
});

test('lag without readable changelogs is the age of the stime, and pending is unknown', () => {
  expect(brickReport(facts({ changelogs: null, status: { last_synced: NOW_S - 70 } }))).toMatchObject({
    pending: 'unknown',
    lag: 70,
    backlog: { changelogs: null },
  });
});

test('lag is null during the first sync, and eta follows from its rate', () => {
  const report = brickReport(
    facts({ status: { last_synced: 0, crawl_status: 'Hybrid Crawl' }, changelogs: null, progress: progress({ walk }) }),
  );
  expect(report).toMatchObject({
    lag: null,
    pending: 'yes',
    eta: 300,
    firstSync: { rate: 50, fraction: 0.25, expected: 20_000 },
  });
});

test('firstSync.expected is the number of found entries after the walk, and at least that number before', () => {
  const at = (values: object) =>
    brickReport(facts({ progress: progress({ walk: { ...walk, ...values } }) })).firstSync?.expected;
  expect(at({ state: 'walked' })).toBe(6_000);
  expect(at({ expected: 10 })).toBe(6_000);
  expect(at({ expected: null })).toBeNull();
  expect(brickReport(facts({ progress: progress({ walk: { ...walk, expected: null } }) })).eta).toBeNull();
});

test('firstSync is null for the crawl of a changelog gap', () => {
  expect(brickReport(facts({ progress: progress({ walk: { ...walk, kind: 'again' } }) })).firstSync).toBeNull();
});

test('eta is the time of the slowest part, and null while a part makes no progress', () => {
  const history = [
    [(NOW_S - 60) * 1000, 0, 0, 0, 0],
    [NOW_S * 1000, 6_000, 600, 60_000, 30],
  ];
  const busy = {
    changelogs: { changelogs: 10, hasOpenChanges: false, oldestSince: NOW_S - 30 },
    status: { data: 100 },
  };
  expect(brickReport(facts({ ...busy, progress: progress({ history }) })).eta).toBeCloseTo(20);
  expect(brickReport(facts({ ...busy, progress: progress() })).eta).toBeNull();
  expect(
    brickReport(facts({ changelogs: { changelogs: 0, hasOpenChanges: true, oldestSince: NOW_S - 3 } })),
  ).toMatchObject({ eta: null, lag: 3 });
});

test.each([
  ['Active', {}],
  ['Initializing...', { status: { worker_status: 'N/A' } }],
  ['Active', { monitor: 'Created' }],
  ['Active', { isWorkerRunning: false, monitor: 'Started' }],
  ['Faulty', { isWorkerRunning: false, monitor: null }],
  ['Stopped', { isWorkerRunning: false, monitor: 'Stopped' }],
  ['Paused', { isWorkerRunning: false, monitor: 'Paused' }],
  ['Stopped', { isWorkerRunning: false, monitor: 'Created', progress: progress({ ended: 'stopped' }) }],
  ['Faulty', { isWorkerRunning: false, monitor: 'Created', progress: progress({ ended: 'faulty' }) }],
  ['Created', { isWorkerRunning: false, monitor: 'Created', progress: null }],
  ['Passive', { isWorkerRunning: false, progress: null, status: { worker_status: 'Passive' } }],
  ['N/A', { isWorkerRunning: false, progress: null, status: { worker_status: 'hostile \u001b[2J' } }],
] as const)('state is %s with %o', (state, values) => {
  expect(brickReport(facts(values)).state).toBe(state);
});

test('lag is null for a passive brick, and the queue of a dead worker is not reported', () => {
  expect(
    brickReport(
      facts({
        status: { worker_status: 'Passive' },
        changelogs: { changelogs: 5, hasOpenChanges: true, oldestSince: 1 },
      }),
    ),
  ).toMatchObject({ lag: null, pending: 'no' });
  const dead = brickReport(
    facts({
      isWorkerRunning: false,
      status: { entry: 5, data: 6 },
      progress: progress({ queue: { files: 6, bytes: 99 } }),
    }),
  );
  expect(dead.backlog).toMatchObject({ entries: 0, data: 0, bytes: 0 });
});

test('a stopped session still reports its backlog', () => {
  const report = brickReport(
    facts({
      isWorkerRunning: false,
      monitor: 'Stopped',
      changelogs: { changelogs: 7, hasOpenChanges: true, oldestSince: NOW_S - 500 },
    }),
  );
  expect(report).toMatchObject({ state: 'Stopped', lag: 500, backlog: { changelogs: 7 }, eta: null, crawl: 'N/A' });
});

test('the progress of a stopped worker is ignored when a stock worker continues the session', () => {
  const report = brickReport(
    facts({ isWorkerRunning: false, status: { entry: 4 }, progress: progress({ ended: 'stopped', walk }) }),
  );
  expect(report).toMatchObject({
    state: 'Active',
    worker: null,
    firstSync: null,
    backlog: { entries: 4, bytes: null },
  });
});

test('a reached checkpoint with failures is not completed', () => {
  const status = { checkpoint_time: NOW_S - 10, checkpoint_completed: 'No', checkpoint_completion_time: 'N/A' };
  expect(brickReport(facts({ status })).checkpoint).toEqual({
    time: NOW_S - 10,
    completed: false,
    completionTime: null,
  });
});
