// One worker opens its endpoints (secondary, primary, the transports between them) and runs the crawls. History comes
// first, then an xsync crawl where the history does not reach, then the live changelogs. The worker runs until it is
// stopped, or until a process, mount or connection that it needs ends. Port of the reference's service loop. Invariant:
// before run() settles, everything that this module started or mounted is undone, however it ends.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Config } from '../config/config.js';
import { errorLine, isGsyncdError } from '../errors.js';
import { eventFields, eventSender, faultyFields } from '../gluster/events.js';
import type { Log, RootLog } from '../log.js';
import { makeCrawlers } from '../primary/build.js';
import type { PrimaryDeps } from '../primary/deps.js';
import { longPauseMs, PauseDetector } from '../process/pause-detector.js';
import { recordedSecondary } from '../progress/recorded-secondary.js';
import { ReplayTracker } from '../primary/reconcile/replay-tracker.js';
import { FailureList } from '../status/failures.js';
import { WorkerStatus } from '../status/status-file.js';
import { gfidPath, type Gfid } from '../protocol/gfid.js';
import { readToEnd } from '../native/read-to-end.js';
import { lockBrick } from './brick-lock.js';
import { startRecorder } from './brick-progress.js';
import { catchUp, type Crawlers } from './catch-up.js';
import { Cleanup } from '../async/cleanup.js';
import { keepAlive } from './keepalive.js';
import { metaVolumeElection } from './meta-volume.js';
import type { FindEndpoints, OpenEndpoints } from './endpoints.js';
import { addPendingCrawl } from './pending-crawl.js';
import { syncRemovedBrick } from './removed-brick.js';
import { OutdatedMounts, type Restart } from './outdated-mounts.js';
import { WorkerQueue } from './shared-queue.js';
import { brickWorkingDir } from './working-dir.js';

/** At a stop, the batch under way has this long to finish before it is put back. Ending unwilling transfers and unmounting
 *  also have to fit into the ten seconds that a stop may take. */
const STOP_GRACE_MS = 6_000;
/** systemd and the monitor signal all processes of a worker: ssh may end before this process gets its own signal. */
const OWN_SIGNAL_WAIT_MS = 500;

export interface WorkerOptions {
  readonly findEndpoints: FindEndpoints;
  readonly config: Config;
  readonly log: RootLog;
  /** For a removed brick, only the changelogs that it left are read. Default: 'in the volume'. */
  readonly brick?: 'in the volume' | 'removed';
  /** Whether a monitor started it. The monitor then reports its faults. */
  readonly monitored: 'yes' | 'no';
  /** When it last started again because of an outdated mount. Default: never. */
  readonly lastRestart?: Restart | null;
  /** Called when the worker is connected and mounted, and about to crawl. */
  readonly onReady: () => void;
  /** Called once, with the brick's status file, as soon as it is known. */
  readonly onStatusFile?: (path: string) => void;
}

