// One worker: connects to the secondary, mounts the primary, and runs the crawls, history first, an xsync crawl
// where the history does not reach, and then the live journals, until it is told to stop or something it stands
// on breaks. Port of the reference's service loop. Used by the worker command.
// Invariant: whatever the end, everything this module started or mounted is undone before run() settles.

import { mkdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ChangelogAgent } from '../changelog/agent.js';
import type { Config } from '../config/config.js';
import { escapePath } from '../config/template.js';
import { splitWords } from '../config/words.js';
import { errorLine, GsyncdError, isGsyncdError } from '../errors.js';
import { Brick } from '../gluster/brick.js';
import { eventFields, eventSender, faultyFields, type EventSubject } from '../gluster/events.js';
import type { Gfid } from '../gluster/gfid.js';
import { AuxMount } from '../gluster/mount.js';
import { clusterStime, foreignVolumeInfos, nativeVolumeInfo, nodeUuids } from '../gluster/volume-mark.js';
import { fsEncode } from '../names.js';
import type { Log, RootLog } from '../log.js';
import { gmasterBuilder, slotsFromConfig } from '../primary/build.js';
import type { PrimaryDeps, PrimaryVolume, Session } from '../primary/deps.js';
import { AttributesTransfer } from '../primary/attributes-transfer.js';
import { Freshness } from '../primary/freshness.js';
import { Doubts } from '../primary/doubts.js';
import { RsyncTransfer } from '../primary/rsync-transfer.js';
import { TarsshTransfer } from '../primary/tarssh-transfer.js';
import { findProgram } from '../process/program.js';
import { spawnDaemonChild } from '../process/spawn.js';
import { FailureList } from '../status/failures.js';
import { WorkerStatus } from '../status/status-file.js';
import { lockBrick } from './brick-lock.js';
import { catchUp, type Crawlers } from './catch-up.js';
import { Cleanup } from './cleanup.js';
import { keepAlive } from './keepalive.js';
import { metaVolumeElection } from './meta-volume.js';
import { connectRemote, rsyncSsh, tarSsh, type Remote } from './remote.js';
import { findSession, type WorkerArgs } from './session.js';
import { loadOwedWalk, saveOwedWalk } from './owed-walk.js';
import { WorkerQueue } from './shared-queue.js';

/** What is in hand at a stop has this long to finish before it is put back. */
const STOP_GRACE_MS = 8_000;

/** A journal is read a moment after its rollover, so the mount must not answer from before: by default the kernel and
 *  md-cache keep names, attributes and small files for a second each, and what is synced from such an answer
 *  stays wrong, since no later journal names it. */
const UNCACHED: readonly string[] = [
  'attribute-timeout=0',
  'entry-timeout=0',
  'negative-timeout=0',
  'xlator-option=*-md-cache.md-cache-timeout=0',
  'xlator-option=*-quick-read.cache-timeout=0',
  'xlator-option=*-io-cache.cache-timeout=0',
];

