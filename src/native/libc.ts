// Calls of libc that Node does not offer: extended attributes without following symlinks, record and whole-file locks,
// descriptor flags, unmounting, execve. Paths are bytes (or strings in the form of names.ts) and reach the kernel
// unchanged. The synchronous calls are for local file systems only. A call that may touch a FUSE mount has an `Async` twin,
// which runs in the thread pool, at most MAX_ASYNC_CALLS at once. Every failure is a NativeError with its errno.

import { constants } from 'node:os';
import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { fsEncode } from '../names.js';

/** koffi refuses more than 256 queued calls. */
const MAX_ASYNC_CALLS = 128;
const FIRST_BUFFER_BYTES = 4096;
const MAX_GROWTHS = 8;

const lib = koffi.load('libc.so.6');
const ERRNO_NAMES = new Map<number, string>();
for (const [name, number] of Object.entries(constants.errno)) {
  if (name !== 'EWOULDBLOCK' && name !== 'EOPNOTSUPP') ERRNO_NAMES.set(number, name);
}

/** Name (`ENODATA`) of a positive errno number. */
export function errnoName(errno: number): string {
  return ERRNO_NAMES.get(errno) ?? `errno ${errno}`;
}

const strerror = lib.func('strerror', 'const char *', ['int']) as KoffiFunc<(errno: number) => string>;

/** libc's text for a positive errno number. Python prints the same text. */
export function errnoText(errno: number): string {
  return strerror(errno);
}

/** A failed libc call: positive `errno` and its name in `code`. The message is "call: object: ENAME". */
export class NativeError extends Error {
  readonly errno: number;
  readonly code: string;

