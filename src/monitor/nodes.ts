// Chooses the node of the secondary that a worker connects to: its own, unless that one is down and another is up. As in
// stock's monitor, a node is up when it accepts connections on ssh's port.

import { connect } from 'node:net';
import type { SecondaryNode } from './distribution.js';

export interface NodeProbe {
  readonly port: number;
  readonly timeoutMs: number;
}

export function acceptsConnections(host: string, { port, timeoutMs }: NodeProbe): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: timeoutMs });
    const settle = (isUp: boolean) => (): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.once('connect', settle(true)).once('timeout', settle(false)).once('error', settle(false));
  });
}

/** @returns `own` when it is up or no node is; otherwise a random one of `nodes` that is up */
export async function chooseNode(
  preferred: SecondaryNode,
  nodes: readonly SecondaryNode[],
  isUp: (host: string) => Promise<boolean>,
): Promise<SecondaryNode> {
  if (await isUp(preferred.host)) return preferred;
  const others = nodes.filter((node) => node.host !== preferred.host);
  const states = await Promise.all(others.map((node) => isUp(node.host)));
  const reachable = others.filter((_, i) => states[i]);
  return reachable[Math.floor(Math.random() * reachable.length)] ?? preferred;
}
