// Names, types and values of the metrics of made-up bricks, and the metrics that dashboard and alert rules use.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { alertRules, RULES } from '../../src/metrics/alerts.js';
import { dashboard } from '../../src/metrics/dashboard.js';
import { parseListen, startExporter, type Exporter } from '../../src/metrics/exporter.js';
import { METRICS } from '../../src/metrics/names.js';
import { expose } from '../../src/metrics/registry.js';
import { brickSamples } from '../../src/metrics/samples.js';
import { BucketCounter, JOB_SECONDS } from '../../src/progress/buckets.js';
import { brickReport } from '../../src/progress/report.js';
import { facts, NOW_S, progress } from '../progress/facts.js';
import { lacks, lacksProgram } from '../skip.js';

const buckets = new BucketCounter(JOB_SECONDS);
for (const seconds of [0.05, 0.2, 4, 100_000]) buckets.observe(seconds);

const full = progress({
  restarts: 2,
  walk: {
    kind: 'first',
    state: 'walking',
    startedMs: (NOW_S - 10) * 1000,
    endedMs: 0,
    seen: 6,
    synced: 5,
    expected: 20,
  },
  totals: {
    entries: 1,
    files: 2,
    bytes: 3,
    changelogs: 4,
    metas: 5,
    entryFailures: 6,
    metaFailures: 7,
    fileFailures: 8,
  },
  ops: { MKDIR: 3, DATA: 4 },
  batches: { xsync: 2 },
  calls: { entry: buckets.snapshot() },
  transfers: { rsync: buckets.snapshot() },
});
const everything = facts({
  progress: full,
  status: { checkpoint_time: 5, checkpoint_completed: 'Yes', checkpoint_completion_time: 6 },
  changelogs: { changelogs: 3, hasOpenChanges: true, oldestSince: NOW_S - 30 },
  failures: { count: 3, byKind: { entry: 1, meta: 0, data: 2, xattrs: 0 }, reasons: [], cut: false },
});
const samplesOf = (given: typeof everything) =>
  brickSamples({ report: brickReport(given), progress: given.progress }, 'session', '0.0.0');
const exposed = async (): Promise<string> => (await expose([samplesOf(everything)])).text;

/** Value of the first sample with this name whose line contains `label`. */
function value(text: string, name: string, label = ''): string | undefined {
  return text
    .split('\n')
    .find((line) => line.startsWith(`${name}{`) && line.includes(label))
    ?.split(' ')
    .at(-1);
}

function promtool(args: readonly string[], input = ''): { available: boolean; code: number | null; output: string } {
  const result = spawnSync('promtool', args, { input, encoding: 'utf8' });
  return { available: result.error === undefined, code: result.status, output: `${result.stdout}${result.stderr}` };
}

test('expose() exports every metric of the table for a brick with all values', async () => {
  const text = await exposed();
  for (const { name, type } of Object.values(METRICS)) expect(text).toContain(`# TYPE ${name} ${type}\n`);
});

test('expose() exports the values of the report and the counters', async () => {
  const text = await exposed();
  expect(value(text, 'gsyncd_lag_seconds')).toBe('30');
  // 5 entries in 10 s, 15 remain.
  expect(value(text, 'gsyncd_eta_seconds')).toBe('30');
  expect(value(text, 'gsyncd_first_sync_entries_seen')).toBe('6');
  expect(value(text, 'gsyncd_first_sync_entries_done')).toBe('5');
  expect(value(text, 'gsyncd_first_sync_entries_expected')).toBe('20');
  expect(value(text, 'gsyncd_worker_state', 'state="active"')).toBe('1');
  expect(value(text, 'gsyncd_worker_state', 'state="faulty"')).toBe('0');
  expect(value(text, 'gsyncd_worker_restarts_total')).toBe('2');
  expect(value(text, 'gsyncd_failures', 'kind="data"')).toBe('2');
  expect(value(text, 'gsyncd_operations_total', 'type="mkdir"')).toBe('3');
  expect(value(text, 'gsyncd_synced_bytes_total', 'primary="gv0",secondary="backup::sv0",brick="/bricks/b1"')).toBe(
    '3',
  );
  expect(value(text, 'gsyncd_sync_job_duration_seconds_bucket', 'le="0.25"')).toBe('2');
  expect(value(text, 'gsyncd_sync_job_duration_seconds_bucket', 'le="+Inf"')).toBe('4');
  expect(value(text, 'gsyncd_sync_job_duration_seconds_count')).toBe('4');
  expect(Number(value(text, 'gsyncd_sync_job_duration_seconds_sum'))).toBeCloseTo(100_004.25);
});

