// Waits until a started glusterfs has its mount in place and its subvolumes are up. The kernel wakes the wait when a mount
// appears (a POLLPRI event of /proc/self/mountinfo). For the state of the subvolumes there is no event, so it is polled
// every 50 ms. As with stock, a volume with a subvolume down is ready after some time, so that the other subvolumes need
// not wait.

import { lstat, open, readFile } from 'node:fs/promises';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';
import { errnoNumber, lgetxattrAsync, pollPriority } from '../native/libc.js';
import { deadline } from '../async/deadline.js';
import type { ExitInfo } from '../process/child.js';
import { SUBVOL_STATUS } from './xattr-names.js';

const { ENODATA, ENOENT, ENOTCONN, ENOTSUP } = constants.errno;
const MOUNTINFO = '/proc/self/mountinfo';
const POLL_SLICE_MS = 200;
const STATUS_POLL_MS = 50;
const PARTLY_UP_AFTER_MS = 5_000;

/** Whether every subvolume of a mounted volume is up. */
export type SubvolumeState = 'up' | 'partly up';

export interface ReadyOptions {
  /** Absolute path of the mount point. */
  readonly dir: string;
  readonly exited: Promise<ExitInfo>;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** @throws GsyncdError 'mount' when glusterfs exits, the whole volume stays down or the time is over; 'stopped' when the
 *  signal aborts. A call that hangs in the mount ends when the caller kills glusterfs. */
export async function awaitReady(options: ReadyOptions): Promise<SubvolumeState> {
  if (options.signal?.aborted) throw stoppedError();
  const stop = new AbortController();
  let reject: (error: GsyncdError) => void = () => undefined;
  const failed = new Promise<never>((_, fail) => (reject = fail));
  void options.exited.then(({ code, signal, stderrTail }) => {
    const lastLine = stderrTail.trim().split('\n').at(-1) ?? '';
    reject(
      new GsyncdError(`glusterfs ended with ${signal ?? code}${lastLine === '' ? '' : `: ${lastLine}`}`, {
        code: 'mount',
      }),
    );
  });
  let state = 'not mounted';
  const timeout = deadline(options.timeoutMs, () =>
    reject(new GsyncdError(`${state} after ${options.timeoutMs / 1000} s`, { code: 'mount' })),
  );
  const onAbort = (): void => reject(stoppedError());
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const waitReady = async (): Promise<SubvolumeState> => {
    await waitUntilMounted(options.dir, stop.signal);
    state = 'subvolumes not up';
    return waitForSubvolumes(options.dir, stop.signal);
  };
  try {
    return await Promise.race([waitReady(), failed]);
  } finally {
    stop.abort();
    timeout.cancel();
    options.signal?.removeEventListener('abort', onAbort);
  }
}

async function waitUntilMounted(dir: string, signal: AbortSignal): Promise<void> {
  const file = await open(MOUNTINFO, 'r');
  try {
    while (!signal.aborted && !(await isMountPoint(dir))) await pollPriority(file.fd, POLL_SLICE_MS);
  } finally {
    await file.close();
  }
}

/** Whether something is mounted at `dir`. Does not access the mount. */
export async function isMountPoint(dir: string): Promise<boolean> {
  const word = escapeMountPath(dir);
  const lines = (await readFile(MOUNTINFO, 'latin1')).split('\n');
  return lines.some((line) => line.split(' ')[4] === word);
}

/** A path in mountinfo's form, one character per byte: blanks and backslashes become a backslash and three octal digits. */
function escapeMountPath(path: string): string {
  const bytes = fsEncode(path).toString('latin1');
  return bytes.replaceAll(/[ \t\n\\]/g, (char) => `\\${char.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

function stoppedError(): GsyncdError {
  return new GsyncdError('mount: stopped', { code: 'stopped' });
}

async function waitForSubvolumes(dir: string, signal: AbortSignal): Promise<SubvolumeState> {
  const startMs = performance.now();
  // A mount that has ended leaves a directory that answers like an old glusterfs without the attribute.
  while (!(await areSubvolumesUp(dir)) || !(await isMountPoint(dir))) {
    if (performance.now() - startMs > PARTLY_UP_AFTER_MS && (await isMountPoint(dir))) {
      const errno = await lstatErrno(dir);
      if (errno === null) return 'partly up';
      if (errno === ENOTCONN)
        throw new GsyncdError('not connected (ENOTCONN): none of its bricks answers: is the volume started?', {
          code: 'mount',
        });
    }
    await delay(STATUS_POLL_MS, undefined, { signal });
  }
  return 'up';
}

export async function isAnswering(dir: string): Promise<boolean> {
  return (await lstatErrno(dir)) === null;
}

/** The errno with which a mount fails to answer; null when it answers. */
async function lstatErrno(dir: string): Promise<number | undefined | null> {
  return lstat(fsEncode(dir)).then(() => null, errnoNumber);
}

/** Whether every subvolume of the volume mounted at `dir` is up. A volume without that attribute is reported as up. */
export async function areSubvolumesUp(dir: string): Promise<boolean> {
  try {
    return (await lgetxattrAsync(dir, SUBVOL_STATUS)).toString('latin1').replace(/\0+$/, '') === '1';
  } catch (error) {
    const errno = errnoNumber(error);
    return errno === ENOENT || errno === ENOTSUP || errno === ENODATA;
  }
}
