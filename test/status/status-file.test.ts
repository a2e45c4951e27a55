import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { fsDecode } from '../../src/names.js';
import { statusFileName } from '../../src/status/file-name.js';
import { readStatus, WorkerStatus } from '../../src/status/status-file.js';
import { lacks, lacksPython, NO_GLUSTER } from '../skip.js';

const top = mkdtempSync(join(tmpdir(), 'status-'));
afterAll(() => rmSync(top, { recursive: true, force: true }));
let dirs = 0;
function sessionDir(): string {
  const dir = join(top, String(dirs++));
  mkdirSync(dir);
  return dir;
}

const run = promisify(execFile);
const BRICK = '/d/b 1/é~x';
const STOCK = '/usr/lib/x86_64-linux-gnu/glusterfs/python/syncdaemon';

function open(dir: string, gatherMs = 10_000): { status: WorkerStatus; said: string[] } {
  const said: string[] = [];
  const log = {
    info: (message: string, fields: Readonly<Record<string, unknown>>) =>
      void said.push(`${message} ${JSON.stringify(fields)}`),
  };
  return {
    status: new WorkerStatus({ stateFile: join(dir, 'monitor.status'), brickPath: BRICK, log, gatherMs }),
    said,
  };
}

describe('statusFileName()', () => {
  it.skipIf(lacksPython('names of status files'))('quotes paths as quote_plus() of Python does', () => {
    expect(statusFileName('/d/gv0_1')).toBe('brick_%2Fd%2Fgv0_1.status');
    const paths = ['/a b+c', '/é/ü', '/%~.-_!*()\'"', '/日本'];
    const quoted = execFileSync('python3', [
      '-c',
      'import sys, urllib.parse as u\nfor p in sys.argv[1:]: print("brick_%s.status" % u.quote_plus(p))',
      ...paths,
    ]);
    expect(paths.map(statusFileName)).toEqual(quoted.toString().trim().split('\n'));
  });

  it('quotes bytes that are not UTF-8', () => {
    expect(statusFileName(fsDecode(Buffer.from('/\xff', 'latin1')))).toBe('brick_%2F%FF.status');
  });
});