test('expose() omits unknown values, and bounds the number of series', async () => {
  const text = (
    await expose([
      samplesOf(
        facts({
          progress: null,
          isWorkerRunning: false,
          changelogs: null,
          failures: null,
          status: { last_synced: 0, last_error: 'x'.repeat(100), failures: 9 },
        }),
      ),
    ])
  ).text;
  expect(text).not.toContain('gsyncd_lag_seconds');
  expect(text).not.toContain('gsyncd_eta_seconds');
  expect(value(text, 'gsyncd_failures', 'kind="unknown"')).toBe('9');
  expect((await exposed()).split('\n').filter((line) => line.startsWith('gsyncd_')).length).toBeLessThan(120);
});

test('gsyncd_eta_seconds is the time of the slowest part of a backlog, and 0 without a backlog', async () => {
  const history = [
    [(NOW_S - 60) * 1000, 0, 0, 0, 0],
    [NOW_S * 1000, 6_000, 600, 60_000, 30],
  ];
  const eta = async (given: Parameters<typeof facts>[0]): Promise<string | undefined> =>
    value((await expose([samplesOf(facts(given))])).text, 'gsyncd_eta_seconds');
  // 10 changelogs at 0.5 a second take 20 s; 100 files at 10 a second take 10 s.
  expect(
    Number(
      await eta({
        changelogs: { changelogs: 10, hasOpenChanges: false, oldestSince: NOW_S - 30 },
        status: { data: 100 },
        progress: progress({ history }),
      }),
    ),
  ).toBeCloseTo(20);
  expect(await eta({})).toBe('0');
});

