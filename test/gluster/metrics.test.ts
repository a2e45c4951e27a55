// Metrics and live view of a real worker on a real volume: during the first sync, in the changelog crawl, with a failure, and
// after a stop.
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, test } from 'vitest';
import type { BrickReport } from '../../src/progress/report.js';
import { smallFiles } from './lab/fixtures.js';
import { HOST } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab();
const PORT = 19_100;
const TEXTFILE = '/srv/gsyncd.prom';
const METRICS = ['--metrics-listen', String(PORT), '--metrics-textfile', TEXTFILE, '--metrics-interval', '1'];
const SCRAPE =
  'import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())';

let worker: WorkerHandle;
const scrape = async (): Promise<string> =>
  (await lab().exec(['python3', '-c', SCRAPE, `http://127.0.0.1:${PORT}/metrics`])).stdout;
const gsyncd = async (...args: string[]): Promise<string> =>
  (await lab().exec([process.execPath, path.join(REPO, 'bin/gsyncd-ts.js'), ...args])).stdout;

/** The sum of a metric's series, null without a sample. */
function value(text: string, name: string, label = ''): number | null {
  const lines = text.split('\n').filter((line) => line.startsWith(`${name}{`) && line.includes(label));
  return lines.length === 0
    ? null
    : lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
}

async function top(): Promise<BrickReport> {
  const found = JSON.parse(await gsyncd('top', 'gv0', '--json')) as {
    version: number;
    sessions: { bricks: BrickReport[] }[];
  };
  expect(found.version).toBe(2);
  return found.sessions[0]!.bricks[0]!;
}

async function caughtUp(): Promise<void> {
  await lab().until(
    'nothing pending',
    async () => {
      const { lag, crawl } = await top();
      return lag === 0 && crawl === 'Changelog Crawl';
    },
    120_000,
  );
}

test('a first sync exports its progress and the expected number of entries', async () => {
  await lab().sh(smallFiles('first', 2000));
  worker = lab().startWorker({ args: METRICS });
  let text = '';
  await lab().until(
    'first sync under way',
    async () => {
      text = await scrape().catch(() => '');
      return (value(text, 'gsyncd_first_sync_entries_done') ?? 0) > 0;
    },
    90_000,
  );
  expect(value(text, 'gsyncd_first_sync_in_progress')).toBe(1);
  expect(value(text, 'gsyncd_worker_state', 'state="active"')).toBe(1);
  expect(value(text, 'gsyncd_crawl_state', 'crawl="hybrid"')).toBe(1);
  const expected = value(text, 'gsyncd_first_sync_entries_expected')!;
  // 2,000 files, 30 directories and the one above them; GlusterFS adds a few.
  expect(Math.abs(expected - 2_031)).toBeLessThan(450);
  expect(value(text, 'gsyncd_lag_seconds')).toBeNull();
  await lab().waitConverged(180_000);
});

test('in the changelog crawl an idle worker has no lag, and changes are counted', async () => {
  await caughtUp();
  await lab().until(
    'counters of the first sync',
    async () => (value(await scrape(), 'gsyncd_synced_files_total') ?? 0) >= 2_000,
    20_000,
  );
  const before = await scrape();
  expect(value(before, 'gsyncd_first_sync_in_progress')).toBe(0);
  expect(value(before, 'gsyncd_first_sync_entries_done')).toBeNull();
  await lab().sh('mkdir live; for i in {1..50}; do head -c 10000 /dev/urandom >live/$i; done');
  await lab().until('a change is pending', async () => (await top()).pending === 'yes');
  expect((await top()).lag).toBeLessThan(60);
  await lab().waitConverged();
  await caughtUp();
  let text = '';
  await lab().until(
    'the counters',
    async () => (value((text = await scrape()), 'gsyncd_synced_files_total') ?? 0) >= 2_050,
    20_000,
  );
  expect(
    value(text, 'gsyncd_synced_bytes_total')! - value(before, 'gsyncd_synced_bytes_total')!,
  ).toBeGreaterThanOrEqual(500_000);
  expect(
    value(text, 'gsyncd_operations_total', 'type="create"')! -
      (value(before, 'gsyncd_operations_total', 'type="create"') ?? 0),
  ).toBe(50);
  expect(value(text, 'gsyncd_changelogs_total')).toBeGreaterThan(0);
  expect(value(text, 'gsyncd_lag_seconds')).toBe(0);
  expect(value(text, 'gsyncd_worker_restarts_total')).toBe(0);
  await lab().until(
    'the file for the collector',
    async () => (value(await lab().read(TEXTFILE), 'gsyncd_synced_files_total') ?? 0) >= 2_050,
    20_000,
  );
  expect(await gsyncd('metrics', 'print', 'gv0')).toContain('gsyncd_worker_up{primary="gv0"');
});

