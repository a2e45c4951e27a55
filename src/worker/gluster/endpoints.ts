// Endpoints of a worker on a GlusterFS brick: a mount of the primary volume here, the secondary's gsyncd behind ssh,
// changelogs on the brick. Invariant: the clean-up of each started or mounted thing is registered before the next one
// starts.

import { join } from 'node:path';
import { ChangelogAgent } from '../../changelog/agent.js';
import type { Config } from '../../config/config.js';
import { brickTemplateArgs } from '../../config/template.js';
import { splitWords } from '../../config/words.js';
import { GsyncdError } from '../../errors.js';
import { BrickContent } from '../../gluster/brick-content.js';
import { Brick } from '../../gluster/brick.js';
import type { EventSubject } from '../../gluster/events.js';
import { findFile } from '../../gluster/file-source.js';
import type { Gfid } from '../../protocol/gfid.js';
import { mountHome } from '../../gluster/mount-home.js';
import { AuxMount } from '../../gluster/mount.js';
import { FailureListMark } from '../../gluster/failure-list-mark.js';
import { OwnBrick } from '../../gluster/own-brick.js';
import {
  clusterStime,
  foreignVolumeInfos,
  isReplicated,
  nativeVolumeInfo,
  nodeUuids,
} from '../../gluster/volume-mark.js';
import type { RootLog } from '../../log.js';
import type { PrimaryDeps, PrimaryVolume, Session } from '../../primary/deps.js';
import { AttributesTransfer } from '../../primary/transfer/attributes-transfer.js';
import { MountSelector } from '../../primary/mount-selector.js';
import { RsyncTransfer, type RsyncTransferOptions } from '../../primary/transfer/rsync-transfer.js';
import { withSmallFiles, type FoundFile } from '../../primary/transfer/small-files.js';
import { TarsshTransfer } from '../../primary/transfer/tarssh-transfer.js';
import { estimateEntries } from '../../progress/estimate.js';
import { findProgram } from '../../process/program.js';
import { spawnDaemonChild } from '../../process/spawn.js';
import type { DataEngine } from '../../queue/engine.js';
import type { Cleanup } from '../../async/cleanup.js';
import { createRemovedBrickAgent, changelogDirOf, RemovedBrick } from '../removed-brick.js';
import { connectRemote, rsyncSsh, sharedTarSsh, tarSsh, type Remote } from './remote.js';
import { findSession, type FoundSession, type WorkerArgs } from '../session.js';
import type { FindEndpoints, OpenEndpoints, Endpoints } from '../endpoints.js';

/** Options of a mount that caches names, attributes and small files for `seconds`, in the kernel and in GlusterFS each,
 *  independently of the volume's options. The kernel drops cached pages when a file is opened. By default GlusterFS invalidates
 *  them by notices instead. These arrive after the new time was visible, and late when there are many. */
const cacheOptions = (seconds: 0 | 1): readonly string[] => [
  `attribute-timeout=${seconds}`,
  `entry-timeout=${seconds}`,
  'negative-timeout=0',
  'fopen-keep-cache=no',
  `xlator-option=*-md-cache.md-cache-timeout=${seconds}`,
  `xlator-option=*-quick-read.cache-timeout=${seconds}`,
  `xlator-option=*-io-cache.cache-timeout=${seconds}`,
];

/** A worker reads a changelog a moment after its rollover, so the mount must not answer from an older state. A sync from
 *  such an answer stays wrong, because no later changelog names the file. */
const UNCACHED = cacheOptions(0);
const CACHED = cacheOptions(1);

/** Options that both engines share. */
type SharedOptions = Pick<RsyncTransferOptions, 'xattrs' | 'acls' | 'target' | 'mountDir' | 'log'> & {
  readonly hasAttributes: (gfid: Gfid) => Promise<boolean>;
};

export interface GlusterEndpointsOptions {
  readonly args: WorkerArgs;
  readonly config: Config;
  readonly log: RootLog;
  readonly debug: boolean;
}

