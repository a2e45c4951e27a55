// Locks between processes. `tryLock` takes the record lock that Python's fcntl.lockf respects (pid files, the meta volume).
// It is an open-file-description lock: it stays when this process closes another descriptor of the file, unlike a POSIX
// record lock. `withFlock` is the whole-file lock around files that are replaced by rename (the status files). Neither
// blocks the event loop.

import { close, constants as fsConstants, fstat, open } from 'node:fs';
import { stat } from 'node:fs/promises';
import { constants } from 'node:os';
import { promisify } from 'node:util';
import { fsEncode } from '../names.js';
import { absentAsNull } from './if-there.js';
import { errnoNumber, fcntlAsync, flockExclusive } from './libc.js';

const openFd = promisify(open);
const closeFd = promisify(close);
const statFd = promisify(fstat);

const F_OFD_GETLK = 36;
const F_OFD_SETLK = 37;
const F_WRLCK = 1;
const F_UNLCK = 2;

/** A lock that this process holds until `release`, until `fd` is closed, or until the process ends. */
export interface HeldLock {
  /** The locked descriptor. It may be written to and passed on through an exec. */
  readonly fd: number;
  /** Idempotent. Closes `fd` when tryLock opened it. */
  release(): Promise<void>;
}

/** struct flock of 64-bit Linux: type i16, whence i16, 4 bytes pad, start i64, length i64 (0: to the end), pid i32. */
function flockStruct(type: number): Buffer {
  const request = Buffer.alloc(32);
  request.writeInt16LE(type, 0);
  return request;
}

function isLockConflict(error: unknown): boolean {
  const errno = errnoNumber(error);
  return errno === constants.errno.EAGAIN || errno === constants.errno.EACCES;
}

/** Takes the write lock of a file (created when missing) or of an open descriptor, without waiting.
 *  @returns null when another open file holds it. @throws NativeError, Node system errors of open */
export async function tryLock(target: string | number): Promise<HeldLock | null> {
  const fd =
    typeof target === 'number'
      ? target
      : await openFd(fsEncode(target), fsConstants.O_RDWR | fsConstants.O_CREAT, 0o600);
  const closeIfOpenedHere = async (): Promise<void> => {
    if (typeof target === 'string') await closeFd(fd);
  };
  try {
    await fcntlAsync(fd, F_OFD_SETLK, flockStruct(F_WRLCK));
  } catch (error) {
    await closeIfOpenedHere();
    if (isLockConflict(error)) return null;
    throw error;
  }
  let isHeld = true;
  return {
    fd,
    release: async () => {
      if (!isHeld) return;
      isHeld = false;
      try {
        await fcntlAsync(fd, F_OFD_SETLK, flockStruct(F_UNLCK));
      } finally {
        await closeIfOpenedHere();
      }
    },
  };
}

/** Whether any process holds a record lock on the file; false when there is no such file. Takes no lock. */
export async function isLocked(path: string): Promise<boolean> {
  const fd = await absentAsNull(openFd(fsEncode(path), fsConstants.O_RDWR));
  if (fd === null) return false;
  try {
    const request = flockStruct(F_WRLCK);
    await fcntlAsync(fd, F_OFD_GETLK, request);
    return request.readInt16LE(0) !== F_UNLCK;
  } finally {
    await closeFd(fd);
  }
}

const lastCallByPath = new Map<string, Promise<unknown>>();

/** Runs `fn` while this process holds the flock of the file at `path`. If the file was replaced during the wait, the new
 *  one is opened and locked. The file is created when missing. Callers in this process take turns before the lock, so that
 *  waiting never fills the thread pool. `fn` may replace the file by rename. */
export async function withFlock<T>(path: string, fn: (fd: number) => Promise<T>): Promise<T> {
  const previous = lastCallByPath.get(path);
  const run = (async () => {
    await previous?.catch(() => undefined);
    return runLocked(path, fn);
  })();
  lastCallByPath.set(path, run);
  try {
    return await run;
  } finally {
    if (lastCallByPath.get(path) === run) lastCallByPath.delete(path);
  }
}

async function runLocked<T>(path: string, fn: (fd: number) => Promise<T>): Promise<T> {
  for (;;) {
    const fd = await openFd(fsEncode(path), fsConstants.O_RDWR | fsConstants.O_CREAT, 0o600);
    try {
      await flockExclusive(fd);
      if (await isSameFile(fd, path)) return await fn(fd);
    } finally {
      await closeFd(fd);
    }
  }
}

async function isSameFile(fd: number, path: string): Promise<boolean> {
  const [opened, current] = await Promise.all([statFd(fd), absentAsNull(stat(fsEncode(path)))]);
  return current !== null && opened.dev === current.dev && opened.ino === current.ino;
}
