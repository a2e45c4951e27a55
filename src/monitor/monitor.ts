// The monitor of a session on one node. It finds the bricks of the primary volume on this node and runs a worker for each.
// It adjusts the workers when bricks come and go and when the secondary changes. Port of stock's monitor. Invariant: when
// run() has settled, no worker of this monitor is left.

import { stat } from 'node:fs/promises';
import type { Config } from '../config/config.js';
import { editSessionFile } from '../config/edit.js';
import { DirectoryWatch } from '../changelog/directory-watch.js';
import { errorLine } from '../errors.js';
import { eventSender, faultyFields } from '../gluster/events.js';
import type { VolumeInfo } from '../gluster/volinfo.js';
import { safeText } from '../log-format.js';
import type { Log, RootLog } from '../log.js';
import { fsEncode } from '../names.js';
import { delayOrWake } from '../async/wait.js';
import { FEEDBACK_FD } from '../process/child.js';
import { longPauseMs, PauseDetector } from '../process/pause-detector.js';
import { spawnGroupChild, type GroupChild } from '../process/spawn.js';
import { setMonitorStatus } from '../status/monitor-status.js';
import { WorkerStatus } from '../status/status-file.js';
import { Backoff, type BackoffLimits } from './backoff.js';
import { distribute, type Distribution, type SecondaryNode, type WorkerSpec } from './distribution.js';
import { RemovedBricks } from './removed-bricks.js';
import { acceptsConnections, chooseNode } from './nodes.js';
import { Supervisor } from './supervisor.js';
import type { VolumeSource } from './volumes.js';
import { parseSecondary } from '../worker/session.js';

/** How often the monitor reads the volumes when no event reports a change. */
const VOLUME_CHECK_MS = 60_000;
/** glusterd writes several files for one change. */
const SETTLE_MS = 500;
/** A worker needs up to 10 s to finish its current work. */
const WORKER_STOP_MS = 12_000;
const MAX_RESTART_DELAY_MS = 60_000;
const NODE_CONNECT_TIMEOUT_MS = 10_000;

export interface MonitorOptions {
  readonly primary: string;
  /** `[USER@]HOST::VOLUME` */
  readonly secondary: string;
  readonly localNodeId: string;
  readonly config: Config;
  readonly log: RootLog;
  readonly debug: boolean;
  readonly volumes: VolumeSource;
  /** Program and first arguments of a worker. The monitor adds the rest. */
  readonly workerCommand: readonly string[];
  /** Also passed to the workers. */
  readonly configFile?: string;
  /** Shorter times for tests. */
  readonly times?: Partial<{
    readonly volumeCheckMs: number;
    readonly stopMs: number;
    readonly acknowledgeMs: number;
    readonly backoff: BackoffLimits;
  }>;
}

export class Monitor {
  readonly #options: MonitorOptions;
  readonly #log: Log;
  readonly #supervisors = new Map<string, Supervisor>();
  readonly #running = new Set<Promise<void>>();
  readonly #pauseDetector: PauseDetector;
  /** Nodes of the secondary that no worker connects to. */
  readonly #isolated: readonly string[];
  readonly #removedBricks: RemovedBricks;
  #nodes: readonly SecondaryNode[] = [];
  #lastSecondary: { readonly info: VolumeInfo; readonly readMs: number } | null = null;
  #isStarted = false;
  #lastError = '';
  #lastWarnings: readonly string[] = [];
  #recordedVars = '';

