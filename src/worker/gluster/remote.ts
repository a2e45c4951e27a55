// The connection to the secondary's gsyncd. ssh runs with a control socket that rsync's ssh shares; the RPC uses its pipes.
// Also the handshake, and the directory to which engines send data.

import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../../config/config.js';
import { splitWords } from '../../config/words.js';
import { errorLine, GsyncdError, isGsyncdError } from '../../errors.js';
import { queryVolumeInfo } from '../../gluster/volinfo.js';
import type { Log } from '../../log.js';
import type { Session } from '../../primary/deps.js';
import { spawnDaemonChild, spawnPipe, type PipeChild } from '../../process/spawn.js';
import { lastLines } from '../../process/tail.js';
import { RepceClient, type PeerCalls } from '../../rpc/client.js';
import { RemoteCallError } from '../../rpc/errors.js';
import type { PeerFeatures } from '../../rpc/features.js';
import { handshake, type Handshake } from '../../rpc/handshake.js';
import { SequentialCalls } from '../../rpc/one-call.js';
import { RemoteSecondary } from '../../rpc/remote-secondary.js';
import type { DataTarget } from '../../protocol/data-target.js';
import type { Secondary } from '../../protocol/secondary.js';
import type { Cleanup } from '../../async/cleanup.js';
import { makeControlDir } from './control-dir.js';
import { sshRunner, sshArgv } from '../session.js';
import { withAvailabilityChecks } from './availability-checks.js';

const CALL_TIMEOUT_MS = 120_000;
/** Number of lines of ssh's stderr that are kept to report why it ended. */
const STDERR_LINES = 20;
/** The monitor kills a worker whose start takes longer than connection-timeout. */
const VOLUME_INFO_TIMEOUT_S = 15;

export interface Remote {
  readonly secondary: Secondary;
  /** For methods that only some peers have. */
  readonly calls: PeerCalls;
  readonly target: DataTarget;
  /** Abilities of the peer beyond those of a stock peer. */
  readonly features: PeerFeatures;
  /** Options that make another ssh share this connection. */
  readonly controlOptions: readonly string[];
  /** Directory of this worker's control sockets. */
  readonly controlDir: string;
  /** Resolves when the connection has ended, with a one-line reason. */
  readonly ended: Promise<string>;
}

export interface RemoteOptions {
  readonly config: Config;
  readonly session: Session;
  readonly resourceRemoteId: string;
  /** Number of subvolumes of the primary. Default: the number that a monitor has recorded. */
  readonly distributionCount?: number;
  /** The tree to serve there, when it is not the session's volume: one word of the remote shell. */
  readonly secondary?: string;
  /** The brick's; records what a killed worker leaves. */
  readonly workingDir: string;
  readonly debug: boolean;
}

/** Starts the secondary's gsyncd over ssh and performs the handshake.
 *  @throws GsyncdError 'peer' with the last line of ssh's stderr when it fails */
export async function connectRemote(
  {
    config,
    session,
    resourceRemoteId,
    distributionCount = config.get('primary-distribution-count'),
    secondary,
    workingDir,
    debug,
  }: RemoteOptions,
  cleanup: Cleanup,
  log: Log,
): Promise<Remote> {
  log.info('Initializing SSH connection between primary and secondary...');
  const startMs = performance.now();
  const control = await makeControlDir(workingDir);
  cleanup.add('ssh control directory', () => control.close());
  if (control.removed !== undefined)
    log.info('removed the ssh control directory of a worker that was killed', { path: control.removed });
  // A socket's path is limited to 108 bytes, and rsync's ssh adds to it.
  const name = createHash('sha256')
    .update(`${session.resourceRemote} ${session.secondaryVolume}`)
    .digest('hex')
    .slice(0, 32);
  const controlOptions = ['-oControlMaster=auto', '-S', join(control.dir, `${name}.sock`)];

  const argv = [
    ...sshArgv(config),
    ...controlOptions,
    session.resourceRemote,
    ...secondaryArgv({
      config,
      session,
      resourceRemoteId,
      distributionCount,
      debug,
      secondary: secondary ?? `${session.secondaryHost}::${session.secondaryVolume}`,
    }),
  ];
  let stderrLines: readonly string[] = [];
  const child = await spawnPipe(argv, {
    onStderrLine: (line) => (stderrLines = [...stderrLines, line].slice(-STDERR_LINES)),
  });
  cleanup.add('ssh', () => child.close());
  const client = new RepceClient({
    input: child.stdout,
    output: child.stdin,
    peerFailure: () => lastLines(stderrLines.join('\n')),
  });
  cleanup.add('rpc', () => Promise.resolve(client.close()));
  const ended = child.exited.then(({ code, signal, stderrTail }) => {
    return `ssh ${session.resourceRemote}: ${lastLines(stderrTail) || `ended with ${signal ?? `exit code ${code}`}`}`;
  });
  const { pid, features } = await performHandshake(client, child, ended, config.get('connection-timeout') * 1000);
  log.info('SSH connection between primary and secondary established.', {
    duration: ((performance.now() - startMs) / 1000).toFixed(4),
  });
  // A peer without lanes takes one call at a time, as a stock one. Keepalives go twice per secondary-timeout.
  const calls = features.lanes === null ? new SequentialCalls(client, config.get('secondary-timeout') * 250) : client;
  const peer = new RemoteSecondary(calls, { callTimeoutMs: CALL_TIMEOUT_MS });
  return {
    secondary:
      secondary !== undefined || features.answers === 'sure'
        ? peer
        : await addAvailabilityChecks(peer, { config, session, controlOptions, log }),
    calls,
    features,
    // The secondary keeps its mount reachable, so this link's text is the mount point itself.
    target: { address: session.resourceRemote, directory: `/proc/${pid}/cwd` },
    controlOptions,
    controlDir: control.dir,
    ended,
  };
}