export function glusterEndpoints(options: GlusterEndpointsOptions): FindEndpoints {
  return async (signal) => {
    const { args, config } = options;
    const { session, ...found } = await findSession(args, config, signal);
    if (args.localPath === undefined) config.complete(brickTemplateArgs(session.localPath));
    const brick = new (args.isRemoved === true ? RemovedBrick : Brick)({
      path: session.localPath,
      secondaryUuid: session.secondaryId,
      signal,
    });
    await preflight(config, session, brick);
    return new GlusterEndpoints(options, { session, ...found, brick });
  };
}

class GlusterEndpoints implements Endpoints {
  readonly session: Session;
  readonly eventSubject: EventSubject;
  readonly #options: GlusterEndpointsOptions;
  readonly #brick: Brick;
  readonly #found: Omit<FoundSession, 'session'>;
  /** Whether bricks were down at the last mount. */
  #wereBricksDown = false;

  constructor(
    options: GlusterEndpointsOptions,
    { session, brick, ...found }: FoundSession & { readonly brick: Brick },
  ) {
    this.#options = options;
    this.session = session;
    this.eventSubject = eventSubject(session, options.args.secondary);
    this.#brick = brick;
    this.#found = found;
  }

  estimateEntries(): Promise<number | null> {
    return estimateEntries(this.session.localPath);
  }

  async open(workingDir: string, cleanup: Cleanup, signal: AbortSignal): Promise<OpenEndpoints> {
    const { config, log } = this.#options;
    const { session } = this;
    // Before anything that may fail: if the secondary is unreachable, the leftovers must still go.
    const registry = join(workingDir, 'aux-mounts');
    for (const path of await AuxMount.removeLeftovers(registry))
      log.child({ module: 'worker' }).info('removed the mount of a worker that was killed', { path });
    const remote = await this.#connect(workingDir, cleanup);
    const mounts: AuxMount[] = [];
    // In parallel: glusterd gives a session that it stops one second.
    cleanup.add('primary mounts', () => Promise.all(mounts.map((one) => one.close())));
    const mount = await this.#mount(registry, UNCACHED, signal);
    mounts.push(mount);
    // The mount does not list a removed brick: such a brick is treated as up.
    const ownBrick = await this.#watchOwnBrick(mount, cleanup, signal);
    if (this.#brick instanceof RemovedBrick) this.#brick.mount = mount;
    const cachedMount = await this.#mount(registry, CACHED, signal);
    mounts.push(cachedMount);
    const mountSelector = new MountSelector({ cached: cachedMount.dir, uncached: mount.dir });
    const changelogs = {
      changelogDir: changelogDirOf(session.localPath),
      workingDir,
      changeIntervalMs: config.get('change-interval') * 1000,
    };
    const isRemoved = this.#brick instanceof RemovedBrick;
    const content = new BrickContent({
      glusterdWorkdir: config.get('glusterd-workdir'),
      volume: session.primary,
      brickPath: session.localPath,
    });
    const contentFile: OpenEndpoints['contentFile'] = (gfid) =>
      content.inspect().hasClientContent ? this.#brick.contentFile(gfid) : Promise.resolve(null);
    return {
      // No other worker reads a removed brick's changelogs.
      volume: {
        ...primaryVolume(mount, session),
        ...(isRemoved && { nodeUuids: () => Promise.resolve([session.localNodeId]) }),
      },
      names: { lstat: (path) => (mountSelector.mountDir() === mount.dir ? mount : cachedMount).lstat(path) },
      brick: this.#brick,
      secondary: remote.secondary,
      agent: isRemoved ? createRemovedBrickAgent(changelogs) : new ChangelogAgent(changelogs),
      hasMounts: true,
      engines: this.#engines(
        mountSelector,
        content,
        remote,
        config.get('sync-method') === 'tarssh' ? await sharedTarSsh(config, remote, cleanup) : [],
      ),
      mountSelector,
      contentFile,
      peerNames: remote.features.peerNames,
      canRecreateRenamed:
        (this.#found.distributionCount ?? config.get('primary-distribution-count')) > 1 &&
        remote.features.peerNames === 'bytes',
      broken: [
        ownBrick.broken,
        remote.ended.then((how) =>
          Promise.reject<never>(new GsyncdError(`connection to secondary is broken: ${how}`, { code: 'peer' })),
        ),
        ...[mount, cachedMount].map(({ exited }) =>
          exited.then(() =>
            Promise.reject<never>(new GsyncdError('primary mount: glusterfs: exited', { code: 'mount' })),
          ),
        ),
      ],
    };
  }

  /** @returns a promise that rejects when the brick's process has ended
   *  @throws GsyncdError 'preflight' when it does not run now */
  async #watchOwnBrick(
    mount: AuxMount,
    cleanup: Cleanup,
    signal: AbortSignal,
  ): Promise<{ readonly broken: Promise<never> }> {
    const { primary, localPath, localNode } = this.session;
    const down = new GsyncdError(`brick ${localPath}: process not running: gluster volume start ${primary} force`, {
      code: 'preflight',
    });
    const ownBrick = new OwnBrick(mount.dir, { host: localNode, path: localPath });
    if (!(await ownBrick.waitUntilUp(signal))) throw down;
    const watchStop = new AbortController();
    cleanup.add('watch of the brick', () => Promise.resolve(watchStop.abort()));
    const broken = ownBrick.waitUntilDown(watchStop.signal).then(() => Promise.reject<never>(down));
    broken.catch(() => undefined); // when open() fails, this must not be an unhandled rejection
    return { broken };
  }

