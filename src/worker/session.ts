// Completes a worker's arguments. Values from the monitor are taken unchanged. Missing ones are found in the information of
// the volumes, here and over ssh.

import { readFile } from 'node:fs/promises';
import type { Config } from '../config/config.js';
import { splitWords } from '../config/words.js';
import { GsyncdError } from '../errors.js';
import {
  subvolNumber,
  queryVolumeInfo,
  type CommandOutput,
  type RunCommand,
  type VolumeInfo,
} from '../gluster/volinfo.js';
import { withoutTrailingSlashes } from '../names.js';
import type { Session } from '../primary/deps.js';
import { runChild, type ChildResult } from '../process/spawn.js';
import { lastLines } from '../process/tail.js';

export interface WorkerArgs {
  readonly primary: string;
  /** `[USER@]HOST::VOLUME` */
  readonly secondary: string;
  readonly localPath?: string;
  readonly localNode?: string;
  readonly localNodeId?: string;
  readonly subvolNum?: number;
  readonly hotTier: boolean;
  /** The brick has left the volume. */
  readonly isRemoved?: boolean;
  readonly resourceRemote?: string;
  readonly resourceRemoteId?: string;
  readonly secondaryId?: string;
}

export interface SecondaryName {
  readonly user: string;
  readonly host: string;
  readonly volume: string;
}

/** Parts of `[USER@]HOST::VOLUME`. @throws GsyncdError 'usage' */
export function parseSecondary(text: string): SecondaryName {
  const match = /^(?:ssh:\/\/)?(?:([^@:/]+)@)?([^@/]+?)::([^:/]+)(?::[^:]*)?$/.exec(text);
  if (match === null) throw new GsyncdError(`secondary: ${text}: must be [USER@]HOST::VOLUME`, { code: 'usage' });
  return { user: match[1] ?? 'root', host: match[2] ?? '', volume: match[3] ?? '' };
}

/** An ssh command line up to the host. */
export function sshArgv(config: Config): string[] {
  return [
    ...splitWords(config.get('ssh-command')),
    ...splitWords(config.get('ssh-options')),
    '-p',
    String(config.get('ssh-port')),
  ];
}

/** A session and other values that were found with it. */
export interface FoundSession {
  readonly session: Session;
  /** Uuid of the secondary's node; only the names of the peer's logs need it. */
  readonly resourceRemoteId: string;
  /** Subvolumes of the primary. Undefined when all arguments were given, as by a monitor, which records the number in the
   *  config. */
  readonly distributionCount: number | undefined;
}

/** Completes `args`.
 *  @throws GsyncdError 'preflight': a volume does not exist, a path is none of its bricks, a host is unreachable */
export async function findSession(args: WorkerArgs, config: Config, signal: AbortSignal): Promise<FoundSession> {
  const { user, host, volume } = parseSecondary(args.secondary);
  const run = localRunner(config, signal);
  let { localPath, localNode, localNodeId, subvolNum } = args;
  let distributionCount: number | undefined;
  if (localPath === undefined || localNode === undefined || localNodeId === undefined || subvolNum === undefined) {
    const info = await queryVolumeInfo(run, args.primary, config.get('gluster-command-dir'));
    if (info.status !== '' && info.status !== 'Started') {
      throw new GsyncdError(`volume ${args.primary}: not started`, { code: 'preflight' });
    }
    ({ distributionCount } = info);
    const nodeId = localNodeId ?? (await readOwnNodeId(config));
    const index = findBrick(info, localPath, nodeId);
    const brick = info.bricks[index];
    localPath ??= brick?.path ?? '';
    localNode ??= brick?.host ?? 'localhost';
    localNodeId = nodeId;
    subvolNum ??= subvolNumber(index, info);
  }
  let { secondaryId, resourceRemote, resourceRemoteId } = args;
  if (secondaryId === undefined || resourceRemote === undefined) {
    const info = await queryVolumeInfo(
      sshRunner(config, `${user}@${host}`, signal),
      volume,
      config.get('secondary-gluster-command-dir'),
    );
    secondaryId ??= info.id;
    resourceRemote ??= host;
    resourceRemoteId ??= info.bricks[0]?.hostUuid ?? '';
  }
  const session: Session = {
    primary: args.primary,
    secondaryVolume: volume,
    secondaryHost: host,
    localPath,
    localNode,
    localNodeId,
    subvolNum,
    hotTier: args.hotTier,
    resourceRemote: resourceRemote.includes('@') ? resourceRemote : `${user}@${resourceRemote}`,
    secondaryId,
  };
  return { session, resourceRemoteId: resourceRemoteId ?? '', distributionCount };
}

function toCommandOutput({ stdout, stderrTail, exitCode }: ChildResult): CommandOutput {
  return { stdout: stdout.toString('utf8'), stderrTail, exitCode };
}

export function localRunner(config: Config, signal: AbortSignal): RunCommand {
  return (argv) => runChild(argv, { signal, timeoutMs: config.get('connection-timeout') * 1000 }).then(toCommandOutput);
}

/** Runs commands at `address` ([USER@]HOST), with additional ssh options. They reject with GsyncdError 'preflight' when it
 *  is unreachable. */
export function sshRunner(
  config: Config,
  address: string,
  signal: AbortSignal,
  options: readonly string[] = [],
  timeoutS = config.get('connection-timeout'),
): RunCommand {
  return async (argv) => {
    const result = await runChild([...sshArgv(config), ...options, address, ...argv], {
      signal,
      timeoutMs: timeoutS * 1000,
    });
    if (result.timedOut) throw new GsyncdError(`ssh ${address}: no answer for ${timeoutS} s`, { code: 'preflight' });
    if (result.exitCode === 255) {
      throw new GsyncdError(`ssh ${address}: ${lastLines(result.stderrTail) || 'connection failed'}`, {
        code: 'preflight',
      });
    }
    return toCommandOutput(result);
  };
}

/** Index of the brick at `path`, or of this node's only brick.
 *  @throws GsyncdError 'preflight', 'usage' */
function findBrick(info: VolumeInfo, path: string | undefined, nodeId: string): number {
  const wanted = path === undefined ? undefined : withoutTrailingSlashes(path);
  const own = info.bricks.flatMap((brick, i) =>
    brick.hostUuid === nodeId && (wanted === undefined || brick.path === wanted) ? [i] : [],
  );
  const [only] = own;
  if (only !== undefined && own.length === 1) return only;
  if (wanted !== undefined)
    throw new GsyncdError(`brick ${wanted}: no brick of volume ${info.name} on this node`, { code: 'preflight' });
  if (only === undefined) throw new GsyncdError(`volume ${info.name}: no brick on this node`, { code: 'preflight' });
  const paths = own.map((i) => info.bricks[i]?.path).join(', ');
  throw new GsyncdError(`--local-path: missing: volume ${info.name} has several bricks on this node: ${paths}`, {
    code: 'usage',
  });
}

/** This node's id in its cluster. @throws GsyncdError 'preflight' */
export async function readOwnNodeId(config: Config): Promise<string> {
  const file = `${config.get('glusterd-workdir')}/glusterd.info`;
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new GsyncdError(`node id: ${file}: cannot be read: is glusterd set up here?`, {
      code: 'preflight',
      cause: error,
    });
  }
  const id = /^UUID=(\S+)$/m.exec(text)?.[1];
  if (id === undefined) throw new GsyncdError(`node id: ${file}: has no UUID line`, { code: 'preflight' });
  return id;
}