test('expose() escapes label values with quotes, line breaks and bytes that are not UTF-8', async () => {
  const odd = progress({ brick: '/b"\n\udce9\\' });
  const { text } = await expose([samplesOf(facts({ brick: odd.brick, progress: odd }))]);
  expect(value(text, 'gsyncd_worker_up')).toBe('1');
  expect(text).toContain('brick="/b\\"\\n\ufffd\\\\"');
  for (const line of text.split('\n')) expect(line).toMatch(/^(#.*|gsyncd_\w+\{.*\} \S+|)$/);
});

describe('dashboard and alert rules', () => {
  /** Metric names in a text, for histograms without their suffix. */
  const named = (text: string): string[] =>
    [...text.matchAll(/gsyncd_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''));

  test('name only exported metrics', () => {
    const known = new Set<string>(Object.values(METRICS).map(({ name }) => name));
    const all = [...named(JSON.stringify(dashboard())), ...named(alertRules())];
    expect(all.length).toBeGreaterThan(30);
    for (const name of all) expect(known).toContain(name);
  });

  test('select only state labels that are exported', async () => {
    const text = await exposed();
    for (const { expr } of RULES) {
      for (const [, list = ''] of expr.matchAll(/state=~?"([^"]+)"/g))
        for (const state of list.split('|')) expect(text).toContain(`state="${state}"`);
    }
  });

  test('panels have unique ids and do not overlap', () => {
    const { panels } = dashboard() as {
      panels: { id: number; gridPos: { x: number; y: number; w: number; h: number } }[];
    };
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    for (const { gridPos: a } of panels) {
      expect(a.x + a.w).toBeLessThanOrEqual(24);
      const over = panels.filter(
        ({ gridPos: b }) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h,
      );
      expect(over).toHaveLength(1);
    }
  });

  test.skipIf(lacksProgram('promtool', 'checks of the metrics'))('metrics and rules pass promtool check', async () => {
    const metrics = promtool(['check', 'metrics'], await exposed());
    expect(metrics.output).toBe('');
    expect(metrics.code).toBe(0);
    const dir = mkdtempSync(join(tmpdir(), 'gsyncd-rules-'));
    writeFileSync(join(dir, 'rules.yml'), alertRules());
    const rules = promtool(['check', 'rules', join(dir, 'rules.yml')]);
    rmSync(dir, { recursive: true });
    expect(rules.output).toContain(`SUCCESS: ${RULES.length} rules found`);
    expect(rules.code).toBe(0);
  });
});

describe('the exporter', () => {
  let dir: string;
  let exporter: Exporter | null = null;
  const errors: string[] = [];
  const start = async (values: Partial<Parameters<typeof startExporter>[0]>): Promise<Exporter> =>
    (exporter = await startExporter({
      intervalS: 1,
      samples: () => Promise.resolve([samplesOf(everything)]),
      onError: (line) => errors.push(line),
      ...values,
    }));
  const url = (path: string): string => `http://${exporter?.address?.host}:${exporter?.address?.port}${path}`;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'gsyncd-exporter-'));
    errors.length = 0;
  });
  afterEach(async () => {
    await exporter?.close();
    exporter = null;
    rmSync(dir, { recursive: true, force: true });
  });

  test('answers GET and HEAD of /metrics on loopback, and no other path or method', async () => {
    await start({ listen: parseListen('0') });
    expect(exporter?.address?.host).toBe('127.0.0.1');
    const response = await fetch(url('/metrics'));
    expect(response.headers.get('content-type')).toContain('text/plain; version=0.0.4');
    expect(await response.text()).toBe(await exposed());
    expect((await fetch(url('/metrics'), { method: 'HEAD' })).status).toBe(200);
    expect((await fetch(url('/etc/passwd'))).status).toBe(404);
    expect((await fetch(url('/metrics'), { method: 'POST' })).status).toBe(405);
  });

  test('reports a failed scrape with status 500 and one line, and answers the next one', async () => {
    let broken = true;
    await start({
      listen: parseListen('0'),
      samples: () => (broken ? Promise.reject(new Error('no such luck')) : Promise.resolve([])),
    });
    expect((await fetch(url('/metrics'))).status).toBe(500);
    expect(errors).toEqual(['metrics: scrape: no such luck']);
    broken = false;
    expect((await fetch(url('/metrics'))).status).toBe(200);
  });

  describe('with slow clients', () => {
    /** Resolves with the milliseconds after which the server ended the connection. */
    const ended = async (send: string, read: 'reads' | 'does not read'): Promise<number> => {
      const { host, port } = exporter!.address!;
      const began = performance.now();
      const socket = connect(port, host);
      socket.on('error', () => undefined);
      socket.write(send);
      if (read === 'reads') socket.resume();
      // Without reading, the client sees a closed connection only through a reset, which its writes provoke.
      else setInterval(() => socket.write('\n'), 500).unref();
      await new Promise((resolve) => socket.once('close', resolve));
      return performance.now() - began;
    };

    test(
      'drops clients that send no complete request, and clients that do not read the answer',
      { timeout: 40_000 },
      async () => {
        const bricks = Array.from({ length: 2_000 }, () => samplesOf(everything));
        await start({ listen: parseListen('0'), samples: () => Promise.resolve(bricks) });
        const waits = await Promise.all([
          ended('', 'reads'),
          ended('GET /metr', 'reads'),
          ended('GET /metrics HTTP/1.1\r\nHost: x\r\nX: ', 'reads'),
          ended('GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n', 'does not read'),
        ]);
        for (const ms of waits) expect(ms).toBeLessThan(20_000);
      },
    );

    test('keeps at most 32 connections, and shares one read of the bricks between concurrent scrapes', async () => {
      let reads = 0;
      const samples = async () => {
        reads += 1;
        await new Promise((resolve) => setTimeout(resolve, 300));
        return [samplesOf(everything)];
      };
      await start({ listen: parseListen('0'), samples });
      const { host, port } = exporter!.address!;
      let closed = 0;
      const sockets = Array.from({ length: 60 }, () =>
        connect(port, host)
          .on('close', () => (closed += 1))
          .on('error', () => undefined),
      );
      await expect.poll(() => closed, { timeout: 4_000 }).toBe(28);
      for (const socket of sockets) socket.destroy();
      await expect
        .poll(
          () =>
            fetch(url('/')).then(
              (response) => response.status,
              () => 0,
            ),
          { timeout: 4_000 },
        )
        .toBe(200);
      const answers = await Promise.all(Array.from({ length: 20 }, async () => (await fetch(url('/metrics'))).status));
      expect(answers).toEqual(answers.map(() => 200));
      expect(reads).toBeLessThan(4);
    });
  });

  test.skipIf(lacks(process.geteuid?.() === 0, 'not root', 'names that others planted'))(
    'follows no symlink of another user in the directory of the text file',
    async () => {
      const victim = join(dir, 'victim');
      const theirs = join(dir, 'theirs');
      mkdirSync(theirs);
      chownSync(theirs, 65_534, 65_534);
      writeFileSync(victim, 'as it was');
      for (const name of ['gsyncd.prom', `.gsyncd.prom.${process.pid}`, '.gsyncd.prom'])
        symlinkSync(victim, join(theirs, name));
      await start({ textfile: join(theirs, 'gsyncd.prom') });
      expect(readFileSync(victim, 'utf8')).toBe('as it was');
      expect(readFileSync(join(theirs, 'gsyncd.prom'), 'utf8')).toContain('gsyncd_lag_seconds');
    },
  );

  test('throws one line for a port in use', async () => {
    const other = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => other.once('listening', resolve));
    const { port } = other.address() as { port: number };
    await expect(start({ listen: { host: '127.0.0.1', port } })).rejects.toThrow(
      `metrics: listen on 127.0.0.1:${port}: the port is in use`,
    );
    other.close();
  });

  test('replaces the text file at each interval with mode 644, and leaves no other file beside it', async () => {
    const path = join(dir, 'gsyncd.prom');
    let version = 1;
    await start({
      textfile: path,
      samples: () =>
        Promise.resolve([brickSamples({ report: brickReport(everything), progress: full }, 's', String(version++))]),
    });
    expect(readFileSync(path, 'utf8')).toContain('version="1"');
    await expect.poll(() => readFileSync(path, 'utf8'), { timeout: 10_000 }).toContain('version="2"');
    expect(readdirSync(dir)).toEqual(['gsyncd.prom']);
    expect(execFileSync('stat', ['-c', '%a', path], { encoding: 'utf8' })).toBe('644\n');
  });

  test('startExporter() fails and closes the port when the text file cannot be written', async () => {
    const probe = createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => probe.once('listening', resolve));
    const { port } = probe.address() as { port: number };
    await new Promise((resolve) => probe.close(resolve));
    await expect(
      start({ listen: { host: '127.0.0.1', port }, textfile: join(dir, 'nowhere', 'x.prom') }),
    ).rejects.toThrow(/metrics: write .*x\.prom: ENOENT/);
    await start({ listen: { host: '127.0.0.1', port } });
  });

  test.each([
    ['9100', '127.0.0.1', 9100],
    ['0.0.0.0:1', '0.0.0.0', 1],
    ['[::1]:80', '::1', 80],
    ['localhost:80', 'localhost', 80],
  ])('parseListen() accepts %s', (text, host, port) => {
    expect(parseListen(text)).toEqual({ host, port });
  });

  test.each(['', 'x', ':', '70000', '::1:80', 'a b:1', '1.2.3.4'])('parseListen() refuses %j', (text) => {
    expect(() => parseListen(text)).toThrow(/must be \[ADDRESS:\]PORT/);
  });
});
