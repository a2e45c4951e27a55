// Parses `gluster volume info --xml`: a volume's identity, its bricks in order, and how they form subvolumes.

import { XMLParser } from 'fast-xml-parser';
import { errorLine, GsyncdError } from '../errors.js';
import { commandPath } from './command-path.js';

export interface BrickInfo {
  readonly host: string;
  readonly path: string;
  readonly hostUuid: string;
  readonly isArbiter: boolean;
}

/** The bricks of one tier: how many, and how they form subvolumes. */
export interface TierInfo {
  readonly brickCount: number;
  readonly replicaCount: number;
  readonly disperseCount: number;
  readonly distributionCount: number;
}

export interface VolumeInfo {
  readonly name: string;
  readonly id: string;
  /** As gluster names it: `Distribute`, `Replicate`, `Distributed-Replicate`, `Disperse`, … */
  readonly type: string;
  readonly status: string;
  readonly bricks: readonly BrickInfo[];
  readonly replicaCount: number;
  readonly disperseCount: number;
  readonly arbiterCount: number;
  /** Number of subvolumes that files are distributed over. */
  readonly distributionCount: number;
  /** Set for a tiered volume, which GlusterFS had before 6; its hot bricks come first in `bricks`. */
  readonly tier?: { readonly hot: TierInfo; readonly cold: TierInfo };
  /** Options that were set, as text. */
  readonly options: Readonly<Record<string, string>>;
}

const LIST_TAGS: ReadonlySet<string> = new Set(['volume', 'brick', 'option']);
const parser = new XMLParser({ parseTagValue: false, ignoreAttributes: true, isArray: (name) => LIST_TAGS.has(name) });

type Node = Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function childNode(node: Node, ...path: string[]): Node {
  let at: Node = node;
  for (const name of path) {
    const next = at[name];
    at = isNode(next) ? next : {};
  }
  return at;
}

