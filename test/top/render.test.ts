import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { brickReport, type BrickFacts } from '../../src/progress/report.js';
import type { SessionReport } from '../../src/progress/sessions.js';
import { renderTop, type RenderOptions } from '../../src/top/render.js';
import { widthOf } from '../../src/top/text.js';
import { facts, NOW_S, progress } from '../progress/facts.js';
import { fc } from '../seeds.js';

const PLAIN: RenderOptions = { columns: 80, charset: 'unicode', colours: 'off' };
const NOW_MS = NOW_S * 1000;

function session(...bricks: BrickFacts[]): SessionReport {
  return {
    name: 'gv0_backup_sv0',
    directory: '/s',
    primary: 'gv0',
    secondary: 'backup::sv0',
    monitor: 'Started',
    bricks: bricks.map(brickReport),
  };
}

const busy = facts({
  status: {
    entry: 1_234,
    data: 5_678,
    meta: 9,
    last_synced: NOW_S - 90,
    last_error: 'connection to secondary is broken',
    checkpoint_time: NOW_S - 50,
    checkpoint_completed: 'Yes',
    checkpoint_completion_time: NOW_S - 20,
  },
  changelogs: { changelogs: 12, hasOpenChanges: true, oldestSince: NOW_S - 90 },
  progress: progress({
    restarts: 2,
    jobs: { total: 3, busySinceMs: [NOW_MS - 65_000, NOW_MS] },
    queue: { files: 5_678, bytes: 3 << 20 },
    history: [
      [NOW_MS - 60_000, 0, 0, 0, 0],
      [NOW_MS, 6_000, 1_200, 60 << 20, 30],
    ],
  }),
  failures: {
    count: 3,
    byKind: { entry: 1, meta: 0, data: 2, xattrs: 0 },
    cut: false,
    reasons: [
      { reason: 'rsync: exit 23: Permission denied', count: 2, kinds: ['data'], example: 'aaaa', lastTryMs: 0 },
    ],
  },
});
const walk = {
  kind: 'first',
  state: 'walking',
  startedMs: NOW_MS - 100_000,
  endedMs: 0,
  seen: 6_000,
  synced: 5_000,
  expected: 20_000,
} as const;

test('renderTop() shows state, lag, backlog, rates, jobs, checkpoint and failures of a brick', () => {
  const text = renderTop([session(busy)], NOW_MS, PLAIN).join('\n');
  for (const part of [
    'gv0 → backup::sv0',
    'Active',
    'Changelog Crawl',
    '1m 30s',
    '12 changelogs',
    '1,234 entries',
    '5,678 files',
    '3.0 MiB',
    '20/s',
    '100/s',
    '1.0 MiB/s',
    '2 of 3 running',
    '1m 05s',
    'completed',
    '2 x rsync: exit 23: Permission denied',
    '1 entry, 2 data',
    'connection to secondary is broken',
    'ETA',
  ]) {
    expect(text).toContain(part);
  }
});

test('renderTop() shows why a reached checkpoint is not completed', () => {
  const held = facts({ status: { checkpoint_time: NOW_S - 50, checkpoint_completed: 'No' }, failures: busy.failures });
  expect(renderTop([session(held)], NOW_MS, PLAIN).join('\n')).toMatch(
    /checkpoint +.*reached, waiting for failures to be synced/,
  );
});

test('renderTop() warns about two active bricks of one replica set', () => {
  const of = (brick: string, set?: string, worker_status = 'Active'): BrickFacts => ({
    ...facts({ status: { worker_status }, progress: progress(set === undefined ? {} : { set }) }),
    brick,
  });
  const shown = (...bricks: BrickFacts[]): string =>
    renderTop([session(...bricks)], NOW_MS, { ...PLAIN, columns: 120 }).join('\n');
  expect(shown(of('/b/1', '1'), of('/b/2', '1'), of('/b/3', '2'))).toContain(
    '/b/1 and /b/2 hold the same files, and each sends them all: use-meta-volume',
  );
  for (const fine of [
    [of('/b/1', '1'), of('/b/2', '2')],
    [of('/b/1', '1'), of('/b/2', '1', 'Passive')],
    [of('/b/1'), of('/b/2')],
  ])
    expect(shown(...fine)).not.toContain('same files');
});