export interface WorkerOptions {
  readonly args: WorkerArgs;
  readonly config: Config;
  readonly log: RootLog;
  readonly debug: boolean;
  /** Whether a monitor started it, who then tells of its faults. */
  readonly monitored: 'yes' | 'no';
  /** Called when the worker is connected and mounted, and about to crawl. */
  readonly onReady: () => void;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #log: Log;
  readonly #cleanup = new Cleanup();
  #status: WorkerStatus | null = null;
  #onFault: () => void = () => undefined;
  /** When the live journals begin, seconds. */
  #registerTime = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#log = options.log.child({ module: 'worker' });
  }

  /**
   * Works until `signal` aborts.
   * @throws GsyncdError when the worker cannot go on; the status says Faulty and why
   */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#work(signal);
    } catch (error) {
      if (signal.aborted) return;
      await this.#recordFault(error);
      throw error;
    } finally {
      await this.#cleanup.run((what, error) => this.#log.warn('cleaning up failed', { what, error: errorLine(error) }));
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { args, config, log, debug, onReady } = this.#options;
    const { session, resourceRemoteId } = await findSession(args, config, signal);
    const brick = new Brick({ path: session.localPath, secondaryUuid: session.secondaryId, signal });
    await preflight(config, session, brick);
    const workingDir = join(config.get('working-dir'), escapePath(session.localPath));
    await mkdir(fsEncode(workingDir), { recursive: true });
    // Held to the end of the process: what this worker still does while it ends must not meet another one.
    await lockBrick(workingDir, session.localPath);

    const sendEvent = eventSender(config.get('glusterd-workdir'));
    const subject = eventSubject(session, args.secondary);
    const status = new WorkerStatus({
      stateFile: config.get('state-file'),
      brickPath: session.localPath,
      log: log.child({ module: 'gsyncdstatus', ctx: 'GeorepStatus' }),
      onEvent: (event, fields) => sendEvent(event, eventFields(subject, fields)),
    });
    if (this.#options.monitored === 'no') this.#onFault = () => sendEvent('FAULTY', faultyFields(subject, session.resourceRemote.replace(/^.*@/, '')));
    await mkdir(config.get('georep-session-working-dir'), { recursive: true });
    this.#status = status;
    this.#cleanup.add('status', () => status.flush());
    await status.resetOnWorkerStart();
    const failures = await FailureList.load(workingDir);
    for (const line of failures.garbled) this.#log.error('a line of the failure list cannot be read and was put aside', { line });
    status.setFailures(failures.size);

    const remote = await connectRemote({ config, session, resourceRemoteId, debug }, this.#cleanup, log.child({ module: 'resource', ctx: 'SSH' }));
    const registry = join(workingDir, 'aux-mounts');
    for (const left of await AuxMount.removeLeftovers(registry)) this.#log.info('removed the mount of a worker that was killed', { path: left });
    const [mount, cachedMount] = [await this.#mount(session, registry, UNCACHED, signal), await this.#mount(session, registry, [], signal)];
    const freshness = new Freshness({ cached: cachedMount.dir, uncached: mount.dir });
    const queue = new WorkerQueue(config.get('sync-jobs'), log.child({ module: 'primary', ctx: 'Syncer' }));
    this.#cleanup.add('queue', () => queue.close());
    const agent = new ChangelogAgent({
      changelogDir: join(session.localPath, '.glusterfs', 'changelogs'),
      workingDir,
      changeIntervalMs: config.get('change-interval') * 1000,
    });
    this.#cleanup.add('changelog agent', () => Promise.resolve(agent.close()));
    const deps: PrimaryDeps = {
      config,
      session,
      volume: primaryVolume(mount, session),
      brick,
      secondary: remote.secondary,
      agent,
      queue,
      engines: this.#engines(freshness, remote, brick),
      status,
      failures,
      doubts: new Doubts(),
      freshness,
      log: log.child({ module: 'primary', fn: 'crawl', ctx: 'GPrimary' }),
      workingDir,
      peerNames: 'utf8',
      oweWalk: async (from) => {
        if ((await loadOwedWalk(workingDir)) === null) await saveOwedWalk(workingDir, { since: this.#registerTime, from });
      },
      electByMetaVolume: metaVolumeElection(config, session, this.#log),
    };
    this.#log.info('Worker spawn successful. Acknowledging back to monitor');
    onReady();
    await status.setLastError(null);
    await this.#serve(deps, remote, [mount, cachedMount], signal);
  }

  /** Runs the crawls and what they stand on; the first that ends badly ends them all. */
  async #serve(deps: PrimaryDeps, remote: Remote, mounts: readonly AuxMount[], signal: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const soft = AbortSignal.any([signal, failed.signal]);
    const crawlers: Crawlers = {
      xsync: new (gmasterBuilder(slotsFromConfig(deps.config, 'xsync')))(deps),
      live: new (gmasterBuilder(slotsFromConfig(deps.config)))(deps),
      history: new (gmasterBuilder(slotsFromConfig(deps.config, 'changeloghistory')))(deps),
    };
    const broken = Promise.race([
      remote.ended.then((how) => Promise.reject<never>(new GsyncdError(`connection to secondary is broken: ${how}`, { code: 'peer' }))),
      ...mounts.map((mount) =>
        mount.exited.then(() => Promise.reject<never>(new GsyncdError('primary mount: glusterfs: exited', { code: 'mount' }))),
      ),
      keepAlive(deps.secondary, deps.config.get('secondary-timeout'), (timeoutS, gapS) => crawlers.live.keepalivePayload(timeoutS, gapS), soft).then(
        () => new Promise<never>(() => undefined),
      ),
    ]);
    const crawls = this.#crawl(deps, crawlers, soft);
    const grace = signalAfter(signal, STOP_GRACE_MS);
    try {
      await Promise.race([crawls, broken, grace.passed]);
    } catch (error) {
      failed.abort();
      throw error;
    } finally {
      grace.cancel();
      crawls.catch(() => undefined);
      broken.catch(() => undefined);
    }
  }

  async #crawl(deps: PrimaryDeps, crawlers: Crawlers, signal: AbortSignal): Promise<void> {
    const { log, config, agent } = deps;
    const { live } = crawlers;
    while (!signal.aborted) {
      this.#registerTime = config.get('change-detector') === 'xsync' ? Math.floor(Date.now() / 1000) : await agent.register();
      log.info('Register time', { time: this.#registerTime });
      await catchUp(deps, crawlers, this.#registerTime, signal);
      try {
        if (!signal.aborted) await live.crawlwrap(signal);
      } catch (error) {
        await live.pipeline.drain().catch(() => undefined);
        // Journaling was off for a while: history finds out for how long.
        if (!isGsyncdError(error, 'partial-history')) throw error;
        log.warn('journaling was switched off and on again', { error: errorLine(error) });
      }
    }
    await live.pipeline.drain();
  }

  async #mount(session: Session, registry: string, extraParams: readonly string[], signal: AbortSignal): Promise<AuxMount> {
    const { config } = this.#options;
    const log = this.#options.log.child({ module: 'resource', ctx: 'GLUSTER' });
    log.info('Mounting gluster volume locally...');
    const startMs = performance.now();
    const logFile = config.get('gluster-log-file');
    const mount = await AuxMount.mount({
      glusterCommandDir: config.get('gluster-command-dir'),
      params: [...splitWords(config.get('gluster-params')), ...extraParams],
      volfileServer: 'localhost',
      volume: session.primary,
      logFile,
      logLevel: config.get('gluster-log-level'),
      timeoutMs: config.get('connection-timeout') * 1000,
      directoryPrefix: join(tmpdir(), 'gsyncd-aux-mount-'),
      registry,
      spawnChild: (argv) => spawnDaemonChild(argv),
      signal,
    });
    this.#cleanup.add('primary mount', () => mount.close());
    if (mount.subvolumes === 'partly up') log.error('Subvols are not up');
    log.info('Mounted gluster volume', { duration: ((performance.now() - startMs) / 1000).toFixed(4) });
    return mount;
  }

  #engines(freshness: Freshness, remote: Remote, brick: Brick): PrimaryDeps['engines'] {
    const { config } = this.#options;
    const log = this.#options.log.child({ module: 'resource', ctx: 'SSH' });
    // A file of another brick cannot be asked here, and may have some.
    const hasAttributes = async (gfid: Gfid): Promise<boolean> => (await brick.fileOf(gfid)) === null || brick.gfidHasUserXattrs(gfid);
    const shared = { xattrs: config.get('sync-xattrs'), acls: config.get('sync-acls'), target: remote.target, hasAttributes, mountDir: () => freshness.mountDir(), log };
    const rsync = new RsyncTransfer({
      ...shared,
      command: config.get('rsync-command'),
      userOptions: splitWords(config.get('rsync-options')),
      sshArgv: rsyncSsh(config, remote.controlOptions),
      existing: config.get('rsync-opt-existing'),
      ignoreMissingArgs: config.get('rsync-opt-ignore-missing-args'),
      logPerformance: () => config.getLive('log-rsync-performance'),
    });
    const attributes = new AttributesTransfer(rsync, brick);
    return {
      rsync: () => rsync,
      tarssh: () =>
        new TarsshTransfer({
          ...shared,
          command: config.get('tar-command'),
          sshArgv: tarSsh(config),
          attributes: config.get('sync-xattrs') ? rsync : undefined,
        }),
      attributes: () => attributes,
    };
  }

  async #recordFault(error: unknown): Promise<void> {
    try {
      await this.#status?.setFaulty();
      await this.#status?.setLastError(errorLine(error));
      this.#onFault();
    } catch (statusError) {
      this.#log.warn('the status file cannot be written', { error: errorLine(statusError) });
    }
  }
}

/** Resolves some time after `signal` aborts. */
function signalAfter(signal: AbortSignal, ms: number): { passed: Promise<void>; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  let start: () => void = () => undefined;
  const passed = new Promise<void>((resolve) => {
    start = () => (timer = setTimeout(resolve, ms));
    if (signal.aborted) start();
    else signal.addEventListener('abort', start, { once: true });
  });
  const cancel = (): void => {
    clearTimeout(timer);
    signal.removeEventListener('abort', start);
  };
  return { passed, cancel };
}

/** The secondary's host as the command line spells it, which is what stock's events tell. */
function eventSubject(session: Session, secondary: string): EventSubject {
  return {
    primary: session.primary,
    node: session.localNode,
    nodeId: session.localNodeId,
    secondaryHost: secondary.replace(/::.*$/, ''),
    secondaryVolume: session.secondaryVolume,
    brickPath: session.localPath,
  };
}

function primaryVolume(mount: AuxMount, session: Session): PrimaryVolume {
  return {
    lstat: (path) => mount.lstat(path),
    readlink: (path) => mount.readlink(path),
    gfidOf: (path) => mount.gfidOf(path),
    setXtime: (path, volumeUuid, mark) => mount.setXtime(path, volumeUuid, mark),
    nativeVolumeInfo: () => nativeVolumeInfo(mount.dir),
    foreignVolumeInfos: () => foreignVolumeInfos(mount.dir),
    nodeUuids: () => nodeUuids(mount.dir),
    clusterStime: (volumeUuid) => clusterStime(mount.dir, volumeUuid, session.secondaryId),
  };
}

/** Finds out early, and in one line, what would otherwise fail late and in many. */
async function preflight(config: Config, session: Session, brick: Brick): Promise<void> {
  if ((await brick.volumeId()) === null) {
    throw new GsyncdError(`brick ${session.localPath}: no brick of a Gluster volume`, { code: 'preflight' });
  }
  await findProgram(splitWords(config.get('ssh-command'))[0] ?? 'ssh');
  await findProgram(config.get('sync-method') === 'tarssh' ? config.get('tar-command') : config.get('rsync-command'));
}
