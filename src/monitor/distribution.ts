// Decides which workers a node runs, and to which node of the secondary each connects. The result equals stock's: bricks of
// this node in the volume's order, and the secondary's nodes assigned in turn to all bricks of the volume. So the primary's
// nodes spread over the secondary's nodes without communication.

import { GsyncdError } from '../errors.js';
import { subvolNumber, type VolumeInfo } from '../gluster/volinfo.js';

export interface SecondaryNode {
  readonly host: string;
  readonly id: string;
}

/** One worker: a brick of this node, and the node that receives its data when every node of the secondary is up. */
export interface WorkerSpec {
  readonly brickPath: string;
  /** This node as the volume names it. */
  readonly host: string;
  readonly hostId: string;
  /** From 1, counted within its tier. */
  readonly subvolNum: number;
  readonly hotTier: boolean;
  /** The brick has left the volume. Its worker ends after its changelogs are read. */
  readonly isRemoved?: true;
  readonly remote: SecondaryNode;
}

export interface Distribution {
  readonly workers: readonly WorkerSpec[];
  /** Nodes with bricks of the secondary that workers may use, in the order of its bricks. */
  readonly nodes: readonly SecondaryNode[];
  readonly secondaryId: string;
  /** Prefix of the stime xattr's name on a brick. `delete reset-sync-time` reads it from the session's config. */
  readonly stimeXattrPrefix: string;
  readonly distributionCount: number;
}

/** @param isolated hosts or ids of nodes of the secondary that no worker may use
 *  @throws GsyncdError 'preflight' when the secondary has no node that may be used */
export function distribute(
  primary: VolumeInfo,
  secondary: VolumeInfo,
  localNodeId: string,
  isolated: readonly string[] = [],
): Distribution {
  const allNodes = uniqueNodes(secondary);
  const nodes = allNodes.filter(({ host, id }) => !isolated.includes(host) && !isolated.includes(id));
  const [first] = nodes;
  if (first === undefined) {
    const reason = allNodes.length === 0 ? 'no bricks' : 'isolated-secondarys names each of its nodes';
    throw new GsyncdError(`volume info: ${secondary.name}: ${reason}`, { code: 'preflight' });
  }
  const workers = primary.bricks.flatMap((brick, index) => {
    if (brick.hostUuid !== localNodeId) return [];
    const tier = primary.tier;
    const hotTier = tier !== undefined && index < tier.hot.brickCount;
    const subvolNum =
      tier === undefined
        ? subvolNumber(index, primary)
        : subvolNumber(hotTier ? index : index - tier.hot.brickCount, hotTier ? tier.hot : tier.cold);
    return [
      {
        brickPath: brick.path,
        host: brick.host,
        hostId: brick.hostUuid,
        subvolNum,
        hotTier,
        remote: nodes[index % nodes.length] ?? first,
      },
    ];
  });
  return {
    workers,
    nodes,
    secondaryId: secondary.id,
    stimeXattrPrefix: `trusted.glusterfs.${primary.id}.${secondary.id}`,
    distributionCount: primary.tier?.cold.distributionCount ?? primary.distributionCount,
  };
}

function uniqueNodes(volume: VolumeInfo): SecondaryNode[] {
  const found = new Map<string, SecondaryNode>();
  for (const { host, hostUuid } of volume.bricks) found.set(JSON.stringify([host, hostUuid]), { host, id: hostUuid });
  return [...found.values()];
}
