// The locks of the daemons: the monitor's pid file and a brick's working directory.
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, describe, expect, it } from 'vitest';
import { lockBrick } from '../../src/worker/brick-lock.js';
import { takePidFile } from '../../src/worker/pid-file.js';
import { lacksPython } from '../skip.js';

const dir = mkdtempSync(join(tmpdir(), 'daemon-locks-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

/** Tests the lock of `path` in another process, as glusterd (F_TEST) and stock's status command do. */
function lockf(path: string): string {
  const code = `
import os, sys
fd = os.open(sys.argv[1], os.O_RDWR)
try:
    os.lockf(fd, os.F_TEST, 0)
    print('free')
except OSError as e:
    print('taken', e.errno)`;
  return execFileSync('/usr/bin/python3', ['-c', code, path], { encoding: 'utf8' }).trim();
}

/** Starts a process that holds lockf's lock on `path` until it is killed. */
async function holder(path: string): Promise<ChildProcess> {
  const code =
    'import fcntl, sys, time\nf = open(sys.argv[1], "a")\nfcntl.lockf(f, fcntl.LOCK_EX)\nprint("held", flush=True)\ntime.sleep(1000)';
  const child = spawn('/usr/bin/python3', ['-c', code, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(createInterface({ input: child.stdout }), 'line');
  return child;
}

describe.skipIf(lacksPython('locks of other processes'))('takePidFile()', () => {
  it('writes the pid and a newline, under a lock that blocks lockf in another process', async () => {
    const path = join(dir, 'run', 'monitor.pid');
    const lock = await takePidFile(path, 'monitor of gv0');
    expect(readFileSync(path, 'latin1')).toBe(`${process.pid}\n`);
    expect(lockf(path)).toMatch(/^taken (11|13)$/);
    await lock.release();
    expect(lockf(path)).toBe('free');
  });

  it('fails with one line that names the holder while the lock is taken', async () => {
    const path = join(dir, 'taken.pid');
    const lock = await takePidFile(path, 'monitor of gv0');
    await expect(takePidFile(path, 'monitor of gv0')).rejects.toMatchObject({
      code: 'usage',
      message: `monitor of gv0: pidfile is taken: process ${process.pid} holds ${path}`,
    });
    expect(lockf(path)).toMatch(/^taken/);
    await lock.release();
  });

  it('locks a new file after the locked one was unlinked, as glusterd does', async () => {
    const path = join(dir, 'unlinked.pid');
    const old = await takePidFile(path, 'm');
    unlinkSync(path);
    const lock = await takePidFile(path, 'm');
    await old.release();
    expect(lockf(path)).toMatch(/^taken/);
    await lock.release();
  });
});

describe.skipIf(lacksPython('locks of other processes'))('lockBrick()', () => {
  it('refuses a second worker with the process id of the first', async () => {
    const lock = await lockBrick(dir, '/b/1');
    await expect(lockBrick(dir, '/b/1', 150)).rejects.toThrow(
      `worker of brick /b/1: another one runs: process ${process.pid} holds ${join(dir, 'worker.lock')}`,
    );
    await lock.release();
    await (await lockBrick(dir, '/b/1', 0)).release();
  });

  it('waits until the previous worker has ended', async () => {
    const other = await holder(join(dir, 'worker.lock'));
    await expect(lockBrick(dir, '/b/1', 0)).rejects.toThrow(/another one runs/);
    const waiting = lockBrick(dir, '/b/1');
    setTimeout(() => other.kill('SIGKILL'), 200);
    await (await waiting).release();
  });
});
