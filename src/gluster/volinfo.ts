// Parses `gluster volume info --xml`: a volume's identity, its bricks in order, and how they form subvolumes.

import { XMLParser } from 'fast-xml-parser';
import { errorLine, GsyncdError } from '../errors.js';

export interface BrickInfo {
  readonly host: string;
  readonly path: string;
  readonly hostUuid: string;
  readonly isArbiter: boolean;
}

/** The bricks of one tier: how many, and how they form subvolumes. */
export interface TierInfo {
  readonly bricks: number;
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

const LISTS: ReadonlySet<string> = new Set(['volume', 'brick', 'option']);
const parser = new XMLParser({ parseTagValue: false, ignoreAttributes: true, isArray: (name) => LISTS.has(name) });

type Node = Readonly<Record<string, unknown>>;

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function child(node: Node, ...path: string[]): Node {
  let at: Node = node;
  for (const name of path) {
    const next = at[name];
    at = isNode(next) ? next : {};
  }
  return at;
}

function list(node: Node, name: string): Node[] {
  const value = node[name];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

function text(node: Node, name: string): string {
  const value = node[name];
  return typeof value === 'string' ? value : '';
}

function count(node: Node, name: string): number {
  const value = Number(text(node, name) || '0');
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/** `host:/path`; the host may be an IPv6 address. */
function brickOf(node: Node): BrickInfo {
  const name = text(node, 'name');
  const split = name.indexOf(':/');
  return {
    host: name.slice(0, Math.max(split, 0)),
    path: name.slice(split + 1),
    hostUuid: text(node, 'hostUuid'),
    isArbiter: text(node, 'isArbiter') === '1',
  };
}

function tierOf(bricks: Node): Pick<VolumeInfo, 'tier'> {
  const [hot, cold] = [child(bricks, 'hotBricks'), child(bricks, 'coldBricks')];
  const tier = (node: Node, prefix: string): TierInfo => ({
    bricks: list(node, 'brick').length,
    replicaCount: count(node, `${prefix}replicaCount`),
    disperseCount: count(node, `${prefix}disperseCount`),
    distributionCount: count(node, `${prefix}distCount`),
  });
  return list(hot, 'brick').length === 0 ? {} : { tier: { hot: tier(hot, 'hot'), cold: tier(cold, 'cold') } };
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
  const root = isNode(tree) ? child(tree, 'cliOutput') : {};
  if (text(root, 'opRet') === '') return fail('not the output of gluster');
  if (text(root, 'opRet') !== '0') return fail(text(root, 'opErrstr') || `gluster error ${text(root, 'opErrno')}`);
  const volumes = list(child(root, 'volInfo', 'volumes'), 'volume');
  const [volume] = volumes;
  if (volume === undefined) return fail('Volume does not exist');
  if (volumes.length > 1) return fail(`${volumes.length} volumes instead of one`);
  const listed = child(volume, 'bricks');
  const bricks = [child(listed, 'hotBricks'), child(listed, 'coldBricks'), listed].flatMap((node) => list(node, 'brick')).map(brickOf);
  if (text(volume, 'id') === '' || bricks.length === 0 || bricks.some((b) => !b.path.startsWith('/'))) return fail('incomplete output of gluster');
  const options = list(child(volume, 'options'), 'option').map((option) => [text(option, 'name'), text(option, 'value')] as const);
  const sizes = { replicaCount: count(volume, 'replicaCount'), disperseCount: count(volume, 'disperseCount') };
  const tier = tierOf(listed);
  return {
    name: text(volume, 'name'),
    id: text(volume, 'id'),
    type: text(volume, 'typeStr'),
    status: text(volume, 'statusStr'),
    bricks,
    ...sizes,
    arbiterCount: count(volume, 'arbiterCount'),
    distributionCount: tier.tier === undefined ? Math.floor(bricks.length / subvolumeSize(sizes)) : count(volume, 'distCount'),
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
export async function volumeInfo(run: RunCommand, name: string, commandDir = '', host = 'localhost'): Promise<VolumeInfo> {
  const program = commandDir === '' ? 'gluster' : `${commandDir.replace(/\/+$/, '')}/gluster`;
  let output: CommandOutput;
  try {
    output = await run([program, '--xml', `--remote-host=${host}`, 'volume', 'info', name]);
  } catch (error) {
    throw new GsyncdError(`volume info: ${name}: ${errorLine(error)}`, { code: 'preflight', cause: error });
  }
  if (!output.stdout.includes('<cliOutput>')) {
    const last = `${output.stdout}\n${output.stderrTail}`.trim().split('\n').at(-1)?.trim();
    throw new GsyncdError(`volume info: ${name}: ${last || `${program} exited with ${output.exitCode}`}`, { code: 'preflight' });
  }
  return parseVolumeInfo(output.stdout, name);
}
