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
const DYING_MS = 3_000;
const LOOK_AGAIN_MS = 100;

/** Takes the brick's lock and writes this process's id into the file.
 *  @throws GsyncdError 'preflight' when another worker still holds it after `patienceMs` */
export async function lockBrick(workingDir: string, brickPath: string, patienceMs = DYING_MS): Promise<HeldLock> {
  const path = join(workingDir, 'worker.lock');
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const lock = await tryLock(path);
    if (lock !== null) {
      await writePid(lock.fd);
      return lock;
    }
    if (performance.now() >= deadline) {
      const pid = (await readFile(fsEncode(path), 'latin1').catch(() => '')).trim();
      throw new GsyncdError(`worker of brick ${brickPath}: another one runs: process ${pid || 'unknown'} holds ${path}`, { code: 'preflight' });
    }
    await sleep(LOOK_AGAIN_MS);
  }
}

/** Writes this process's id into a file that it has locked. Keep the descriptor open: closing it releases the lock. */
export async function writePid(fd: number): Promise<void> {
  await truncateFd(fd, 0);
  await writeFd(fd, `${process.pid}\n`, 0);
}
