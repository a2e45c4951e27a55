// Endpoints of a worker whose primary and secondary are plain directories: `file:///a` to `file:///b`, or to a directory of
// another machine (remote.ts). The recorder writes the primary's changelogs while the worker runs. rsync or tar transfers
// the data, on one machine without ssh.

import { ChangelogAgent } from '../../changelog/agent.js';
import type { Config } from '../../config/config.js';
import { splitWords } from '../../config/words.js';
import { directCalls } from '../../embedded/direct-calls.js';
import { EmbeddedVolume } from '../../embedded/secondary-volume.js';
import { embeddedPrimary } from '../../embedded/brick.js';
import { openLayout, type BrickLayout } from '../../embedded/layout.js';
import { LocalAttributes, LocalDataEngine, type LocalPaths } from '../../embedded/local-engines.js';
import { Recorder } from '../../embedded/recorder.js';
import { withUnlinkReason } from '../../embedded/unlinked-files.js';
import { errorLine, GsyncdError } from '../../errors.js';
import type { EventSubject } from '../../gluster/events.js';
import type { RootLog } from '../../log.js';
import type { PrimaryDeps, Session } from '../../primary/deps.js';
import { MountSelector } from '../../primary/mount-selector.js';
import { RsyncTransfer } from '../../primary/transfer/rsync-transfer.js';
import { TarsshTransfer } from '../../primary/transfer/tarssh-transfer.js';
import type { DataEngine } from '../../queue/engine.js';
import { RemoteSecondary } from '../../rpc/remote-secondary.js';
import { secondaryMethods } from '../../secondary/methods.js';
import { findProgram } from '../../process/program.js';
import type { Cleanup } from '../../async/cleanup.js';
import { identifyRemote, openRemoteDirectory, type RemoteDirectory } from './remote.js';
import type { SshLocation } from './file-url.js';
import type { RemoteParts, FindEndpoints, OpenEndpoints, Endpoints } from '../endpoints.js';
import { lockDirectory } from '../../embedded/take-directory.js';

export interface DirectoryEndpointsOptions {
  readonly primaryPath: string;
  readonly secondary: { readonly path: string } | SshLocation;
  readonly debug: boolean;
  readonly config: Config;
  readonly log: RootLog;
  /** Longest time between two rollovers of the primary's changelogs. */
  readonly rolloverMs: number;
}

/** The secondary: a directory of this machine or of another one. */
type SecondarySide = { readonly local: BrickLayout } | { readonly remote: RemoteDirectory };

export function directoryEndpoints(options: DirectoryEndpointsOptions): FindEndpoints {
  return async (signal) => {
    const { config } = options;
    const primary = await openLayout(options.primaryPath);
    await findProgram(config.get('sync-method') === 'tarssh' ? config.get('tar-command') : config.get('rsync-command'));
    if ('address' in options.secondary)
      return new DirectoryEndpoints(options, primary, {
        remote: await identifyRemote(config, options.secondary, primary.root, signal),
      });
    const secondary = await openLayout(options.secondary.path);
    if (`${secondary.root}/`.startsWith(`${primary.root}/`) || `${primary.root}/`.startsWith(`${secondary.root}/`)) {
      throw new GsyncdError(`directories ${primary.root} and ${secondary.root}: one contains the other`, {
        code: 'preflight',
      });
    }
    return new DirectoryEndpoints(options, primary, { local: secondary });
  };
}

class DirectoryEndpoints implements Endpoints {
  readonly session: Session;
  readonly eventSubject: EventSubject;
  readonly #options: DirectoryEndpointsOptions;
  readonly #primary: BrickLayout;
  readonly #secondary: SecondarySide;
  #recorder: Recorder | undefined;

  constructor(options: DirectoryEndpointsOptions, primary: BrickLayout, side: SecondarySide) {
    this.#options = options;
    this.#primary = primary;
    this.#secondary = side;
    const secondary =
      'local' in side
        ? {
            secondaryVolume: side.local.root,
            secondaryHost: 'localhost',
            resourceRemote: 'localhost',
            secondaryId: side.local.identity.volumeId,
          }
        : {
            secondaryVolume: side.remote.path,
            secondaryHost: side.remote.host,
            resourceRemote: side.remote.address,
            secondaryId: side.remote.volumeId,
          };
    this.session = {
      primary: primary.root,
      localPath: primary.root,
      localNode: 'localhost',
      localNodeId: primary.identity.nodeId,
      subvolNum: 1,
      hotTier: false,
      ...secondary,
    };
    const { localNode: node, localNodeId: nodeId, localPath: brickPath, ...names } = this.session;
    this.eventSubject = {
      primary: names.primary,
      node,
      nodeId,
      secondaryHost: names.secondaryHost,
      secondaryVolume: names.secondaryVolume,
      brickPath,
    };
  }