export class Worker {
  readonly #options: WorkerOptions;
  readonly #log: Log;
  readonly #cleanup = new Cleanup();
  readonly #pauseDetector: PauseDetector;
  #status: WorkerStatus | null = null;
  #outcome: 'stopped' | 'faulty' = 'stopped';
  #onFault: () => void = () => undefined;
  /** Start of the live changelogs, seconds. */
  #registerTime = 0;

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#log = options.log.child({ module: 'worker' });
    this.#pauseDetector = new PauseDetector(longPauseMs(options.config.get('secondary-timeout')));
  }

  /** Runs until `signal` aborts.
   *  @throws GsyncdError 'outdated-mount' when it must start again; another one when it cannot continue: the status then says
   *  Faulty and why */
  async run(signal: AbortSignal): Promise<void> {
    try {
      await this.#work(signal);
    } catch (error) {
      if (isGsyncdError(error, 'peer')) await delay(OWN_SIGNAL_WAIT_MS, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      // The recorder counts the restart.
      this.#outcome = 'faulty';
      if (isGsyncdError(error, 'outdated-mount')) throw error;
      // The monitor then restarts it at once (see Supervisor).
      if (this.#pauseDetector.hasJustResumed && isGsyncdError(error, 'peer') && this.#options.monitored === 'yes')
        this.#log.info('connection lost during the pause', { error: errorLine(error) });
      else await this.#recordFault(error);
      throw error;
    } finally {
      this.#pauseDetector.close();
      await this.#cleanup.run((what, error) => this.#log.warn('cleanup failed', { what, error: errorLine(error) }));
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    const { findEndpoints, config, log, onReady } = this.#options;
    const endpoints = await findEndpoints(signal);
    const { session } = endpoints;
    const workingDir = await brickWorkingDir(config.get('working-dir'), session.localPath);
    this.#log.info('Working dir', { path: workingDir });
    // Held until the process ends: while this worker shuts down, no other one may start.
    await lockBrick(workingDir, session.localPath);

    const sendEvent = eventSender(config.get('glusterd-workdir'));
    const subject = endpoints.eventSubject;
    const status = new WorkerStatus({
      stateFile: config.get('state-file'),
      brickPath: session.localPath,
      log: log.child({ module: 'gsyncdstatus', ctx: 'GeorepStatus' }),
      onEvent: (event, fields) => sendEvent(event, eventFields(subject, fields)),
    });
    if (this.#options.monitored === 'no')
      this.#onFault = () => sendEvent('FAULTY', faultyFields(subject, session.resourceRemote.replace(/^.*@/, '')));
    await mkdir(config.get('georep-session-working-dir'), { recursive: true });
    this.#status = status;
    this.#cleanup.add('status', () => status.flush());
    await status.resetOnWorkerStart();
    const recorder = await startRecorder({
      session,
      statusFile: status.path,
      workingDir,
      jobs: config.get('sync-jobs'),
      estimate: () => endpoints.estimateEntries(),
    });
    this.#cleanup.add('progress', () => recorder.close(this.#outcome));
    this.#options.onStatusFile?.(status.path);
    const failures = await FailureList.load(workingDir);
    for (const line of failures.garbled)
      this.#log.error('cannot parse a line of the failure list: moved it aside', { line });
    status.setFailures(failures.size);

    const { broken, hasMounts, ...parts } = await endpoints.open(workingDir, this.#cleanup, signal);
    // The waiters get the error. Until then it must not be an unhandled rejection.
    for (const end of broken) end.catch(() => undefined);
    const queue = new WorkerQueue(config.get('sync-jobs'), log.child({ module: 'primary', ctx: 'Syncer' }), recorder);
    recorder.queue = () => queue.backlog();
    this.#cleanup.add('queue', () => queue.close());
    this.#cleanup.add('changelog agent', () => Promise.resolve(parts.agent.close()));
    const deps: PrimaryDeps = {
      ...parts,
      config,
      session,
      secondary: recordedSecondary(parts.secondary, recorder),
      progress: recorder,
      queue,
      status,
      failures,
      replayTracker: new ReplayTracker(),
      log: log.child({ module: 'primary', fn: 'crawl', ctx: 'GPrimary' }),
      workingDir,
      outdatedMounts: hasMounts ? new OutdatedMounts(this.#options.lastRestart ?? null) : undefined,
      readToEnd: (gfid, stop) => readContent(parts, gfid, stop),
      addPendingCrawl: (from) => addPendingCrawl(workingDir, this.#registerTime, from),
      electByMetaVolume:
        this.#options.brick === 'removed'
          ? () => Promise.resolve(true)
          : metaVolumeElection(config, session, this.#log),
    };
    await failures.announceTo(this.#failureAnnouncer(parts.volume));
    this.#log.info('Worker spawn successful. Acknowledging back to monitor');
    onReady();
    await status.setLastError(null);
    const crawlers = makeCrawlers(deps);
    queue.start(crawlers.live.makeEngine());
    await this.#serve(deps, crawlers, broken, signal);
  }

  #failureAnnouncer(volume: PrimaryDeps['volume']): (hasFailures: boolean) => Promise<void> {
    let hasWarned = false;
    return async (hasFailures) => {
      try {
        await volume.announceFailures(hasFailures);
        hasWarned = false;
      } catch (error) {
        if (!hasWarned)
          this.#log.warn('cannot set the failure mark on the primary volume', { error: errorLine(error) });
        hasWarned = true;
        throw error;
      }
    };
  }

  /** Runs the crawls and watches their connections and mounts. The first failure ends all of them. */
  async #serve(
    deps: PrimaryDeps,
    crawlers: Crawlers,
    ends: readonly Promise<never>[],
    signal: AbortSignal,
  ): Promise<void> {
    const failed = new AbortController();
    const crawlStop = AbortSignal.any([signal, failed.signal]);
    const broken = Promise.race([
      ...ends,
      keepAlive(
        deps.secondary,
        deps.config.get('secondary-timeout'),
        (timeoutS, gapS) => crawlers.live.keepalivePayload(timeoutS, gapS),
        crawlStop,
      ).then(() => new Promise<never>(() => undefined)),
    ]);
    const crawls = this.#crawl(deps, crawlers, crawlStop);
    const grace = delayAfterAbort(signal, STOP_GRACE_MS);
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
    if (this.#options.brick === 'removed') return syncRemovedBrick(deps, crawlers, await agent.register(), signal);
    while (!signal.aborted) {
      this.#registerTime =
        config.get('change-detector') === 'xsync' ? Math.floor(Date.now() / 1000) : await agent.register();
      log.info('Register time', { time: this.#registerTime });
      await catchUp(deps, crawlers, this.#registerTime, signal);
      if (!signal.aborted) deps.progress?.caughtUp(this.#registerTime);
      try {
        if (!signal.aborted) await live.crawlwrap(signal);
      } catch (error) {
        await live.pipeline.drain().catch(() => undefined);
        // For example, recording of changes was off for a while. A history crawl determines the consequences.
        if (!isGsyncdError(error, 'partial-history')) throw error;
        log.warn('gap in the live changelogs: starting a history crawl', { error: errorLine(error) });
      }
    }
    await live.pipeline.drain();
  }

  async #recordFault(error: unknown): Promise<void> {
    try {
      await this.#status?.setFaulty();
      await this.#status?.setLastError(errorLine(error));
      this.#onFault();
    } catch (statusError) {
      this.#log.warn('cannot write status file', { error: errorLine(statusError) });
    }
  }
}

/** Reads the brick's own file if it has the content that clients read. If that fails, another brick may have a copy, so the
 *  mount decides.
 *  @throws Node system errors */
async function readContent(
  { contentFile, mountSelector }: Pick<OpenEndpoints, 'contentFile' | 'mountSelector'>,
  gfid: Gfid,
  signal: AbortSignal,
): Promise<void> {
  const own = (await contentFile?.(gfid)) ?? null;
  if (
    own !== null &&
    (await readToEnd(own, signal).then(
      () => true,
      () => false,
    ))
  )
    return;
  signal.throwIfAborted();
  await readToEnd(join(mountSelector.mountDir(), gfidPath(gfid)), signal);
}

/** Resolves `ms` after `signal` aborts. */
function delayAfterAbort(signal: AbortSignal, ms: number): { passed: Promise<void>; cancel: () => void } {
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
