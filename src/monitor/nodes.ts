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
    const settle = (up: boolean) => (): void => {
      socket.destroy();
      resolve(up);
    };
    socket.once('connect', settle(true)).once('timeout', settle(false)).once('error', settle(false));
  });
}

/** @returns `own` when it is up or no node is; otherwise a random one of `nodes` that is up */
export async function chooseNode(own: SecondaryNode, nodes: readonly SecondaryNode[], isUp: (host: string) => Promise<boolean>): Promise<SecondaryNode> {
  if (await isUp(own.host)) return own;
  const others = nodes.filter((node) => node.host !== own.host);
  const states = await Promise.all(others.map((node) => isUp(node.host)));
  const up = others.filter((_, i) => states[i]);
  return up[Math.floor(Math.random() * up.length)] ?? own;
}