function childNodes(node: Node, name: string): Node[] {
  const value = node[name];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function childText(node: Node, name: string): string {
  const value = node[name];
  return typeof value === 'string' ? value : '';
}

function childCount(node: Node, name: string): number {
  const value = Number(childText(node, name) || '0');
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** `host:/path`; the host may be an IPv6 address. */
function parseBrick(node: Node): BrickInfo {
  const name = childText(node, 'name');
  const split = name.indexOf(':/');
  return {
    host: name.slice(0, Math.max(split, 0)),
    path: name.slice(split + 1),
    hostUuid: childText(node, 'hostUuid'),
    isArbiter: childText(node, 'isArbiter') === '1',
  };
}

function parseTier(bricks: Node): Pick<VolumeInfo, 'tier'> {
  const [hot, cold] = [childNode(bricks, 'hotBricks'), childNode(bricks, 'coldBricks')];
  const tier = (node: Node, prefix: string): TierInfo => ({
    brickCount: childNodes(node, 'brick').length,
    replicaCount: childCount(node, `${prefix}replicaCount`),
    disperseCount: childCount(node, `${prefix}disperseCount`),
    distributionCount: childCount(node, `${prefix}distCount`),
  });
  return childNodes(hot, 'brick').length === 0 ? {} : { tier: { hot: tier(hot, 'hot'), cold: tier(cold, 'cold') } };
}

/** Parses the command's output, which must describe exactly one volume.
 *  @param name the requested volume, for the messages
 *  @throws GsyncdError preflight: the volume does not exist, gluster refused, or the output is not its XML */
export function parseVolumeInfo(xml: string, name: string): VolumeInfo {
  const fail = (state: string): never => {
    throw new GsyncdError(`volume info: ${name}: ${state}`, { code: 'preflight' });
  };
  let tree: unknown;
  try {
    tree = parser.parse(xml);
  } catch {
    return fail('incomplete output of gluster');
  }
  const root = isNode(tree) ? childNode(tree, 'cliOutput') : {};
  if (childText(root, 'opRet') === '') return fail('not the output of gluster');
  if (childText(root, 'opRet') !== '0')
    return fail(childText(root, 'opErrstr') || `gluster error ${childText(root, 'opErrno')}`);
  const volumes = childNodes(childNode(root, 'volInfo', 'volumes'), 'volume');
  const [volume] = volumes;
  if (volume === undefined) return fail('Volume does not exist');
  if (volumes.length > 1) return fail(`${volumes.length} volumes instead of one`);
  const bricksNode = childNode(volume, 'bricks');
  const bricks = [childNode(bricksNode, 'hotBricks'), childNode(bricksNode, 'coldBricks'), bricksNode]
    .flatMap((node) => childNodes(node, 'brick'))
    .map(parseBrick);
  if (childText(volume, 'id') === '' || bricks.length === 0 || bricks.some((b) => !b.path.startsWith('/')))
    return fail('incomplete output of gluster');
  const options = childNodes(childNode(volume, 'options'), 'option').map(
    (option) => [childText(option, 'name'), childText(option, 'value')] as const,
  );
  const sizes = {
    replicaCount: childCount(volume, 'replicaCount'),
    disperseCount: childCount(volume, 'disperseCount'),
  };
  const tier = parseTier(bricksNode);
  return {
    name: childText(volume, 'name'),
    id: childText(volume, 'id'),
    type: childText(volume, 'typeStr'),
    status: childText(volume, 'statusStr'),
    bricks,
    ...sizes,
    arbiterCount: childCount(volume, 'arbiterCount'),
    distributionCount:
      tier.tier === undefined ? Math.floor(bricks.length / subvolumeSize(sizes)) : childCount(volume, 'distCount'),
    ...tier,
    options: Object.fromEntries(options),
  };
}

type SubvolumeSizes = Pick<VolumeInfo, 'disperseCount' | 'replicaCount'>;

/** Number of bricks in a subvolume. `distCount` is not used, because its meaning differs between releases. Up to GlusterFS
 *  10, the gluster command divides the number of bricks by glusterd's value. From 11 on, glusterd has divided, and the
 *  command prints that value. While an upgrade has replaced only one of the two, and in all releases before 8, it prints
 *  the bricks of a subvolume. */
function subvolumeSize({ disperseCount, replicaCount }: SubvolumeSizes): number {
  return disperseCount > 0 ? disperseCount : Math.max(replicaCount, 1);
}

/** Number, from 1, of the subvolume that the brick at `brickIndex` (from 0) of the volume's list belongs to. */
export function subvolNumber(brickIndex: number, info: SubvolumeSizes): number {
  return Math.floor(brickIndex / subvolumeSize(info)) + 1;
}

/** Output of a run of gluster. */
export interface CommandOutput {
  readonly stdout: string;
  readonly stderrTail: string;
  readonly exitCode: number | null;
}

/** Runs an argv, here or over ssh, to its end. Rejects when it cannot be run. */
export type RunCommand = (argv: readonly string[]) => Promise<CommandOutput>;

/** Asks gluster about a volume. `commandDir` is the directory of `gluster` ('' for PATH), with or without a slash at its
 *  end.
 *  @throws GsyncdError preflight, one line, with the command's last error line when it printed no XML */
export async function queryVolumeInfo(
  run: RunCommand,
  name: string,
  commandDir = '',
  host = 'localhost',
): Promise<VolumeInfo> {
  const program = commandPath(commandDir, 'gluster');
  let output: CommandOutput;
  try {
    output = await run([program, '--xml', `--remote-host=${host}`, 'volume', 'info', name]);
  } catch (error) {
    throw new GsyncdError(`volume info: ${name}: ${errorLine(error)}`, { code: 'preflight', cause: error });
  }
  if (!output.stdout.includes('<cliOutput>')) {
    const last = `${output.stdout}\n${output.stderrTail}`.trim().split('\n').at(-1)?.trim();
    throw new GsyncdError(`volume info: ${name}: ${last || `${program} exited with ${output.exitCode}`}`, {
      code: 'preflight',
    });
  }
  return parseVolumeInfo(output.stdout, name);
}
