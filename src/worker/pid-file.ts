// A daemon's pid file: its process id and a newline. glusterd and stock's status command check the lock on it to see
// whether the daemon runs. One daemon per file.

import { fstat } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';
import { tryLock, type HeldLock } from '../native/locks.js';
import { lockHolder, writePid } from './brick-lock.js';

const statFd = promisify(fstat);

/** Locks `path`, which is created when missing, and writes this process's id into it. The file stays when the lock is
 *  released, because removing it could remove a successor's.
 *  @param what names the daemon in the message
 *  @throws GsyncdError 'usage' when another process has it */
export async function takePidFile(path: string, what: string): Promise<HeldLock> {
  await mkdir(fsEncode(dirname(path)), { recursive: true });
  for (;;) {
    const lock = await tryLock(path);
    if (lock === null) {
      throw new GsyncdError(`${what}: pidfile is taken: process ${await lockHolder(path)} holds ${path}`, {
        code: 'usage',
      });
    }
    // glusterd unlinks the file after a stop. A lock on an unlinked file excludes no other daemon.
    const [mine, current] = await Promise.all([statFd(lock.fd), stat(fsEncode(path)).catch(() => null)]);
    if (current !== null && mine.ino === current.ino && mine.dev === current.dev) {
      await writePid(lock.fd);
      return lock;
    }
    await lock.release();
  }
}