test('the stock status command reads a status file with a progress file beside it', async () => {
  await lab().pretendMonitor();
  await lab().until('status', async () => /Active +Changelog Crawl/.test(await lab().statusDetail()), 60_000);
});

test('a failure is counted by kind, and top shows its reason', async () => {
  await lab().sh(`python3 -c 'import os; os.symlink(b"caf\\xe9", b"link")'`);
  await lab().until('a failure', async () => value(await scrape(), 'gsyncd_failures', 'kind="entry"') === 1, 90_000);
  const shown = await gsyncd('top', 'gv0', '--once');
  expect(shown).toMatch(/failures +1 +\(1 entry\)/);
  expect(shown).toContain('symlink target');
  for (const line of shown.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  expect(shown).not.toContain('\u001b');
});
import { lacks } from '../skip.js';

test('a second worker on the same metrics port exits with a one-line error', async () => {
  const second = lab().startWorker({ args: METRICS });
  const exit = await second.exited;
  expect(exit.code).toBe(1);
  expect(second.stderr.trim()).toBe(`gsyncd-ts: metrics: listen on 127.0.0.1:${PORT}: the port is in use`);
});

test('promtool accepts the metrics of a real worker', async ({ skip }) => {
  const result = spawnSync('promtool', ['check', 'metrics'], { input: await scrape(), encoding: 'utf8' });
  if (lacks(result.error === undefined, 'promtool is not installed', 'checks of what a real worker exports')) skip();
  expect(`${result.stdout}${result.stderr}`).toBe('');
});

test('top draws in a terminal and restores the terminal', async () => {
  const onTerminal = path.join(import.meta.dirname, 'lab/on-terminal.py');
  const { stdout } = await lab().exec([
    'python3',
    onTerminal,
    process.execPath,
    path.join(REPO, 'bin/gsyncd-ts.js'),
    'top',
    '--interval',
    '0.3',
  ]);
  const result = JSON.parse(stdout) as { output: string; code: number; restored: boolean };
  expect(result.output).toContain('Changelog Crawl');
  expect(result.output.startsWith('\u001b[?1049h')).toBe(true);
  expect(result.output.endsWith('\u001b[?1049l')).toBe(true);
  expect(result).toMatchObject({ code: 0, restored: true });
});

test('top shows the backlog of a stopped worker', async () => {
  await worker.stop();
  await lab().sh(`printf Stopped >'${lab().sessionDir}/monitor.status'`);
  await lab().sh('printf x >while-stopped');
  await lab().until('the changelog', async () => ((await top()).backlog.changelogs ?? 0) > 0, 60_000);
  const report = await top();
  expect(report).toMatchObject({ state: 'Stopped', pending: 'yes', worker: { running: false } });
  expect(report.lag).toBeGreaterThan(0);
  await lab().assertNoMountsLeft();
});

test('the monitor exports the metrics of its bricks and the number of worker restarts', async () => {
  const conf = '/srv/monitor.conf';
  await lab().sh(
    `{ cat gsyncd.conf; grep -q '^.vars' gsyncd.conf || echo '[vars]'; echo 'pid-file = /run/gluster/by-hand.pid'; } >${conf}`,
    lab().sessionDir,
  );
  const monitor = lab().box.start([
    process.execPath,
    path.join(REPO, 'bin/gsyncd-ts.js'),
    'monitor',
    'gv0',
    `root@${HOST}::sv0`,
    '-c',
    conf,
    '--foreground',
    '--log-file',
    '/var/log/glusterfs/monitor.log',
    '--metrics-listen',
    String(PORT),
  ]);
  const active = async (restarts: number): Promise<boolean> => {
    const text = await scrape().catch(() => '');
    return (
      value(text, 'gsyncd_worker_up') === 1 &&
      value(text, 'gsyncd_worker_state', 'state="active"') === 1 &&
      value(text, 'gsyncd_worker_restarts_total') === restarts
    );
  };
  await lab().until('an active worker', () => active(0), 90_000);
  await lab().exec(['kill', '-KILL', String((await top()).worker?.pid)]);
  await lab().until('another one', () => active(1), 120_000);
  const [pid] = [...(await lab().box.processes())]
    .filter(([, line]) => line.includes('gsyncd-ts.js monitor '))
    .map(([found]) => found);
  const ended = new Promise((resolve) => monitor.once('exit', resolve));
  await lab().exec(['kill', '-TERM', String(pid)]);
  await ended;
  await lab().assertNoMountsLeft();
});
