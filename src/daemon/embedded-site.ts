// The site of a worker whose primary and secondary are plain directories of this machine: `file:///a` to `file:///b`.
// The recorder keeps the primary's journals while the worker runs; data travels by rsync or tar without ssh. Used by
// the worker command.

import { join } from 'node:path';
import { ChangelogAgent } from '../changelog/agent.js';
import type { Config } from '../config/config.js';
import { splitWords } from '../config/words.js';
import { directCalls } from '../embedded/direct-calls.js';
import { EmbeddedVolume } from '../embedded/secondary-volume.js';
import { embeddedPrimary } from '../embedded/brick.js';
import { handlePath, openLayout, type BrickLayout } from '../embedded/layout.js';
import { LocalAttributes, LocalDataEngine, type LocalPaths } from '../embedded/local-engines.js';
import { Recorder } from '../embedded/recorder.js';
import { errorLine, GsyncdError } from '../errors.js';
import type { EventSubject } from '../gluster/events.js';
import type { RootLog } from '../log.js';
import { tryLock } from '../native/locks.js';
import type { PrimaryDeps, Session } from '../primary/deps.js';
import { Freshness } from '../primary/freshness.js';
import { RsyncTransfer } from '../primary/rsync-transfer.js';
import { TarsshTransfer } from '../primary/tarssh-transfer.js';
import { RemoteSecondary } from '../rpc/remote-secondary.js';
import { secondaryMethods } from '../secondary/methods.js';
import { findProgram } from '../process/program.js';
import type { Cleanup } from './cleanup.js';
import type { FindSite, OpenSite, Site } from './site.js';

export interface EmbeddedSiteOptions {
  readonly primaryPath: string;
  readonly secondaryPath: string;
  readonly config: Config;
  readonly log: RootLog;
  /** Longest time between two rollovers of the primary's journals. */
  readonly rolloverMs: number;
}

export function embeddedSite(options: EmbeddedSiteOptions): FindSite {
  return async () => {
    const { config } = options;
    const primary = await openLayout(options.primaryPath);
    const secondary = await openLayout(options.secondaryPath);
    if (`${secondary.root}/`.startsWith(`${primary.root}/`) || `${primary.root}/`.startsWith(`${secondary.root}/`)) {
      throw new GsyncdError(`directories ${primary.root} and ${secondary.root}: one holds the other`, { code: 'preflight', retryable: false });
    }
    await findProgram(config.get('sync-method') === 'tarssh' ? config.get('tar-command') : config.get('rsync-command'));
    return new EmbeddedSite(options, primary, secondary);
  };
}

class EmbeddedSite implements Site {
  readonly session: Session;
  readonly eventSubject: EventSubject;
  readonly #options: EmbeddedSiteOptions;
  readonly #primary: BrickLayout;
  readonly #secondary: BrickLayout;

  constructor(options: EmbeddedSiteOptions, primary: BrickLayout, secondary: BrickLayout) {
    this.#options = options;
    this.#primary = primary;
    this.#secondary = secondary;
    this.session = {
      primary: primary.root,
      secondaryVolume: secondary.root,
      secondaryHost: 'localhost',
      localPath: primary.root,
      localNode: 'localhost',
      localNodeId: primary.identity.nodeId,
      subvolNum: 1,
      hotTier: false,
      resourceRemote: 'localhost',
      secondaryId: secondary.identity.volumeId,
    };
    const { localNode: node, localNodeId: nodeId, localPath: brickPath, ...names } = this.session;
    this.eventSubject = { primary: names.primary, node, nodeId, secondaryHost: names.secondaryHost, secondaryVolume: names.secondaryVolume, brickPath };
  }

  async open(workingDir: string, cleanup: Cleanup, signal: AbortSignal): Promise<OpenSite> {
    const { config, log, rolloverMs } = this.#options;
    for (const { stateDir, root } of [this.#primary, this.#secondary]) await takeDirectory(stateDir, root, cleanup);
    const volume = new EmbeddedVolume(this.#secondary, log.child({ module: 'resource', ctx: 'SECONDARY' }));
    const recorder = new Recorder({ layout: this.#primary, log: log.child({ module: 'recorder' }), rolloverMs });
    cleanup.add('recorder', () => recorder.close());
    await recorder.open();
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
    return {
      ...embeddedPrimary(this.#primary, recorder, this.session.secondaryId),
      secondary: this.#secondaryOf(volume, signal),
      agent,
      engines: this.#engines(recorder, volume),
      freshness: new Freshness({ cached: this.#primary.internal, uncached: this.#primary.internal }),
      peerNames: 'bytes',
      broken: [
        recording.then(
          () => new Promise<never>(() => undefined),
          (error: unknown) => Promise.reject<never>(new GsyncdError(`record changes: ${errorLine(error)}`, { code: 'changelog', cause: error })),
        ),
      ],
    };
  }

  /** The handlers of the secondary's daemon, in this process. */
  #secondaryOf(volume: EmbeddedVolume, signal: AbortSignal): RemoteSecondary {
    const log = this.#options.log.child({ module: 'resource', ctx: 'SECONDARY' });
    const methods = secondaryMethods({ volume, distributionCount: 1, markSpace: this.#secondary.xattrs === 'trusted' ? 'trusted' : 'system', log, signal });
    return new RemoteSecondary(directCalls(methods, (method, error) => log.error('call failed', { method, error })));
  }

  #engines(recorder: Recorder, volume: EmbeddedVolume): PrimaryDeps['engines'] {
    const { config } = this.#options;
    const log = this.#options.log.child({ module: 'resource', ctx: 'LOCAL' });
    const paths: LocalPaths = {
      primary: (gfid) => {
        const node = recorder.index.nodes.get(gfid);
        const path = node?.children === null ? null : recorder.index.pathOf(gfid);
        if (node === undefined) return null;
        return path === null ? handlePath(this.#primary, gfid) : join(this.#primary.root, path);
      },
      secondary: (gfid) => volume.pathOf(gfid),
    };
    const attributes = new LocalAttributes(paths);
    const shared = {
      xattrs: false,
      acls: false,
      sshArgv: [],
      target: { address: null, directory: this.#secondary.internal },
      mountDir: () => this.#primary.internal,
      log,
    };
    const rsync = new RsyncTransfer({
      ...shared,
      command: config.get('rsync-command'),
      userOptions: [...splitWords(config.get('rsync-options')), ...ownerOptions()],
      existing: config.get('rsync-opt-existing'),
      ignoreMissingArgs: config.get('rsync-opt-ignore-missing-args'),
      logPerformance: () => config.getLive('log-rsync-performance'),
    });
    const tar = new TarsshTransfer({ ...shared, command: config.get('tar-command'), attributes: undefined });
    return {
      rsync: () => new LocalDataEngine(rsync, attributes, paths),
      tarssh: () => new LocalDataEngine(tar, attributes, paths),
      attributes: () => attributes,
    };
  }
}

/** An ordinary user's rsync cannot give files away: without this it would call that a failure, each time. */
function ownerOptions(): string[] {
  return process.geteuid?.() === 0 ? [] : ['--no-super'];
}

/** One worker at a time may record a directory, or write to it. */
async function takeDirectory(stateDir: string, root: string, cleanup: Cleanup): Promise<void> {
  const lock = await tryLock(join(stateDir, 'lock'));
  if (lock === null) throw new GsyncdError(`directory ${root}: in use by another worker`, { code: 'preflight' });
  cleanup.add('lock', () => lock.release());
}