  constructor(call: string, object: string, errno: number) {
    super(`${call}: ${object}: ${errnoName(errno)}`);
    this.name = 'NativeError';
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** Positive errno number of a NativeError or of a Node system error; undefined for anything else. Node's `code` is not
 *  enough: libuv has no name for some numbers, ESTALE among them. */
export function errnoNumber(error: unknown): number | undefined {
  if (!(error instanceof Error) || !('errno' in error) || typeof error.errno !== 'number') return undefined;
  return Math.abs(error.errno);
}

/** A path or an xattr value: bytes, or a string in the form of names.ts. */
export type PathBytes = string | Buffer;

type BufferCall = (path: Buffer, name: string, value: Buffer, size: number) => number;
const getxattr = lib.func('lgetxattr', 'intptr_t', [
  'const void *',
  'const char *',
  'void *',
  'size_t',
]) as KoffiFunc<BufferCall>;
const setxattr = lib.func('lsetxattr', 'int', [
  'const void *',
  'const char *',
  'const void *',
  'size_t',
  'int',
]) as KoffiFunc<(path: Buffer, name: string, value: Buffer, size: number, flags: number) => number>;
const listxattr = lib.func('llistxattr', 'intptr_t', ['const void *', 'void *', 'size_t']) as KoffiFunc<
  (path: Buffer, list: Buffer, size: number) => number
>;
const removexattr = lib.func('lremovexattr', 'int', ['const void *', 'const char *']) as KoffiFunc<
  (path: Buffer, name: string) => number
>;
const flockCall = lib.func('flock', 'int', ['int', 'int']) as KoffiFunc<(fd: number, operation: number) => number>;
const fcntlPointer = lib.func('fcntl', 'int', ['int', 'int', 'void *']) as KoffiFunc<
  (fd: number, command: number, arg: Buffer) => number
>;
const fcntlNumber = lib.func('fcntl', 'int', ['int', 'int', 'intptr_t']) as KoffiFunc<
  (fd: number, command: number, arg: number) => number
>;
const umount2 = lib.func('umount2', 'int', ['const void *', 'int']) as KoffiFunc<
  (path: Buffer, flags: number) => number
>;
const pollCall = lib.func('poll', 'int', ['void *', 'ulong', 'int']) as KoffiFunc<
  (fds: Buffer, count: number, timeoutMs: number) => number
>;
const execvpe = lib.func('execvpe', 'int', ['const void *', 'void *', 'void *']) as KoffiFunc<
  (file: Buffer, argv: Buffer, env: Buffer) => number
>;

/** NUL-terminated bytes. @throws NativeError EINVAL when there is a NUL inside */
function cString(text: PathBytes): Buffer {
  const bytes = typeof text === 'string' ? fsEncode(text) : text;
  if (bytes.includes(0)) throw new NativeError('path', quotePath(bytes), constants.errno.EINVAL);
  return Buffer.concat([bytes, Buffer.of(0)]);
}

function quotePath(path: PathBytes): string {
  return JSON.stringify(typeof path === 'string' ? path : path.toString('utf8'));
}

function checkResult(result: number, call: string, object: () => string): number {
  if (result === -1) throw new NativeError(call, object(), koffi.errno());
  return result;
}

let runningCalls = 0;
const waitingCalls: (() => void)[] = [];

/** Runs a call in the thread pool; `start` gets koffi's callback.
 *  @throws NativeError with the errno of the call */
export async function inPool(
  call: string,
  object: () => string,
  start: (done: (error: unknown, result: number) => void) => void,
): Promise<number> {
  if (runningCalls >= MAX_ASYNC_CALLS) await new Promise<void>((resolve) => waitingCalls.push(resolve));
  else runningCalls += 1;
  try {
    return await new Promise<number>((resolve, reject) => {
      start((error, result) => {
        const errno = koffi.errno();
        if (error instanceof Error) reject(error);
        else if (result === -1) reject(new NativeError(call, object(), errno));
        else resolve(result);
      });
    });
  } finally {
    const next = waitingCalls.shift();
    if (next === undefined) runningCalls -= 1;
    else next();
  }
}

const scratchBuffer = Buffer.alloc(FIRST_BUFFER_BYTES);

/** Calls `read` with growing buffers until the result fits.
 *  @returns a new Buffer */
function readGrowing(read: (buffer: Buffer) => number): Buffer {
  for (let buffer = scratchBuffer, i = 0; ; i++) {
    try {
      return Buffer.from(buffer.subarray(0, read(buffer)));
    } catch (error) {
      if (errnoNumber(error) !== constants.errno.ERANGE || i === MAX_GROWTHS) throw error;
      buffer = Buffer.alloc(buffer.length * 4);
    }
  }
}

async function readGrowingAsync(read: (buffer: Buffer) => Promise<number>): Promise<Buffer> {
  for (let bytes = FIRST_BUFFER_BYTES, i = 0; ; i++, bytes *= 4) {
    const buffer = Buffer.alloc(bytes);
    try {
      return buffer.subarray(0, await read(buffer));
    } catch (error) {
      if (errnoNumber(error) !== constants.errno.ERANGE || i === MAX_GROWTHS) throw error;
    }
  }
}

function splitNames(list: Buffer): string[] {
  return list
    .toString('latin1')
    .split('\0')
    .slice(0, -1)
    .map((name) => Buffer.from(name, 'latin1').toString('utf8'));
}

/** Value of an xattr of `path` itself. @throws NativeError ENODATA, ENOENT, … */
export function lgetxattr(path: PathBytes, name: string): Buffer {
  const file = cString(path);
  return readGrowing((buffer) =>
    checkResult(getxattr(file, name, buffer, buffer.length), 'lgetxattr', () => `${quotePath(path)} ${name}`),
  );
}

/** `lgetxattr` in the thread pool. */
export async function lgetxattrAsync(path: PathBytes, name: string): Promise<Buffer> {
  const file = cString(path);
  return readGrowingAsync((buffer) =>
    inPool(
      'lgetxattr',
      () => `${quotePath(path)} ${name}`,
      (done) => getxattr.async(file, name, buffer, buffer.length, done),
    ),
  );
}

export function lsetxattr(path: PathBytes, name: string, value: Buffer): void {
  checkResult(setxattr(cString(path), name, value, value.length, 0), 'lsetxattr', () => `${quotePath(path)} ${name}`);
}

/** `lsetxattr` in the thread pool. */
export async function lsetxattrAsync(path: PathBytes, name: string, value: Buffer): Promise<void> {
  const file = cString(path);
  await inPool(
    'lsetxattr',
    () => `${quotePath(path)} ${name}`,
    (done) => setxattr.async(file, name, value, value.length, 0, done),
  );
}

/** Names of the xattrs of `path` itself. */
export function llistxattr(path: PathBytes): string[] {
  const file = cString(path);
  return splitNames(
    readGrowing((buffer) => checkResult(listxattr(file, buffer, buffer.length), 'llistxattr', () => quotePath(path))),
  );
}

/** `llistxattr` in the thread pool. */
export async function llistxattrAsync(path: PathBytes): Promise<string[]> {
  const file = cString(path);
  return splitNames(
    await readGrowingAsync((buffer) =>
      inPool(
        'llistxattr',
        () => quotePath(path),
        (done) => listxattr.async(file, buffer, buffer.length, done),
      ),
    ),
  );
}

export function lremovexattr(path: PathBytes, name: string): void {
  checkResult(removexattr(cString(path), name), 'lremovexattr', () => `${quotePath(path)} ${name}`);
}

/** `lremovexattr` in the thread pool. */
export async function lremovexattrAsync(path: PathBytes, name: string): Promise<void> {
  const file = cString(path);
  await inPool(
    'lremovexattr',
    () => `${quotePath(path)} ${name}`,
    (done) => removexattr.async(file, name, done),
  );
}

const futimensCall = lib.func('futimens', 'int', ['int', 'void *']) as KoffiFunc<(fd: number, times: Buffer) => number>;
/** In place of nanoseconds: leaves that time unchanged. */
const UTIME_OMIT = 0x3fff_fffen;

/** Sets the modification time of an open file in the thread pool. Node's own call would round it. */
export async function futimensAsync(
  fd: number,
  { seconds, nanoseconds }: { readonly seconds: number; readonly nanoseconds: number },
): Promise<void> {
  const times = Buffer.alloc(32);
  times.writeBigInt64LE(UTIME_OMIT, 8);
  times.writeBigInt64LE(BigInt(seconds), 16);
  times.writeBigInt64LE(BigInt(nanoseconds), 24);
  await inPool(
    'futimens',
    () => `fd ${fd}`,
    (done) => futimensCall.async(fd, times, done),
  );
}

const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the whole-file lock of `fd`. While another process holds it, waits in the thread pool. The lock ends with the last
 *  descriptor of this open file. */
export async function flockExclusive(fd: number): Promise<void> {
  if (flockCall(fd, LOCK_EX | LOCK_NB) === 0) return;
  const errno = koffi.errno();
  if (errno !== constants.errno.EAGAIN) throw new NativeError('flock', `fd ${fd}`, errno);
  await inPool(
    'flock',
    () => `fd ${fd}`,
    (done) => flockCall.async(fd, LOCK_EX, done),
  );
}

/** fcntl with a structure as its argument, in the thread pool (the file may be on a FUSE mount). The kernel
 *  may write into `arg`. */
export async function fcntlAsync(fd: number, command: number, arg: Buffer): Promise<number> {
  return inPool(
    'fcntl',
    () => `fd ${fd}`,
    (done) => fcntlPointer.async(fd, command, arg, done),
  );
}

const F_GETFD = 1;
const F_SETFD = 2;
const FD_CLOEXEC = 1;

/** Whether `fd` survives an exec ('inherit') or is closed by it ('close'). @throws NativeError EBADF */
export function setExecFlag(fd: number, onExec: 'inherit' | 'close'): void {
  checkResult(fcntlNumber(fd, F_SETFD, onExec === 'close' ? FD_CLOEXEC : 0), 'fcntl', () => `fd ${fd}`);
}

export function execFlag(fd: number): 'inherit' | 'close' {
  const flags = checkResult(fcntlNumber(fd, F_GETFD, 0), 'fcntl', () => `fd ${fd}`);
  return (flags & FD_CLOEXEC) === 0 ? 'inherit' : 'close';
}

const MNT_DETACH = 2;

/** Unmounts; 'lazy' detaches a busy mount. @throws NativeError EBUSY, EINVAL (not a mount point) */
export async function unmount(path: PathBytes, how: 'now' | 'lazy'): Promise<void> {
  const dir = cString(path);
  await inPool(
    'umount',
    () => quotePath(path),
    (done) => umount2.async(dir, how === 'lazy' ? MNT_DETACH : 0, done),
  );
}

/** Detaches a mount synchronously, for a process that is about to exit.
 *  @returns whether there was one */
export function detachMount(path: PathBytes): boolean {
  return umount2(cString(path), MNT_DETACH) === 0;
}

const POLLPRI = 2;

/** Waits in the thread pool for a POLLPRI event of `fd`. /proc/self/mountinfo has one when a mount appears or disappears.
 *  @returns whether one occurred before `timeoutMs` passed */
export async function pollPriority(fd: number, timeoutMs: number): Promise<boolean> {
  const request = Buffer.alloc(8);
  request.writeInt32LE(fd, 0);
  request.writeInt16LE(POLLPRI, 4);
  return (
    (await inPool(
      'poll',
      () => `fd ${fd}`,
      (done) => pollCall.async(request, 1, timeoutMs, done),
    )) > 0
  );
}

/** A C array of strings. The caller must keep the strings referenced while the table is in use. */
function pointerTable(strings: readonly Buffer[]): Buffer {
  const table = Buffer.alloc(8 * (strings.length + 1));
  strings.forEach((text, i) => table.writeBigUInt64LE(koffi.address(text), 8 * i));
  return table;
}

/** Replaces this program by `file` (looked up in PATH) in this process: process id and parent stay, nothing else does.
 *  Descriptors 0, 1, 2 and those of `keepFds` stay open; all others that Node opened are closed. Buffered output must be
 *  written before. `argv` includes the program's name. Returns only by throwing.
 *  @throws NativeError ENOENT, EACCES, E2BIG, …; this program then continues */
export function replaceProcess(
  file: string,
  argv: readonly PathBytes[],
  env: Readonly<Record<string, string | undefined>>,
  keepFds: readonly number[] = [],
): never {
  const args = argv.map(cString);
  const variables = Object.entries(env).flatMap(([key, value]) =>
    value === undefined ? [] : [cString(`${key}=${value}`)],
  );
  const inherited = new Set([0, 1, 2, ...keepFds]);
  const previousFlags = [...inherited].map((fd) => [fd, execFlag(fd)] as const);
  for (const fd of inherited) setExecFlag(fd, 'inherit');
  execvpe(cString(file), pointerTable(args), pointerTable(variables));
  const errno = koffi.errno();
  for (const [fd, flag] of previousFlags) setExecFlag(fd, flag);
  throw new NativeError('exec', `${file} (${args.length} arguments, ${variables.length} variables)`, errno);
}
