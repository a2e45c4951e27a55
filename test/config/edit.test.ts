// Concurrent writers of one gsyncd.conf, including killed writers and writers that lost their lock.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { editSessionFile } from '../../src/config/edit.js';
import { BIN, noTwins, runOne } from '../cli/stock-twin.js';

const base = mkdtempSync(join(tmpdir(), 'edit-'));
afterAll(() => rmSync(base, { recursive: true, force: true }));
let file = '';
beforeEach(() => {
  file = join(mkdtempSync(join(base, 'session-')), 'gsyncd.conf');
  writeFileSync(file, '# kept\n[vars]\nsync-jobs = 3\n');
});
const text = (): string => readFileSync(file, 'utf8');

const KEYS = [
  'sync-jobs',
  'rsync-opt',
  'tar-ssh-x',
  'secondary-timeout',
  'changelog-batch-size',
  'connection-timeout',
  'ssh-port',
  'log-level',
  'worker-x',
  'checkpoint',
] as const;

describe('editSessionFile()', () => {
  it('keeps the changes of all concurrent callers', async () => {
    await Promise.all(KEYS.map((key, at) => editSessionFile(file, (ini) => ini.set('vars', key, String(at)))));
    for (const [at, key] of KEYS.entries()) expect(text()).toMatch(new RegExp(`^${key} = ${at}$`, 'm'));
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('takes over the stale lock of a killed writer', { timeout: 60_000 }, async () => {
    const holder = spawn(
      process.execPath,
      [
        '-e',
        `require('proper-lockfile').lock(${JSON.stringify(file)}, { realpath: false }).then(() => { console.log('held'); setInterval(() => {}, 1000); })`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await new Promise((resolve) => holder.stdout.once('data', resolve));
    holder.kill('SIGKILL');
    await new Promise((resolve) => holder.once('exit', resolve));
    expect(existsSync(`${file}.lock`)).toBe(true);
    await editSessionFile(file, (ini) => ini.set('vars', 'sync-jobs', '9'));
    expect(text()).toBe('# kept\n[vars]\nsync-jobs = 9\n');
    expect(existsSync(`${file}.lock`)).toBe(false);
  });

  it('repeats its change on the new content when another writer took its lock', async () => {
    let runs = 0;
    await editSessionFile(file, (ini) => {
      runs += 1;
      if (runs === 1) {
        // Another writer does this after the first was suspended until its lock became stale.
        rmdirSync(`${file}.lock`);
        writeFileSync(file, '[vars]\nsync-jobs = 5\nssh-port = 2222\n');
      }
      ini.set('vars', 'log-level', 'DEBUG');
    });
    expect(runs).toBe(2);
    expect(text()).toBe('[vars]\nsync-jobs = 5\nssh-port = 2222\nlog-level = DEBUG\n');
  });

  it('fails with one line when other processes write during every attempt', async () => {
    let runs = 0;
    const edit = editSessionFile(file, (ini) => {
      writeFileSync(file, `[vars]\nsync-jobs = ${(runs += 1)}\n`);
      ini.set('vars', 'log-level', 'DEBUG');
    });
    await expect(edit).rejects.toMatchObject({
      code: 'config',
      message: `config: ${file}: changed by other processes on every attempt`,
    });
    expect(text()).not.toContain('log-level');
  });

  it('leaves the file unchanged and removes the lock when the change throws', async () => {
    await expect(
      editSessionFile(file, () => {
        throw new Error('no');
      }),
    ).rejects.toThrow('no');
    expect(text()).toBe('# kept\n[vars]\nsync-jobs = 3\n');
    expect(existsSync(`${file}.lock`)).toBe(false);
  });
});

describe.skipIf(noTwins)('config-set', () => {
  const SESSION = '/var/lib/glusterd/geo-replication/gv0_backup_sv0';
  const OPTIONS = {
    'sync-jobs': '5',
    'secondary-timeout': '90',
    'changelog-batch-size': '1024',
    'connection-timeout': '50',
    'ssh-port': '2222',
    'log-level': 'DEBUG',
    'use-meta-volume': 'true',
    'ignore-deletes': 'true',
    'rsync-options': '--bwlimit=9',
    'sync-method': 'tarssh',
  };

  it('ten concurrent calls all take effect', { timeout: 120_000 }, async () => {
    const calls = Object.entries(OPTIONS).map(
      ([name, value]) => `"$@" config-set gv0 backup::sv0 --name=${name} --value=${value} & pids="$pids $!"`,
    );
    const script = `${calls.join('\n')}\nfor pid in $pids; do wait $pid || exit 1; done`;
    const done = await runOne({ files: { [`${SESSION}/gsyncd.conf`]: '[vars]\n' }, argv: [] }, [
      'bash',
      '-c',
      script,
      'many',
      process.execPath,
      BIN,
    ]);
    expect(done).toMatchObject({ code: 0, stderr: '' });
    const lines = done.files[`${SESSION}/gsyncd.conf`]?.trim().split('\n').sort();
    expect(lines).toEqual(['[vars]', ...Object.entries(OPTIONS).map(([name, value]) => `${name} = ${value}`)].sort());
    expect(Object.keys(done.files).filter((path) => path.includes('lock'))).toEqual([]);
  });
});
