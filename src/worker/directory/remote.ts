// A secondary that is a plain directory of another machine. `gsyncd-ts secondary` serves it behind ssh. rsync or tar sends
// data through ssh into its `.gfid` view. rsync sends attributes of files; calls send those of directories.

import type { Config } from '../../config/config.js';
import { splitWords } from '../../config/words.js';
import { GsyncdError } from '../../errors.js';
import { gfidPath, type Gfid } from '../../protocol/gfid.js';
import { DirectoryAttributes } from '../../embedded/attributes-call.js';
import type { BrickLayout } from '../../embedded/layout.js';
import type { LocalPaths } from '../../embedded/local-engines.js';
import { PERMISSIONS } from '../../gluster/file-stat.js';
import type { Log } from '../../log.js';
import { AttributesTransfer } from '../../primary/transfer/attributes-transfer.js';
import type { AttributeSender, PrimaryBrick, Session } from '../../primary/deps.js';
import { RsyncTransfer } from '../../primary/transfer/rsync-transfer.js';
import { TarsshTransfer } from '../../primary/transfer/tarssh-transfer.js';
import { tryInode, InodeError } from '../../primary/inode-error.js';
import type { DataEngine } from '../../queue/engine.js';
import type { Secondary } from '../../protocol/secondary.js';
import type { Cleanup } from '../../async/cleanup.js';
import type { SshLocation } from './file-url.js';
import { connectRemote, rsyncSsh, quoteShellWord, tarSsh } from '../gluster/remote.js';
import { sshRunner } from '../session.js';
import type { RemoteParts } from '../endpoints.js';

const OWNER_WRITE = 0o200;

export interface RemoteDirectory extends SshLocation {
  readonly volumeId: string;
  /** User id of the process that writes to it. */
  readonly uid: number;
}

/** Asks the other machine for the id and the user id of its directory.
 *  @throws GsyncdError 'preflight' */
export async function identifyRemote(
  config: Config,
  place: SshLocation,
  primary: string,
  signal: AbortSignal,
): Promise<RemoteDirectory> {
  const argv = [
    config.get('remote-gsyncd'),
    'secondary',
    quoteShellWord(primary),
    quoteShellWord(`file://${place.path}`),
    '--print-id',
  ];
  const { stdout, stderrTail, exitCode } = await sshRunner(config, place.address, signal)(argv);
  if (exitCode !== 0) {
    const last = stderrTail.trim().split('\n').at(-1) ?? '';
    throw new GsyncdError(`secondary on ${place.address}: ${last || `exit code ${exitCode}`}`, { code: 'preflight' });
  }
  try {
    const { volumeId, uid } = JSON.parse(stdout) as { volumeId: string; uid: number };
    return { ...place, volumeId, uid };
  } catch (cause) {
    throw new GsyncdError(`secondary on ${place.address}: ${config.get('remote-gsyncd')} gave no id of ${place.path}`, {
      code: 'preflight',
      cause,
    });
  }
}

export interface RemoteDirectoryOptions {
  readonly config: Config;
  readonly session: Session;
  readonly workingDir: string;
  readonly debug: boolean;
  readonly directory: RemoteDirectory;
  readonly primary: BrickLayout;
  readonly brick: PrimaryBrick;
  readonly paths: Pick<LocalPaths, 'primary' | 'primaryIno'>;
  readonly log: Log;
}