  constructor(options: MonitorOptions) {
    this.#options = options;
    this.#isolated = options.config
      .get('isolated-secondarys')
      .split(',')
      .map((word) => word.trim());
    this.#log = options.log.child({ module: 'monitor', fn: 'monitor', ctx: 'Monitor' });
    this.#pauseDetector = new PauseDetector(longPauseMs(options.config.get('secondary-timeout')));
    this.#removedBricks = new RemovedBricks({
      config: options.config,
      log: this.#log,
      localNodeId: options.localNodeId,
      status: (brick) => this.#statusOf(brick),
    });
  }

  /** Runs until `signal` aborts. When it settles, all workers have ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { config, primary, times } = this.#options;
    const watch = new DirectoryWatch(
      `${config.get('glusterd-workdir')}/vols/${primary}`,
      times?.volumeCheckMs ?? VOLUME_CHECK_MS,
    );
    const retryBackoff = new Backoff(this.#backoffLimits());
    try {
      while (!signal.aborted) {
        const changed = watch.next();
        const areVolumesKnown = await this.#updateWorkers(signal);
        // Until the volumes are known, no worker can run, so retry soon.
        await delayOrWake(
          areVolumesKnown ? VOLUME_CHECK_MS : retryBackoff.next(0),
          signal,
          areVolumesKnown ? changed : undefined,
        );
        if (areVolumesKnown) await delayOrWake(SETTLE_MS, signal);
      }
    } finally {
      watch.close();
      this.#pauseDetector.close();
      await Promise.all([...this.#supervisors.values()].map((supervisor) => supervisor.retire()));
      await Promise.all(this.#running);
    }
  }

  /** Reads both volumes, then starts and stops workers accordingly.
   *  @returns whether the volumes are known */
  async #updateWorkers(signal: AbortSignal): Promise<boolean> {
    const { volumes, localNodeId } = this.#options;
    let primary: VolumeInfo | null = null;
    try {
      primary = await volumes.primary(signal);
      const secondary = await this.#secondaryInfo(signal);
      this.#warnOfHarmfulOptions(primary, secondary);
      const wanted = distribute(primary, secondary, localNodeId, this.#isolated);
      await this.#apply(
        { ...wanted, workers: [...wanted.workers, ...(await this.#removedBrickSpecs(primary, wanted))] },
        signal,
      );
      this.#lastError = '';
    } catch (error) {
      if (signal.aborted) return true;
      const line = errorLine(error);
      if (line !== this.#lastError) this.#log.error('cannot read volume info', { error: line });
      if (line !== this.#lastError && primary !== null && !this.#isStarted) await this.#reportOnBricks(primary, line);
      this.#lastError = line;
    }
    return this.#isStarted;
  }

  /** Warns once about each volume option that loses data. */
  #warnOfHarmfulOptions(primary: VolumeInfo, secondary: VolumeInfo): void {
    const warnings = harmfulOptions(primary.options, secondary.options);
    for (const warning of warnings)
      if (!this.#lastWarnings.includes(warning))
        this.#log.warn(warning, { primary: primary.name, secondary: secondary.name });
    this.#lastWarnings = warnings;
  }

  /** Workers for bricks that have left the volume with unread changelogs. */
  async #removedBrickSpecs(primary: VolumeInfo, { workers, nodes, secondaryId }: Distribution): Promise<WorkerSpec[]> {
    const [remote] = nodes;
    const bricks = remote === undefined ? [] : await this.#removedBricks.findUnread(primary, secondaryId);
    return bricks.flatMap((brickPath) => {
      const host = workers[0]?.host ?? 'localhost';
      return remote === undefined
        ? []
        : [
            {
              brickPath,
              host,
              hostId: this.#options.localNodeId,
              subvolNum: 1,
              hotTier: false,
              isRemoved: true as const,
              remote,
            },
          ];
    });
  }

  /** Asking the secondary needs ssh, so not every change of the primary does it. While the secondary is unreachable, its
   *  last answer is used. */
  async #secondaryInfo(signal: AbortSignal): Promise<VolumeInfo> {
    const last = this.#lastSecondary;
    const nowMs = performance.now();
    if (last !== null && nowMs - last.readMs < (this.#options.times?.volumeCheckMs ?? VOLUME_CHECK_MS) * 0.9)
      return last.info;
    try {
      const info = await this.#options.volumes.secondary(signal);
      this.#lastSecondary = { info, readMs: nowMs };
      return info;
    } catch (error) {
      if (last === null || signal.aborted) throw error;
      this.#log.warn('cannot read volume info of the secondary', { error: errorLine(error) });
      this.#lastSecondary = { info: last.info, readMs: nowMs };
      return last.info;
    }
  }

  async #apply(wanted: Distribution, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await this.#recordVars(wanted);
    this.#nodes = wanted.nodes;
    const specs = new Map(wanted.workers.map((spec) => [workerKey(spec, wanted), spec]));
    const ending: Promise<void>[] = [];
    for (const [key, supervisor] of this.#supervisors) {
      const spec = specs.get(key);
      const { node } = supervisor;
      const hasNodeLeft = node !== null && !wanted.nodes.some(({ host, id }) => host === node.host && id === node.id);
      if (spec !== undefined && !hasNodeLeft) {
        supervisor.spec = spec;
        supervisor.restartNow();
        continue;
      }
      this.#log.info('stopping worker: the volumes changed', { brick: supervisor.spec.brickPath });
      this.#supervisors.delete(key);
      ending.push(supervisor.retire());
    }
    await Promise.all(ending);
    for (const [key, spec] of specs) {
      if (!this.#supervisors.has(key) && !signal.aborted) this.#startSupervisor(key, spec, wanted, signal);
    }
    if (this.#isStarted) return;
    this.#isStarted = true;
    if (specs.size === 0)
      this.#log.warn('volume has no brick on this node', {
        volume: this.#options.primary,
        node: this.#options.localNodeId,
      });
    await setMonitorStatus(this.#options.config.get('state-file'), 'Started');
  }

  #startSupervisor(key: string, spec: WorkerSpec, { secondaryId }: Distribution, signal: AbortSignal): void {
    const { config, log, times } = this.#options;
    const probe = { port: config.get('ssh-port'), timeoutMs: NODE_CONNECT_TIMEOUT_MS };
    const sendEvent = eventSender(config.get('glusterd-workdir'));
    const supervisor = new Supervisor(spec, {
      start: (current, node) => this.#spawnWorker(current, node, secondaryId),
      chooseNode: (own) => chooseNode(own, this.#nodes, (host) => acceptsConnections(host, probe)),
      status: this.#statusOf(spec.brickPath),
      onRemovedBrickSynced: (current) => this.#removedBricks.forget(current.brickPath),
      // The node of the ended worker, as in its other events. Stock names the node that was used before a failover.
      onFaulty: (current, node) => sendEvent('FAULTY', faultyFields(this.#eventSubject(current), node.host)),
      hasJustResumed: () => this.#pauseDetector.hasJustResumed,
      log: log.child({ module: 'monitor', fn: 'monitor', ctx: 'Monitor' }),
      acknowledgeMs: times?.acknowledgeMs ?? config.get('connection-timeout') * 1000,
      stopMs: times?.stopMs ?? WORKER_STOP_MS,
      backoff: this.#backoffLimits(),
    });
    this.#supervisors.set(key, supervisor);
    const run = supervisor.run(signal).finally(() => this.#running.delete(run));
    this.#running.add(run);
  }

  #spawnWorker(spec: WorkerSpec, node: SecondaryNode, secondaryId: string): Promise<GroupChild> {
    const { primary, secondary, workerCommand, configFile, debug } = this.#options;
    const { user } = parseSecondary(secondary);
    const argv = [
      ...workerCommand,
      'worker',
      primary,
      secondary,
      ...['--feedback-fd', String(FEEDBACK_FD)],
      ...['--local-path', spec.brickPath],
      ...['--local-node', spec.host],
      ...['--local-node-id', spec.hostId],
      ...['--secondary-id', secondaryId],
      ...['--subvol-num', String(spec.subvolNum)],
      ...['--resource-remote', `${user}@${node.host}`],
      ...['--resource-remote-id', node.id],
      ...(configFile === undefined ? [] : ['-c', configFile]),
      ...(spec.hotTier ? ['--is-hottier'] : []),
      ...(spec.isRemoved === true ? ['--removed-brick'] : []),
      ...(debug ? ['--debug'] : []),
    ];
    return spawnGroupChild(argv, {
      onStderrLine: debug ? (line) => void process.stderr.write(`${safeText(line)}\n`) : undefined,
    });
  }

  /** Records the values that the workers and the session's delete command read from its config, unless they are there. */
  async #recordVars({ stimeXattrPrefix, distributionCount }: Distribution): Promise<void> {
    const { config } = this.#options;
    const file = config.sessionFile;
    const vars = {
      'stime-xattr-prefix': stimeXattrPrefix,
      'primary-distribution-count': String(distributionCount),
    } as const;
    const text = JSON.stringify(vars);
    if (file === undefined || text === this.#recordedVars || (await stat(fsEncode(file)).catch(() => null)) === null)
      return;
    await editSessionFile(file, (ini) => {
      for (const name of ['stime-xattr-prefix', 'primary-distribution-count'] as const) {
        const known = ini.get('vars', name) ?? (this.#recordedVars === '' ? config.origin(name).text : undefined);
        if (known !== vars[name]) ini.set('vars', name, vars[name]);
      }
    });
    this.#recordedVars = text;
  }

  /** Reports the reason in the status of every brick of this node. */
  async #reportOnBricks(primary: VolumeInfo, reason: string): Promise<void> {
    for (const brick of primary.bricks) {
      if (brick.hostUuid !== this.#options.localNodeId) continue;
      const status = this.#statusOf(brick.path);
      try {
        await status.setFaulty();
        await status.setLastError(reason);
      } catch (error) {
        this.#log.warn('cannot write status file', { brick: brick.path, error: errorLine(error) });
      }
    }
  }

  #statusOf(brickPath: string): WorkerStatus {
    const { config, log } = this.#options;
    return new WorkerStatus({
      stateFile: config.get('state-file'),
      brickPath,
      log: log.child({ module: 'gsyncdstatus', ctx: 'GeorepStatus' }),
    });
  }

  #eventSubject(spec: WorkerSpec): Parameters<typeof faultyFields>[0] {
    const { host, volume } = parseSecondary(this.#options.secondary);
    return {
      primary: this.#options.primary,
      node: spec.host,
      nodeId: spec.hostId,
      secondaryHost: host,
      secondaryVolume: volume,
      brickPath: spec.brickPath,
    };
  }

  #backoffLimits(): BackoffLimits {
    const stableMs = this.#options.config.get('connection-timeout') * 1000;
    return this.#options.times?.backoff ?? { firstMs: 1_000, maxMs: MAX_RESTART_DELAY_MS, stableMs };
  }
}

/** Arguments of a running worker. If any of them changes, the monitor restarts the worker. */
function workerKey(spec: WorkerSpec, { secondaryId, distributionCount }: Distribution): string {
  return JSON.stringify([
    spec.brickPath,
    spec.host,
    spec.hostId,
    spec.subvolNum,
    spec.hotTier,
    spec.isRemoved,
    secondaryId,
    distributionCount,
  ]);
}

type Options = VolumeInfo['options'];

function harmfulOptions(primary: Options, secondary: Options): string[] {
  const warnings: string[] = [];
  // If the changelog translator closes two changelogs within one second, both get one name. The second replaces the first,
  // and no changelog has the changes of that second.
  if (primary['changelog.rollover-time'] === '1')
    warnings.push(
      'changelog.rollover-time of 1 s makes GlusterFS overwrite changelogs: changes get lost; set 2 or more',
    );
  // Every client except geo-replication's then reads only the first shard of a file.
  if (primary['features.shard'] === 'on' && secondary['features.shard'] !== 'on') {
    warnings.push(
      'features.shard is on for the primary and off for the secondary: its clients see the first shard of each file only; set features.shard on there',
    );
  }
  return warnings;
}