  #connect(workingDir: string, cleanup: Cleanup): Promise<Remote> {
    const { config, log, debug } = this.#options;
    return connectRemote(
      { config, session: this.session, ...this.#found, workingDir, debug },
      cleanup,
      log.child({ module: 'resource', ctx: 'SSH' }),
    );
  }

  /** A brick may never accept a mount that came right after another one, because it takes it for the earlier client. A
   *  second mount shows whether bricks are really down. */
  async #mount(registry: string, extraParams: readonly string[], signal: AbortSignal): Promise<AuxMount> {
    const log = this.#options.log.child({ module: 'resource', ctx: 'GLUSTER' });
    log.info('Mounting gluster volume locally...');
    const startMs = performance.now();
    let mount = await this.#mountOnce(registry, extraParams, signal);
    if (mount.subvolumes === 'partly up' && !this.#wereBricksDown) {
      await mount.close();
      mount = await this.#mountOnce(registry, extraParams, signal);
    }
    this.#wereBricksDown = mount.subvolumes === 'partly up';
    if (this.#wereBricksDown) log.error('Subvols are not up');
    log.info('Mounted gluster volume', { duration: ((performance.now() - startMs) / 1000).toFixed(4) });
    return mount;
  }

  async #mountOnce(registry: string, extraParams: readonly string[], signal: AbortSignal): Promise<AuxMount> {
    const { config } = this.#options;
    return AuxMount.mount({
      glusterCommandDir: config.get('gluster-command-dir'),
      params: [...splitWords(config.get('gluster-params')), ...extraParams],
      volfileServer: 'localhost',
      volume: this.session.primary,
      logFile: config.get('gluster-log-file'),
      logLevel: config.get('gluster-log-level'),
      timeoutMs: config.get('connection-timeout') * 1000,
      directoryPrefix: join(
        await mountHome([config.get('gluster-rundir'), config.get('glusterd-workdir')]),
        'gsyncd-aux-mount-',
      ),
      registry,
      spawnChild: (argv) => spawnDaemonChild(argv),
      signal,
    });
  }

  #shared(remote: Remote, mountDir: () => string): SharedOptions {
    const { config } = this.#options;
    const brick = this.#brick;
    return {
      xattrs: config.get('sync-xattrs'),
      acls: config.get('sync-acls'),
      target: remote.target,
      // A file of another brick cannot be checked here, and may have xattrs.
      hasAttributes: async (gfid) => (await brick.fileOf(gfid)) === null || brick.gfidHasXattrs(gfid),
      mountDir,
      log: this.#options.log.child({ module: 'resource', ctx: 'SSH' }),
    };
  }

  #rsync(remote: Remote, mountDir: () => string): RsyncTransfer {
    const { config } = this.#options;
    const shared = this.#shared(remote, mountDir);
    return new RsyncTransfer({
      ...shared,
      holeEngine: new TarsshTransfer({ ...shared, command: config.get('tar-command'), sshArgv: tarSsh(config) }),
      command: config.get('rsync-command'),
      userOptions: splitWords(config.get('rsync-options')),
      sshArgv: rsyncSsh(config, remote.controlOptions),
      existing: config.get('rsync-opt-existing'),
      ignoreMissingArgs: config.get('rsync-opt-ignore-missing-args'),
      logPerformance: () => config.getLive('log-rsync-performance'),
    });
  }

  #engines(
    mountSelector: MountSelector,
    content: BrickContent,
    remote: Remote,
    sshOfTar: readonly string[],
  ): PrimaryDeps['engines'] {
    const { config } = this.#options;
    const mountDir = (): string => mountSelector.mountDir();
    const rsync = this.#rsync(remote, mountDir);
    const shared = this.#shared(remote, mountDir);
    const maxFileBytes =
      remote.features.acceptsFiles && config.get('rsync-options') === '' ? config.get('small-file-size') : 0;
    const find = (gfid: Gfid): Promise<FoundFile | null> => findFile(gfid, { brick: this.#brick, content, mountDir });
    const withSmall = (engine: DataEngine): DataEngine =>
      maxFileBytes === 0 ? engine : withSmallFiles(engine, { calls: remote.calls, maxFileBytes, find });
    const attributes = new AttributesTransfer({ rsync, brick: this.#brick });
    return {
      rsync: () => withSmall(rsync),
      tarssh: () =>
        withSmall(
          new TarsshTransfer({ ...shared, command: config.get('tar-command'), sshArgv: sshOfTar, attributes: rsync }),
        ),
      attributes: () => attributes,
    };
  }
}

/** The secondary's host is spelled as on the command line, as in stock's events. */
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
  const failureListMark = new FailureListMark(mount, session);
  return {
    lstat: (path) => mount.lstat(path),
    readlink: (path) => mount.readlink(path),
    gfidOf: (path) => mount.gfidOf(path),
    setXtime: (path, volumeUuid, mark) => mount.setXtime(path, volumeUuid, mark),
    nativeVolumeInfo: () => nativeVolumeInfo(mount.dir),
    foreignVolumeInfos: () => foreignVolumeInfos(mount.dir, session.localPath),
    nodeUuids: () => nodeUuids(mount.dir),
    isReplicated: () => isReplicated(mount.dir),
    clusterStime: (volumeUuid) => clusterStime(mount.dir, volumeUuid, session.secondaryId),
    announceFailures: (hasFailures) => failureListMark.announce(hasFailures),
    bricksWithFailures: () => failureListMark.findOthers(),
  };
}

/** Reports early, and in one line, errors that would otherwise appear late and in many lines. */
async function preflight(config: Config, session: Session, brick: Brick): Promise<void> {
  if ((await brick.volumeId()) === null) {
    throw new GsyncdError(`brick ${session.localPath}: not a brick of a Gluster volume`, { code: 'preflight' });
  }
  await findProgram(splitWords(config.get('ssh-command'))[0] ?? 'ssh');
  await findProgram(config.get('sync-method') === 'tarssh' ? config.get('tar-command') : config.get('rsync-command'));
}