describe('WorkerStatus', () => {
  it('logs state changes only', async () => {
    const { status, said } = open(sessionDir());
    await status.setWorkerStatus('Initializing...');
    await status.setActive();
    await status.setActive();
    await status.setCrawlStatus('History Crawl');
    await status.setCrawlStatus('History Crawl');
    expect(said).toEqual([
      'Worker Status Change {"status":"Initializing..."}',
      'Worker Status Change {"status":"Active"}',
      'Crawl Status Change {"status":"History Crawl"}',
    ]);
  });

  it('collects counters, never below zero, and writes them on flush() or with a state change', async () => {
    const { status } = open(sessionDir());
    await status.resetOnWorkerStart();
    status.addCounts({ entry: 5, data: 3, meta: 1 });
    status.addCounts({ entry: -2, data: -7 });
    status.setFailures(4);
    expect(await readStatus(status.path)).toMatchObject({ entry: 0, data: 0, failures: 0 });
    await status.flush();
    expect(await readStatus(status.path)).toMatchObject({ entry: 3, data: 0, meta: 1, failures: 4 });
    status.addCounts({ entry: -3, meta: -1, failures: -1 });
    await status.setPassive();
    expect(await readStatus(status.path)).toMatchObject({ entry: 0, meta: 0, failures: 3, worker_status: 'Passive' });
  });

  it('writes collected counters after gatherMs', async () => {
    const { status } = open(sessionDir(), 20);
    await status.resetOnWorkerStart();
    for (let i = 0; i < 1000; i++) status.addCounts({ entry: 1 });
    await expect.poll(async () => (await readStatus(status.path)).entry, { timeout: 5_000 }).toBe(1000);
  });

  it('resetOnWorkerStart() resets the pending counters, and keeps failures and unknown fields', async () => {
    const dir = sessionDir();
    const { status } = open(dir);
    writeFileSync(
      status.path,
      JSON.stringify({
        worker_status: 'Faulty',
        entry: 9,
        data: 9,
        meta: 9,
        failures: 9,
        last_synced: 7,
        future_field: 'kept',
      }),
    );
    await status.resetOnWorkerStart();
    const data: unknown = JSON.parse(readFileSync(status.path, 'utf8'));
    expect(data).toMatchObject({
      worker_status: 'Faulty',
      entry: 0,
      data: 0,
      meta: 0,
      failures: 9,
      last_synced: 7,
      future_field: 'kept',
    });
  });

  it('replaces a truncated file', async () => {
    const { status } = open(sessionDir());
    writeFileSync(status.path, '{"entry": 5, "da');
    await status.setSecondaryNode('h1');
    expect(await readStatus(status.path)).toMatchObject({ secondary_node: 'h1', entry: 0 });
  });

  it('writes changes of a failed write with the next write', async () => {
    const dir = sessionDir();
    const { status, said } = open(dir);
    rmSync(dir, { recursive: true });
    await expect(status.setActive()).rejects.toMatchObject({ code: 'ENOENT' });
    expect(said).toEqual([]);
    mkdirSync(dir);
    await status.flush();
    expect(await readStatus(status.path)).toMatchObject({ worker_status: 'Active' });
    expect(said).toHaveLength(1);
  });

  it('two writers lose no concurrent changes, and leave no temporary file', async () => {
    const dir = sessionDir();
    const one = open(dir).status;
    const two = open(dir).status;
    await Promise.all(
      Array.from({ length: 40 }, async (_, i) => {
        const status = i % 2 === 0 ? one : two;
        status.addCounts({ entry: 1 });
        await status.flush();
      }),
    );
    expect((await readStatus(one.path)).entry).toBe(40);
    expect(readdirSync(dir)).toEqual([statusFileName(BRICK)]);
  });

  it('completes a reached checkpoint, and logs it once', async () => {
    const { status, said } = open(sessionDir());
    await status.setLastSynced([100, 5], 200, { blockedByFailures: false });
    expect(await readStatus(status.path)).toMatchObject({
      last_synced: 100,
      checkpoint_completed: 'No',
      checkpoint_time: 0,
    });
    await status.setLastSynced([200, 0], 200, { blockedByFailures: false });
    await status.setLastSynced([300, 0], 200, { blockedByFailures: true });
    expect(await readStatus(status.path)).toMatchObject({
      last_synced: 300,
      checkpoint_completed: 'Yes',
      checkpoint_time: 200,
    });
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^Checkpoint completed \{"checkpoint_time":"1970-01-01 00:03:20","completion_time":"20/);
    await status.setLastSynced([300, 0], 0, { blockedByFailures: false });
    expect(await readStatus(status.path)).toMatchObject({ checkpoint_completed: 'No', checkpoint_time: 0 });
  });

  it('resets missing fields and fields of a wrong type to defaults, and keeps the others', async () => {
    const dir = sessionDir();
    const { status } = open(dir);
    writeFileSync(
      status.path,
      JSON.stringify({
        worker_status: 7,
        last_synced: 'x',
        failures: null,
        entry: [1],
        data: 3,
        last_error: {},
        of_another_version: 1,
      }),
    );
    await status.setSecondaryNode('n');
    expect(JSON.parse(readFileSync(status.path, 'utf8'))).toEqual({
      secondary_node: 'n',
      worker_status: 'N/A',
      last_synced: 0,
      last_synced_entry: 0,
      crawl_status: 'N/A',
      entry: 0,
      data: 3,
      meta: 0,
      failures: 0,
      checkpoint_completed: 'N/A',
      checkpoint_time: 0,
      checkpoint_completion_time: 0,
      of_another_version: 1,
    });
    writeFileSync(status.path, '[1, 2]');
    expect(await readStatus(status.path)).not.toHaveProperty('0');
  });

  it('completes a reached checkpoint only without failures', async () => {
    const { status } = open(sessionDir());
    await status.setLastSynced([300, 0], 200, { blockedByFailures: true });
    expect(await readStatus(status.path)).toMatchObject({ checkpoint_completed: 'No', checkpoint_time: 200 });
    await status.setLastSynced([301, 0], 200, { blockedByFailures: false });
    expect(await readStatus(status.path)).toMatchObject({ checkpoint_completed: 'Yes', checkpoint_time: 200 });
  });
});

describe.skipIf(lacks(existsSync(join(STOCK, 'gsyncdstatus.py')), NO_GLUSTER, "status files beside stock's"))(
  'WorkerStatus and the stock status code',
  () => {
    /** Runs `code` with `s`, a stock GeorepStatus of the same brick, under a monitor that seems to run. */
    async function stock(dir: string, code: string): Promise<string> {
      const source = `
import sys, fcntl, subprocess, time, json
sys.path.insert(0, ${JSON.stringify(STOCK)})
from gsyncdstatus import GeorepStatus
d = sys.argv[1]
open(d + '/monitor.status', 'w').write('Started')
pid = d + '/monitor.pid'
open(pid, 'w').close()
holder = subprocess.Popen([sys.executable, '-c', 'import fcntl,sys; f=open(sys.argv[1],"r+"); fcntl.lockf(f, fcntl.LOCK_EX); print("x", flush=True); sys.stdin.read()', pid], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
holder.stdout.readline()
s = GeorepStatus(d + '/monitor.status', '', sys.argv[2], '', 'gv0', 'h::sv0', pid)
${code}
holder.stdin.close(); holder.wait()`;
      return (await run('/usr/bin/python3', ['-c', source, dir, BRICK], { timeout: 20_000 })).stdout;
    }

    async function shown(dir: string, checkpoint = 0): Promise<Record<string, string>> {
      return JSON.parse(await stock(dir, `s.print_status(checkpoint_time=${checkpoint}, json_output=True)`)) as Record<
        string,
        string
      >;
    }

    it('stock shows the values that WorkerStatus wrote', async () => {
      const dir = sessionDir();
      const { status } = open(dir);
      await status.setActive();
      await status.setCrawlStatus('Changelog Crawl');
      await status.setSecondaryNode('node7');
      await status.setLastError('rsync: exit 12: no space left');
      status.addCounts({ entry: 2, data: 3, meta: 4 });
      status.setFailures(1);
      await status.setLastSynced([1_700_000_000, 0], 0, { blockedByFailures: true });
      expect(await shown(dir)).toMatchObject({
        worker_status: 'Active',
        crawl_status: 'Changelog Crawl',
        secondary_node: 'node7',
        entry: '2',
        data: '3',
        meta: '4',
        failures: '1',
        last_synced_utc: '2023-11-14 22:13:20',
      });
    });

    it('stock shows a checkpoint blocked by failures as not completed, and then as completed', async () => {
      const dir = sessionDir();
      const { status } = open(dir);
      await status.setActive();
      await status.setLastSynced([300, 0], 200, { blockedByFailures: true });
      expect(await shown(dir, 200)).toMatchObject({
        checkpoint_completed: 'No',
        checkpoint_completion_time: 'N/A',
        checkpoint_time_utc: '1970-01-01 00:03:20',
      });
      await status.setLastSynced([300, 0], 200, { blockedByFailures: false });
      expect(await shown(dir, 200)).toMatchObject({
        checkpoint_completed: 'Yes',
        checkpoint_time_utc: '1970-01-01 00:03:20',
      });
    });

    it('WorkerStatus keeps the fields that stock wrote, and the reverse', async () => {
      const dir = sessionDir();
      await stock(dir, "s.set_worker_status('Faulty'); s.inc_value('entry', 7); s.set_field('last_synced_entry', 99)");
      const { status } = open(dir);
      await status.setSecondaryNode('n');
      expect(await readStatus(status.path)).toMatchObject({
        worker_status: 'Faulty',
        entry: 7,
        last_synced_entry: 99,
        secondary_node: 'n',
      });
      expect(await stock(dir, "s.set_secondary_node('m'); print(s.get_status()['entry'])")).toContain('N/A');
      expect((await readStatus(status.path)).secondary_node).toBe('m');
    });

    it('concurrent writes of WorkerStatus and stock lose no counts', async () => {
      const dir = sessionDir();
      const { status } = open(dir);
      await status.resetOnWorkerStart();
      const theirs = stock(dir, "for i in range(60): s.inc_value('entry', 1)");
      for (let i = 0; i < 60; i++) {
        status.addCounts({ data: 1 });
        await status.flush();
      }
      await theirs;
      expect(await readStatus(status.path)).toMatchObject({ entry: 60, data: 60 });
    });
  },
);
