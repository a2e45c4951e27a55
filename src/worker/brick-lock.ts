// Keeps two workers from serving one brick at the same time: a lock on a file in the brick's working directory, held
// until the process ends, whatever the end. Taken by worker.ts before it touches anything of the brick.

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

/** A worker that was killed holds its lock until the kernel has taken it apart: that long a newcomer waits. */
const DYING_MS = 3_000;
const LOOK_AGAIN_MS = 100;

/**
 * Takes the brick's lock and leaves this process's id in the file.
 * @throws GsyncdError 'preflight' when another worker has it and keeps it
 */
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

/** Puts this process's id into a file that it has locked. The descriptor must not be closed: the lock would go. */
export async function writePid(fd: number): Promise<void> {
  await truncateFd(fd, 0);
  await writeFd(fd, `${process.pid}\n`, 0);
}
