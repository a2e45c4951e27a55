// The auxiliary mount of a volume, in which `.gfid/<gfid>` is an inode. It is the worker's view of the primary, and rsync
// and tar run in it. glusterfs runs in the foreground as a child, which the kernel kills with this process (spawnChild
// ensures that). The mount point is a new directory. A registry records it before its use, so that nothing stays behind,
// however the worker ends. Paths are relative to the mount, in names.ts form. Every file system call runs in the thread
// pool.

import { constants } from 'node:os';
import { rmdirSync } from 'node:fs';
import { lstat, mkdtemp, readlink } from 'node:fs/promises';
import { GsyncdError } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { detachMount, errnoNumber, lgetxattrAsync, lsetxattrAsync, unmount } from '../native/libc.js';
import { restrictMount } from '../native/mount-flags.js';
import type { ExitInfo } from '../process/child.js';
import { commandPath } from './command-path.js';
import { toFileStat } from './file-stat.js';
import type { FileStat } from './file-stat.js';
import { gfidPath, isGfid } from '../protocol/gfid.js';
import type { Gfid } from '../protocol/gfid.js';
import { logErrorsSince, logSize } from './mount-log.js';
import { isAnswering, awaitReady } from './mount-ready.js';
import type { SubvolumeState } from './mount-ready.js';
import { forgetMount, identifyProcess, recordMount, removeMountPoint, removeDeadMounts } from './mount-registry.js';
import { retryErrnos } from './retry.js';
import { BrickDown, SubvolumeWatch } from './subvolume-watch.js';
import { VolumeHealth } from './volume-health.js';
import { GFID_STRING, GFID_TO_PATH, xtimeName } from './xattr-names.js';
import { packXtime } from './xtime.js';
import type { Xtime } from './xtime.js';

const { EBUSY, EINVAL, ENODATA, ENOENT, ENOTCONN, ENOTDIR, EOPNOTSUPP, ESTALE } = constants.errno;
const EXIT_WAIT_MS = 3_000;

/** A started program that ends with this process. */
export interface MountChild {
  readonly pid: number;
  readonly exited: Promise<ExitInfo>;
  kill(signal: NodeJS.Signals): unknown;
}

export interface MountOptions {
  /** Directory of `glusterfs`; '' for PATH. */
  readonly glusterCommandDir: string;
  /** Options without their dashes, as gluster-params has them: `aux-gfid-mount`, `acl`, … */
  readonly params: readonly string[];
  readonly volfileServer: string;
  readonly volume: string;
  readonly logFile: string;
  readonly logLevel: string;
  /** Bounds the time from the start of glusterfs until every subvolume is up. */
  readonly timeoutMs: number;
  /** Absolute; six characters are added to make the mount point. */
  readonly directoryPrefix: string;
  /** File of the working directory that records the mounts. */
  readonly registry: string;
  /** Runs an argv; the kernel must kill it when this process dies. */
  readonly spawnChild: (argv: readonly string[]) => MountChild | Promise<MountChild>;
  readonly signal?: AbortSignal;
}

/** Mount points of this process. They are removed at every exit. After a SIGKILL, the next worker removes them. */
const mountPoints = new Set<string>();
let hasExitHook = false;

function removeAtExit(dir: string): void {
  mountPoints.add(dir);
  if (hasExitHook) return;
  hasExitHook = true;
  process.on('exit', () => {
    for (const mountPoint of mountPoints) {
      detachMount(mountPoint);
      try {
        rmdirSync(mountPoint);
      } catch {
        // The next worker removes it.
      }
    }
  });
}

export class AuxMount {
  /** Absolute path of the mount's root. */
  readonly dir: string;
  /** 'partly up' when a subvolume stayed down during the mount: its content cannot be read. */
  readonly subvolumes: SubvolumeState;
  readonly #child: MountChild;
  readonly #registry: string;
  readonly #signal: AbortSignal | undefined;
  readonly #watch: SubvolumeWatch;
  #closing: Promise<void> | undefined;

  private constructor(dir: string, child: MountChild, options: MountOptions, subvolumes: SubvolumeState) {
    this.dir = dir;
    this.subvolumes = subvolumes;
    this.#child = child;
    this.#registry = options.registry;
    this.#signal = options.signal;
    const health = new VolumeHealth(dir);
    this.#watch = new SubvolumeWatch(() => health.isWhole());
  }

  /** Mounts the volume, waits until it is ready, and sets the kernel's restrictions (native/mount-flags.ts). After a
   *  failure, nothing is left mounted.
   *  @throws GsyncdError 'mount' with the last errors of glusterfs's log; 'stopped' */
  static async mount(options: MountOptions): Promise<AuxMount> {
    const { volume, registry, signal } = options;
    if (signal?.aborted) throw new GsyncdError(`mount: ${volume}: stopped`, { code: 'stopped' });
    const worker = await identifyProcess(process.pid);
    if (worker === null) throw new GsyncdError('mount: /proc: is not mounted', { code: 'preflight' });
    const logStart = await logSize(options.logFile);
    const dir = await mkdtemp(options.directoryPrefix);
    removeAtExit(dir);
    let child: MountChild;
    try {
      await recordMount(registry, { mountPoint: dir, worker, glusterfs: null });
      child = await options.spawnChild(mountArgv(options, dir));
    } catch (error) {
      await removeMountPoint(dir);
      mountPoints.delete(dir);
      await forgetMount(registry, dir);
      throw error;
    }
    try {
      await recordMount(registry, { mountPoint: dir, worker, glusterfs: await identifyProcess(child.pid) });
      const subvolumes = await awaitReady({ dir, exited: child.exited, timeoutMs: options.timeoutMs, signal });
      restrictMount(dir);
      return new AuxMount(dir, child, options, subvolumes);
    } catch (error) {
      child.kill('SIGKILL');
      await new AuxMount(dir, child, options, 'partly up').close();
      if (!(error instanceof GsyncdError) || error.code !== 'mount') throw error;
      const details = [error.message, ...(await logErrorsSince(options.logFile, logStart))].join('; ');
      throw new GsyncdError(`mount: ${volume}: ${details}`, { code: 'mount', cause: error });
    }
  }