/** The secondary reads no config file, so the command line carries its options. `--secondary-access-mount` is always set:
 *  rsync >= 3.4 resolves its target by text, and finds `/` at a mount that was lazily unmounted. */
function secondaryArgv({
  config,
  session,
  resourceRemoteId,
  distributionCount,
  secondary,
  debug,
}: Required<Omit<RemoteOptions, 'workingDir'>>): string[] {
  const program = config.get('remote-gsyncd');
  const reader = program === '' ? 'forced command' : 'shell';
  return [
    program || '/nonexistent/gsyncd',
    'secondary',
    ...(config.get('use-rsync-xattrs') ? ['--use-rsync-xattrs'] : []),
    quoteRemoteWord(session.primary, reader),
    secondary,
    ...['--primary-node', session.localNode],
    ...['--primary-node-id', session.localNodeId],
    ...['--primary-brick', quoteRemoteWord(session.localPath, reader)],
    ...['--local-node', session.resourceRemote.slice(session.resourceRemote.lastIndexOf('@') + 1)],
    ...['--local-node-id', resourceRemoteId || 'unknown'],
    ...['--secondary-timeout', String(config.get('secondary-timeout'))],
    ...['--secondary-log-level', config.get('secondary-log-level')],
    ...['--secondary-gluster-log-level', config.get('secondary-gluster-log-level')],
    ...['--secondary-gluster-command-dir', config.get('secondary-gluster-command-dir')],
    ...['--primary-dist-count', String(distributionCount)],
    '--secondary-access-mount',
    ...(debug ? ['--debug'] : []),
  ];
}

/** `text` as one word of the command that sshd starts. The secondary only shows it and names logs after it. Unless
 *  remote-gsyncd names a program, a forced command reads the line. It splits at spaces and knows no quotes, so quotes would
 *  become part of the word. */
export function quoteRemoteWord(text: string, reader: 'forced command' | 'shell'): string {
  return reader === 'shell' ? quoteShellWord(text) : text.replaceAll(/\s/g, '_');
}

/** `text` as one word of the shell that sshd starts. */
export function quoteShellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Adds availability checks, because a distributed volume with a subvolume down returns partial results. The worker asks
 *  the cluster over the open connection, because the host that the session names may be down. */
async function addAvailabilityChecks(
  peer: RemoteSecondary,
  {
    config,
    session,
    controlOptions,
    log,
  }: Pick<RemoteOptions, 'config' | 'session'> & Pick<Remote, 'controlOptions'> & { log: Log },
): Promise<Secondary> {
  const volume = session.secondaryVolume;
  const timeoutS = Math.min(VOLUME_INFO_TIMEOUT_S, config.get('connection-timeout') / 2);
  const run = sshRunner(config, session.resourceRemote, new AbortController().signal, controlOptions, timeoutS);
  const subvolumesUp = async (): Promise<number> => (await peer.nodeUuids()).length;
  try {
    const { distributionCount: subvolumes } = await queryVolumeInfo(
      run,
      volume,
      config.get('secondary-gluster-command-dir'),
    );
    if (subvolumes > 1) await subvolumesUp();
    return withAvailabilityChecks(peer, { subvolumesUp, subvolumes, volume });
  } catch (error) {
    if (isGsyncdError(error, 'peer')) throw error;
    // The whole volume is down now. Later only some of its subvolumes may come up.
    if (error instanceof RemoteCallError && error.errno === constants.errno.ENOTCONN)
      throw new GsyncdError(`secondary volume ${volume}: ${errorLine(error)}`, { code: 'peer', cause: error });
    log.warn('cannot determine the state of the secondary volume', { error: errorLine(error) });
    return peer;
  }
}

async function performHandshake(
  client: RepceClient,
  child: PipeChild,
  ended: Promise<string>,
  timeoutMs: number,
): Promise<Handshake> {
  try {
    return await handshake(client, { timeoutMs });
  } catch (error) {
    if (!isGsyncdError(error, 'peer')) throw error;
    // The pipe breaks a moment before ssh has reported why.
    const reason = await Promise.race([
      ended,
      new Promise<null>((resolve) => setTimeout(resolve, 2_000, null).unref()),
    ]);
    await child.close();
    throw new GsyncdError(`connect to secondary: ${reason ?? errorLine(error)}`, { code: 'peer', cause: error });
  }
}

export function rsyncSsh(config: Config, controlOptions: readonly string[]): string[] {
  return [...sshArgv(config), ...controlOptions, ...splitWords(config.get('rsync-ssh-options'))];
}

/** The ssh command line of tar, whose key has a separate forced command. */
export function tarSsh(config: Config): string[] {
  return [
    ...splitWords(config.get('ssh-command')),
    ...splitWords(config.get('ssh-options-tar')),
    '-p',
    String(config.get('ssh-port')),
  ];
}

/** The ssh command line of tar over one shared connection, which is opened here. Otherwise the transfer of each PostBox
 *  would open one. While the shared one is not up, each transfer's ssh connects by itself. */
export async function sharedTarSsh(
  config: Config,
  { target, controlDir }: Pick<Remote, 'target' | 'controlDir'>,
  cleanup: Cleanup,
): Promise<string[]> {
  if (target.address === null) return tarSsh(config);
  const socket = ['-S', join(controlDir, 'tar.sock')];
  const master = await spawnDaemonChild(
    [...tarSsh(config), '-oControlMaster=yes', ...socket, '-N', target.address],
    'stops',
  );
  // The master holds no resources, so the clean-up need not wait for its end.
  cleanup.add('ssh of tar', () => Promise.resolve(master.kill('SIGTERM')));
  return [...tarSsh(config), '-oControlMaster=no', ...socket];
}