  /** Number of entries that the recorder has indexed, without the root. */
  estimateEntries(): Promise<number | null> {
    return Promise.resolve(this.#recorder === undefined ? null : this.#recorder.index.nodes.size - 1);
  }

  async open(workingDir: string, cleanup: Cleanup, signal: AbortSignal): Promise<OpenEndpoints> {
    const { config, log, rolloverMs, debug } = this.#options;
    await lockDirectory(this.#primary, cleanup, signal);
    const brickLog = log.child({ module: 'resource', ctx: 'SECONDARY' });
    const recorder = new Recorder({ layout: this.#primary, log: log.child({ module: 'recorder' }), rolloverMs });
    cleanup.add('recorder', () => recorder.close());
    await recorder.open();
    this.#recorder = recorder;
    const stop = new AbortController();
    const recording = recorder.run(AbortSignal.any([signal, stop.signal]));
    cleanup.add('recording', () => {
      stop.abort();
      return recording.catch(() => undefined);
    });
    const agent = new ChangelogAgent({
      changelogDir: this.#primary.changelogDir,
      workingDir,
      changeIntervalMs: config.get('change-interval') * 1000,
    });
    const primary = embeddedPrimary(this.#primary, recorder, this.session.secondaryId);
    const secondaryParts =
      'local' in this.#secondary
        ? await this.#openLocal(this.#secondary.local, recorder, cleanup, signal)
        : await openRemoteDirectory(
            {
              config,
              session: this.session,
              workingDir,
              debug,
              directory: this.#secondary.remote,
              primary: this.#primary,
              brick: primary.brick,
              paths: primaryPaths(recorder),
              log: brickLog,
            },
            cleanup,
          );
    const explained = (engine: DataEngine): DataEngine =>
      withUnlinkReason(engine, (gfid) => recorder.unlinkReason(gfid));
    const failed = recording.then(
      () => new Promise<never>(() => undefined),
      (error: unknown) =>
        Promise.reject<never>(
          new GsyncdError(`record changes: ${errorLine(error)}`, { code: 'changelog', cause: error }),
        ),
    );
    return {
      ...primary,
      ...secondaryParts,
      engines: {
        ...secondaryParts.engines,
        rsync: () => explained(secondaryParts.engines.rsync()),
        tarssh: () => explained(secondaryParts.engines.tarssh()),
      },
      agent,
      hasMounts: false,
      mountSelector: new MountSelector({ cached: this.#primary.internal, uncached: this.#primary.internal }),
      broken: [failed, ...secondaryParts.broken],
    };
  }

  async #openLocal(
    secondary: BrickLayout,
    recorder: Recorder,
    cleanup: Cleanup,
    signal: AbortSignal,
  ): Promise<RemoteParts> {
    await lockDirectory(secondary, cleanup, signal);
    const volume = new EmbeddedVolume(secondary, this.#options.log.child({ module: 'resource', ctx: 'SECONDARY' }));
    return {
      secondary: this.#secondaryOf(secondary, volume, signal),
      engines: this.#engines(secondary, recorder, volume),
      peerNames: 'bytes',
      broken: [],
    };
  }

  /** Calls the handlers of the secondary's daemon in this process. */
  #secondaryOf({ xattrs }: BrickLayout, volume: EmbeddedVolume, signal: AbortSignal): RemoteSecondary {
    const log = this.#options.log.child({ module: 'resource', ctx: 'SECONDARY' });
    const methods = secondaryMethods({
      volume,
      distributionCount: 1,
      markSpace: xattrs === 'trusted' ? 'trusted' : 'system',
      log,
      signal,
    });
    return new RemoteSecondary(directCalls(methods, (method, error) => log.error('call failed', { method, error })));
  }

  #engines(secondary: BrickLayout, recorder: Recorder, volume: EmbeddedVolume): PrimaryDeps['engines'] {
    const { config } = this.#options;
    const log = this.#options.log.child({ module: 'resource', ctx: 'LOCAL' });
    const paths: LocalPaths = {
      ...primaryPaths(recorder),
      secondary: (gfid, use) => volume.onInode(gfid, use),
    };
    const attributes = new LocalAttributes(paths, { xattrs: config.get('sync-xattrs'), acls: config.get('sync-acls') });
    const shared = {
      // LocalAttributes copies them beside the transfer.
      xattrs: false,
      acls: false,
      hasAttributes: () => Promise.resolve(false),
      sshArgv: [],
      target: { address: null, directory: secondary.internal },
      mountDir: () => this.#primary.internal,
      log,
    };
    const tar = new TarsshTransfer({ ...shared, command: config.get('tar-command') });
    const rsync = new RsyncTransfer({
      ...shared,
      holeEngine: tar,
      command: config.get('rsync-command'),
      userOptions: [...splitWords(config.get('rsync-options')), ...ownerOptions()],
      existing: config.get('rsync-opt-existing'),
      ignoreMissingArgs: config.get('rsync-opt-ignore-missing-args'),
      logPerformance: () => config.getLive('log-rsync-performance'),
    });
    return {
      rsync: () => new LocalDataEngine(rsync, attributes, paths),
      tarssh: () => new LocalDataEngine(tar, attributes, paths),
      attributes: () => attributes,
    };
  }
}

function primaryPaths(recorder: Recorder): Pick<LocalPaths, 'primary' | 'primaryIno'> {
  return {
    primary: (gfid, use) => recorder.onInode(gfid, use),
    primaryIno: (gfid) => recorder.index.nodes.get(gfid)?.look?.ino ?? null,
  };
}

/** Without --no-super, an ordinary user's rsync reports a failure each time, because it cannot give files away. */
function ownerOptions(): string[] {
  return process.geteuid?.() === 0 ? [] : ['--no-super'];
}