test('renderTop() shows progress and ETA of a first sync', () => {
  const text = renderTop(
    [session(facts({ status: { last_synced: 0, crawl_status: 'Hybrid Crawl' }, progress: progress({ walk }) }))],
    NOW_MS,
    PLAIN,
  ).join('\n');
  expect(text).toContain('5,000 of ≈20,000 entries');
  expect(text).toContain('25%  ETA 5m 00s');
  expect(text).toContain('first sync not finished');
});

test('renderTop() prints escape sequences only with colours, and the same text without', () => {
  const without = renderTop([session(busy)], NOW_MS, PLAIN).join('\n');
  const coloured = renderTop([session(busy)], NOW_MS, { ...PLAIN, colours: 'on' }).map((line) =>
    line.replaceAll(/\u001b\[\d+m/g, '').trimEnd(),
  );
  expect(without).not.toContain('\u001b');
  expect(coloured.join('\n')).toBe(without);
  expect(renderTop([session(busy)], NOW_MS, { ...PLAIN, colours: 'on' }).join('')).toContain('\u001b[31m');
});

test('renderTop() switches to rows for bricks that do not fit as blocks', () => {
  const many = session(...Array.from({ length: 10 }, (_, i) => ({ ...busy, brick: `/b/${i}` })));
  const rows = renderTop([many], NOW_MS, { ...PLAIN, rows: 24 });
  expect(rows).toHaveLength(12);
  expect(rows[1]).toMatch(/brick +state +lag/);
  expect(renderTop([many], NOW_MS, { ...PLAIN, rows: 1_000 }).length).toBeGreaterThan(80);
});

test('renderTop() reports a missing session and a session without worker', () => {
  expect(renderTop([], NOW_MS, PLAIN)).toEqual(['no geo-replication session on this node']);
  expect(renderTop([{ ...session(), primary: null }], NOW_MS, PLAIN).join()).toContain('no worker has run here yet');
});

/** Text with control characters, escape sequences, surrogates, bidi marks, wide and combining characters. */
const hostile = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom(
        '\u001b[2J',
        '\u001b]0;x\u0007',
        '\r\n',
        '\udce9',
        '\ud83d',
        '\u202e',
        '\u200b',
        '文字',
        'e\u0301',
        '😀',
        '\u009b31m',
        '\t',
      ),
    ),
    { maxLength: 12 },
  )
  .map((parts) => parts.join(''));

test('renderTop() prints only printable characters and no line wider than the screen, for hostile text', () => {
  fc.assert(
    fc.property(
      hostile,
      hostile,
      hostile,
      fc.integer({ min: 20, max: 200 }),
      fc.constantFrom('unicode', 'ascii'),
      fc.constantFrom('blocks', 'rows'),
      (name, reason, error, columns, charset, shape) => {
        const brick = facts({
          brick: `/${name}`,
          status: { last_error: error, secondary_node: name, crawl_status: error },
          progress: progress({ walk, restarts: 1 }),
          failures: {
            count: 1,
            byKind: { entry: 1, meta: 0, data: 0, xattrs: 0 },
            cut: false,
            reasons: [{ reason, count: 1, kinds: ['entry'], example: name, lastTryMs: 0 }],
          },
        });
        const lines = renderTop([{ ...session(brick), primary: name, monitor: error }], NOW_MS, {
          columns,
          charset,
          colours: 'off',
          shape,
        });
        for (const line of lines) {
          expect(line).not.toMatch(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]|[\u202a-\u202e\u2066-\u2069]/u);
          expect(widthOf(line)).toBeLessThanOrEqual(columns);
          if (charset === 'ascii') expect(line).toMatch(/^[\x20-\x7e]*$/);
        }
      },
    ),
    { numRuns: 300 },
  );
});

test.each(['first-sync', 'live', 'failure'])('the recorded screen %s of a real run fits 80 by 24', (name) => {
  const lines = readFileSync(join(import.meta.dirname, '../fixtures/top', `${name}.txt`), 'utf8')
    .trimEnd()
    .split('\n');
  expect(lines.length).toBeLessThanOrEqual(24);
  for (const line of lines) expect(widthOf(line)).toBeLessThanOrEqual(80);
  expect(lines.join('\n')).toMatch(/Active +(Hybrid|Changelog) Crawl/);
});