  /** Removes the mounts that dead workers left.
   *  @returns the mount points removed */
  static async removeLeftovers(registry: string): Promise<string[]> {
    return removeDeadMounts(registry);
  }

  /** Resolves when glusterfs has ended, for any reason. The mount is unusable then. */
  get exited(): MountChild['exited'] {
    return this.#child.exited;
  }

  /** null when the path does not exist.
   *  @throws Node system errors, ENOTCONN among them when glusterfs is gone; BrickDown when the path may exist on a brick
   *  that is down */
  async lstat(path: string): Promise<FileStat | null> {
    return this.#lookUp(path, async () => toFileStat(await lstat(this.#absolutePath(path))));
  }

  /** Target of a symlink; null when the path does not exist or is no symlink. @throws as lstat() does */
  async readlink(path: string): Promise<string | null> {
    return this.#lookUp(path, async () => fsDecode(await readlink(this.#absolutePath(path), { encoding: 'buffer' })), [
      EINVAL,
    ]);
  }

  /** gfid of the entry at `path`; null when it does not exist.
   *  @throws as lstat() does */
  async gfidOf(path: string): Promise<Gfid | null> {
    const text = await this.#lookUp(path, async () =>
      (await lgetxattrAsync(this.#absolutePath(path), GFID_STRING)).toString('latin1').replace(/\0+$/, ''),
    );
    return text !== null && isGfid(text) ? text : null;
  }

  /** Paths of a file from the volume's root, joined with `:`, as GlusterFS returns them. After the first, a path may end
   *  with the tail of an earlier, longer one. null when there are none.
   *  @throws as lstat() does */
  async pathsOf(gfid: Gfid): Promise<string | null> {
    const path = gfidPath(gfid);
    return this.#lookUp(
      path,
      async () => fsDecode(await lgetxattrAsync(this.#absolutePath(path), GFID_TO_PATH)).replace(/\0+$/, ''),
      [EINVAL, ENODATA, EOPNOTSUPP],
    );
  }

  /** Sets the xtime of an entry on all of its bricks. Does nothing when the path does not exist. */
  async setXtime(path: string, volumeUuid: string, mark: Xtime): Promise<void> {
    await this.#detectBrickDown(path, () =>
      this.#callWithRetry(
        () => lsetxattrAsync(this.#absolutePath(path), xtimeName(volumeUuid), packXtime(mark)),
        [],
        [ESTALE, EINVAL],
      ),
    );
  }

  /** Unmounts, ends glusterfs, removes the mount point and its record. Idempotent. A mount in use is detached. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#unmount();
    // Before glusterfs ends, because that may take longer than the caller of a stop waits.
    await removeMountPoint(this.dir);
    mountPoints.delete(this.dir);
    await forgetMount(this.#registry, this.dir);
    for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
      this.#child.kill(signal);
      if (await this.#exitsWithin(EXIT_WAIT_MS)) break;
    }
  }

  async #unmount(): Promise<void> {
    try {
      await unmount(this.dir, 'now');
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno !== EBUSY && errno !== EINVAL && errno !== ENOENT) throw error;
      if (errno === EBUSY) await unmount(this.dir, 'lazy');
    }
  }

  async #exitsWithin(ms: number): Promise<boolean> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<false>((resolve) => (timer = setTimeout(() => resolve(false), ms)));
    try {
      return await Promise.race([this.#child.exited.then(() => true), timeout]);
    } finally {
      clearTimeout(timer);
    }
  }

  #absolutePath(path: string): Buffer {
    return fsEncode(path === '.' ? this.dir : `${this.dir}/${path}`);
  }

  async #lookUp<T>(path: string, call: () => Promise<T>, absentErrnos: readonly number[] = []): Promise<T | null> {
    return this.#detectBrickDown(path, () => this.#watch.find(path, () => this.#callWithRetry(call, absentErrnos)));
  }

  /** @throws BrickDown when the volume answers and this path does not */
  async #detectBrickDown<T>(path: string, call: () => Promise<T>): Promise<T> {
    try {
      return await call();
    } catch (error) {
      // The root answers even with a brick down, if the rest of the volume answers.
      if (errnoNumber(error) === ENOTCONN && (await isAnswering(this.dir))) throw new BrickDown(path);
      throw error;
    }
  }

  async #callWithRetry<T>(
    call: () => Promise<T>,
    absentErrnos: readonly number[] = [],
    transientErrnos: readonly number[] = [ESTALE, EBUSY],
  ): Promise<T | null> {
    try {
      return await retryErrnos(call, transientErrnos, this.#signal);
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === ENOENT || errno === ENOTDIR || (errno !== undefined && absentErrnos.includes(errno))) return null;
      throw error;
    }
  }
}

function mountArgv(options: MountOptions, dir: string): string[] {
  const { glusterCommandDir, params, logLevel, logFile, volfileServer, volume } = options;
  const settings = [
    `log-level=${logLevel}`,
    `log-file=${logFile}`,
    `volfile-server=${volfileServer}`,
    `volfile-id=${volume}`,
    'client-pid=-1',
  ];
  return [
    commandPath(glusterCommandDir, 'glusterfs'),
    ...[...params, ...settings].map((param) => `--${param}`),
    '--no-daemon',
    dir,
  ];
}
