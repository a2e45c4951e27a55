// Keeps two workers from serving one brick at the same time: a lock on a file in the brick's working directory. It is held
// until the process ends, however it ends. A worker takes it before it touches the brick.

import { ftruncate, write } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';
import { tryLock, type HeldLock } from '../native/locks.js';

const writeFd = promisify(write);
const truncateFd = promisify(ftruncate);

/** A killed worker holds its lock until the kernel has removed its process. A new worker waits that long. */
const LOCK_WAIT_MS = 3_000;
const RETRY_INTERVAL_MS = 100;

/** Takes the brick's lock and writes this process's id into the file.
 *  @throws GsyncdError 'preflight' when another worker still holds it after `waitMs` */
export async function lockBrick(workingDir: string, brickPath: string, waitMs = LOCK_WAIT_MS): Promise<HeldLock> {
  const path = join(workingDir, 'worker.lock');
  const deadlineMs = performance.now() + waitMs;
  for (;;) {
    const lock = await tryLock(path);
    if (lock !== null) {
      await writePid(lock.fd);
      return lock;
    }
    if (performance.now() >= deadlineMs) {
      throw new GsyncdError(
        `worker of brick ${brickPath}: another one runs: process ${await lockHolder(path)} holds ${path}`,
        { code: 'preflight' },
      );
    }
    await sleep(RETRY_INTERVAL_MS);
  }
}

/** The process id in a lock file, for messages. */
export async function lockHolder(path: string): Promise<string> {
  const pid = await readFile(fsEncode(path), 'latin1').catch(() => '');
  return pid.trim() || 'unknown';
}

/** Writes this process's id into a file that it has locked. Keep the descriptor open: closing it releases the lock. */
export async function writePid(fd: number): Promise<void> {
  await truncateFd(fd, 0);
  await writeFd(fd, `${process.pid}\n`, 0);
}
