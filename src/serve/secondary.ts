// The secondary process. It mounts the volume (or opens a plain directory) and makes the mount its working directory.
// Primaries use the path `/proc/PID/cwd` and its link target. It serves the RPC until the primary disconnects or falls
// silent, and leaves no mount behind. Before and after, its working directory is a removed one in which no file can be
// created: a client may start a transfer at any time.

import { closeSync } from 'node:fs';
import { mkdir, realpath } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import type { Config } from '../config/config.js';
import { splitWords } from '../config/words.js';
import { errorLine, GsyncdError } from '../errors.js';
import { attributeMethods } from '../embedded/attributes-call.js';
import { openLayout } from '../embedded/layout.js';
import { EmbeddedVolume } from '../embedded/secondary-volume.js';
import { mountByBroker } from '../gluster/broker-mount.js';
import { mountHome } from '../gluster/mount-home.js';
import { AuxMount } from '../gluster/mount.js';
import { VolumeHealth } from '../gluster/volume-health.js';
import type { Log, RootLog } from '../log.js';
import { fsEncode } from '../names.js';
import { restrictionsOf } from '../native/mount-flags.js';
import { openLog } from '../native/open-log.js';
import { enterRemovedDirectory } from '../process/removed-directory.js';
import { runChild, spawnDaemonChild } from '../process/spawn.js';
import { serveRepce, type RpcMethod } from '../rpc/server.js';
import { secondaryMethods } from '../secondary/methods.js';
import { MountVolume } from '../secondary/mount-volume.js';
import type { SecondaryVolume } from '../secondary/volume.js';
import { AvailabilityGuard } from '../secondary/availability-guard.js';
import { Cleanup } from '../async/cleanup.js';
import { lockDirectory } from '../embedded/take-directory.js';

export interface SecondaryOptions {
  /** Name of a volume, or path of a plain directory. */
  readonly served: { readonly volume: string } | { readonly directory: string };
  readonly config: Config;
  readonly log: RootLog;
  /** Label for the mount broker; '' mounts directly, as root does. */
  readonly mountLabel: string;
  readonly input: Readable;
  readonly output: Writable;
}

interface ServedVolume {
  readonly dir: string;
  readonly volume: SecondaryVolume;
  readonly markSpace: 'trusted' | 'system';
  /** Additional RPC methods. */
  readonly extraMethods?: ReadonlyMap<string, RpcMethod>;
  /** Rejects when the mount has died. */
  readonly broken: Promise<never>;
}

/**
 * Serves until the primary closes the connection, is silent for too long, or `signal` aborts.
 * @throws GsyncdError 'peer' for malformed requests, 'mount' if the volume cannot be mounted or its mount dies
 */
export async function runSecondary(options: SecondaryOptions, signal: AbortSignal): Promise<void> {
  // The objects of a batch are small and live until it ends: a growing young generation would waste memory on dead ones.
  setFlagsFromString('--semi-space-growth-factor=1');
  const log = options.log.child({ module: 'resource', ctx: 'GLUSTER' });
  const cleanup = new Cleanup();
  const serviceEnd = new AbortController();
  enterRemovedDirectory();
  try {
    const mount = await openServed(options, cleanup, log, signal);
    process.chdir(mount.dir);
    cleanup.add('working directory', () => Promise.resolve(enterRemovedDirectory()));
    await serve(options, mount, serviceEnd, log, signal);
  } catch (error) {
    if (signal.aborted) return;
    throw error;
  } finally {
    serviceEnd.abort();
    await cleanup.run((what, error) => log.warn('cleanup failed', { what, error: errorLine(error) }));
  }
}

async function serve(
  options: SecondaryOptions,
  mount: ServedVolume,
  serviceEnd: AbortController,
  log: Log,
  signal: AbortSignal,
): Promise<void> {
  const { config, input, output } = options;
  const methods = secondaryMethods({
    volume: mount.volume,
    distributionCount: config.get('primary-distribution-count'),
    markSpace: mount.markSpace,
    log: options.log.child({ module: 'resource', fn: 'entry_ops' }),
    signal: AbortSignal.any([signal, serviceEnd.signal]),
  });
  let callCount = 0;
  const rpcLog = options.log.child({ module: 'repce', ctx: 'RepceServer' });
  const served = serveRepce({
    input,
    output,
    methods: new Map([...methods, ...(mount.extraMethods ?? [])]),
    onCall: () => (callCount += 1),
    onRaised: (method, line) => rpcLog.error('call failed', { method, error: line }),
  }).then(() => rpcLog.info('terminating on reaching EOF.'));
  log.info('secondary listening', { dir: mount.dir });
  const stopped = new Promise<void>((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true });
    if (signal.aborted) resolve();
  });
  const silent = untilSilent(config.get('secondary-timeout'), () => callCount, serviceEnd.signal).then((timeout) =>
    log.info('connection inactive, stopping', { timeout }),
  );
  await Promise.race([served, stopped, silent, mount.broken]);
}

/** Resolves after an interval without a call from the primary. Never resolves if the interval is 0. */
async function untilSilent(timeoutS: number, callCount: () => number, signal: AbortSignal): Promise<number> {
  while (timeoutS > 0) {
    const before = callCount();
    await delay(timeoutS * 1000, undefined, { signal }).catch(() => new Promise<never>(() => undefined));
    if (callCount() === before) return timeoutS;
  }
  return new Promise<never>(() => undefined);
}