/** @throws GsyncdError 'peer' */
export async function openRemoteDirectory(options: RemoteDirectoryOptions, cleanup: Cleanup): Promise<RemoteParts> {
  const { config, session, workingDir, debug, directory, log } = options;
  const secondary = quoteShellWord(`file://${directory.path}`);
  const remote = await connectRemote(
    { config, session, resourceRemoteId: '', workingDir, debug, secondary },
    cleanup,
    log,
  );
  const { brick, primary } = options;
  const hasAttributes = async (gfid: Gfid): Promise<boolean> => brick.gfidHasXattrs(gfid);
  const shared = {
    xattrs: config.get('sync-xattrs'),
    acls: config.get('sync-acls'),
    target: remote.target,
    hasAttributes,
    mountDir: () => primary.internal,
    log,
  };
  const rsyncOptions = {
    ...shared,
    command: config.get('rsync-command'),
    // Without --no-super, an ordinary user's rsync there reports a failure each time, because it cannot give files away.
    userOptions: [...splitWords(config.get('rsync-options')), ...(directory.uid === 0 ? [] : ['--no-super'])],
    sshArgv: rsyncSsh(config, remote.controlOptions),
    existing: config.get('rsync-opt-existing'),
    ignoreMissingArgs: config.get('rsync-opt-ignore-missing-args'),
    logPerformance: () => config.getLive('log-rsync-performance'),
  };
  const tarOptions = { ...shared, command: config.get('tar-command'), sshArgv: tarSsh(config) };
  const rsync = new RsyncTransfer({ ...rsyncOptions, holeEngine: new TarsshTransfer(tarOptions) });
  const tar = new TarsshTransfer({ ...tarOptions, attributes: rsync });
  const files = new AttributesTransfer({ rsync, brick });
  const attributes = new SplitAttributes(
    files,
    new DirectoryAttributes(remote.calls, options.paths, { xattrs: shared.xattrs, acls: shared.acls }),
  );
  const ensureWritable = (engine: DataEngine): DataEngine =>
    directory.uid === 0 ? engine : makeFilesWritable(engine, brick, remote.secondary);
  return {
    secondary: remote.secondary,
    engines: { rsync: () => ensureWritable(rsync), tarssh: () => ensureWritable(tar), attributes: () => attributes },
    peerNames: remote.features.peerNames,
    broken: [
      remote.ended.then((reason) =>
        Promise.reject<never>(new GsyncdError(`connection to secondary is broken: ${reason}`, { code: 'peer' })),
      ),
    ],
  };
}

/** Sends attributes of files by rsync under their gfids, and those of directories by calls. */
class SplitAttributes implements AttributeSender {
  readonly #files: AttributesTransfer;
  readonly #directories: AttributeSender;

  constructor(files: AttributesTransfer, directories: AttributeSender) {
    this.#files = files;
    this.#directories = directories;
  }

  async sync(gfids: readonly Gfid[], signal?: AbortSignal): ReturnType<AttributeSender['sync']> {
    const dirs = await this.#files.directories(gfids);
    const files = gfids.filter((gfid) => !dirs.has(gfid));
    return new Map([
      ...(await this.#files.sync(files, signal)),
      ...(await this.#directories.sync([...dirs.keys()], signal)),
    ]);
  }
}

/** An ordinary user cannot open its own read-only files for writing. They are made writable for the transfer, which sets
 *  their modes again when it succeeds. */
function makeFilesWritable(engine: DataEngine, brick: PrimaryBrick, secondary: Secondary): DataEngine {
  return {
    name: engine.name,
    sync: async (gfids, options) => {
      const readOnlyModes = new Map<Gfid, number>();
      for (const gfid of gfids) {
        const file = await tryInode(brick.fileOf(gfid));
        if (file === null || file instanceof InodeError || (file.mode & OWNER_WRITE) !== 0) continue;
        readOnlyModes.set(gfid, file.mode & PERMISSIONS);
      }
      const chmod = async (gfid: Gfid, mode: number): Promise<void> => {
        const stat = await secondary.lstat(gfidPath(gfid));
        if (stat !== null) await secondary.setattr(gfidPath(gfid), { mode });
      };
      for (const [gfid, mode] of readOnlyModes) await chmod(gfid, mode | OWNER_WRITE);
      const outcome = await engine.sync(gfids, options);
      for (const [gfid, mode] of readOnlyModes) if (!outcome.synced.has(gfid)) await chmod(gfid, mode);
      return outcome;
    },
  };
}