async function openServed(
  options: SecondaryOptions,
  cleanup: Cleanup,
  log: Log,
  signal: AbortSignal,
): Promise<ServedVolume> {
  const { served } = options;
  if ('volume' in served) return mountVolume(options, served.volume, cleanup, log, signal);
  const layout = await openLayout(served.directory);
  await lockDirectory(layout, cleanup, signal);
  const volume = new EmbeddedVolume(layout, log);
  return {
    dir: layout.internal,
    volume,
    extraMethods: attributeMethods(volume),
    markSpace: layout.xattrs === 'trusted' ? 'trusted' : 'system',
    broken: new Promise<never>(() => undefined),
  };
}

async function mountVolume(
  options: SecondaryOptions,
  volume: string,
  cleanup: Cleanup,
  log: Log,
  signal: AbortSignal,
): Promise<ServedVolume> {
  log.info('Mounting gluster volume locally...');
  const startMs = performance.now();
  const mounted = await (options.mountLabel === ''
    ? mountDirectly(options, volume, cleanup, log, signal)
    : mountBrokered(options, volume, cleanup, signal));
  const isRoot = process.geteuid?.() === 0;
  const restrictions = restrictionsOf(mounted.dir);
  const symlinks = restrictions.includes('nosymfollow') ? 'refused by the kernel' : 'looked for';
  log.info('Mounted gluster volume', {
    volume,
    symlinks,
    flags: restrictions.join(',') || 'none',
    duration: ((performance.now() - startMs) / 1000).toFixed(4),
  });
  const health = new VolumeHealth(mounted.dir);
  const guarded = new AvailabilityGuard(
    new MountVolume({ dir: mounted.dir, symlinks }),
    health,
    await health.bricksPerFile(),
  );
  return { ...mounted, volume: guarded, markSpace: isRoot ? 'trusted' : 'system' };
}

/** With write-behind, a failed write (a full disk) is reported at the next close of the inode, on any descriptor. rsync has
 *  a second descriptor for reading. It closes that one first, ignores the error, sets size and mtime, and exits with 0. */
const REPORT_WRITE_ERRORS = 'xlator-option=*-write-behind.pass-through=true';

async function mountDirectly(
  { config }: SecondaryOptions,
  volume: string,
  cleanup: Cleanup,
  log: Log,
  signal: AbortSignal,
): Promise<Pick<ServedVolume, 'dir' | 'broken'>> {
  const home = await mountHome([config.get('gluster-rundir'), config.get('glusterd-workdir')]);
  const registry = join(home, 'of-secondaries');
  for (const path of await AuxMount.removeLeftovers(registry))
    log.info('removed the mount of a secondary that was killed', { path });
  const logFile = config.get('secondary-gluster-log-file');
  await mkdir(fsEncode(dirname(logFile)), { recursive: true });
  requireSafeLog(logFile);
  const mount = await AuxMount.mount({
    glusterCommandDir: config.get('secondary-gluster-command-dir'),
    params: [REPORT_WRITE_ERRORS, ...splitWords(config.get('secondary-gluster-params'))],
    volfileServer: 'localhost',
    volume,
    logFile,
    logLevel: config.get('secondary-gluster-log-level'),
    timeoutMs: config.get('connection-timeout') * 1000,
    directoryPrefix: join(home, 'gsyncd-aux-mount-'),
    registry,
    spawnChild: (argv) => spawnDaemonChild(argv),
    signal,
  });
  cleanup.add('mount', () => mount.close());
  if (mount.subvolumes === 'partly up') log.error('Subvols are not up');
  const broken = mount.exited.then(() =>
    Promise.reject<never>(new GsyncdError('secondary mount: glusterfs: exited', { code: 'mount' })),
  );
  broken.catch(() => undefined);
  return { dir: mount.dir, broken };
}

/** glusterfs runs as root and follows symlinks when it opens its log.
 *  @throws GsyncdError 'mount' if another user could have put the file or a symlink there */
function requireSafeLog(logFile: string): void {
  try {
    closeSync(openLog(logFile, 0o600));
  } catch (error) {
    throw new GsyncdError(`log of the mount: ${logFile}: ${errorLine(error)}`, { code: 'mount', cause: error });
  }
}

async function mountBrokered(
  { config, mountLabel }: SecondaryOptions,
  volume: string,
  cleanup: Cleanup,
  signal: AbortSignal,
): Promise<Pick<ServedVolume, 'dir' | 'broken'>> {
  const timeoutMs = config.get('connection-timeout') * 1000;
  const mount = await mountByBroker({
    glusterCommandDir: config.get('secondary-gluster-command-dir'),
    cliOptions: splitWords(config.get('gluster-cli-options')),
    label: mountLabel,
    params: splitWords(config.get('secondary-gluster-params')),
    volume,
    logFile: config.get('secondary-gluster-log-file'),
    logLevel: config.get('secondary-gluster-log-level'),
    run: async (argv) => {
      const { stdout, stderrTail, exitCode } = await runChild(argv, { timeoutMs });
      return { stdout: stdout.toString('utf8'), stderrTail, exitCode };
    },
  });
  cleanup.add('mount', () => mount.close());
  signal.throwIfAborted();
  // The broker returns a symlink to the mount. Later code does not follow symlinks.
  return { dir: await realpath(mount.dir), broken: new Promise<never>(() => undefined) };
}

/** Label of this process at the mount broker; '' for root, which needs no broker. */
export function defaultMountLabel(): string {
  return process.geteuid?.() === 0 ? '' : userInfo().username;
}
