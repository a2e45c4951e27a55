// Chooses the node of the secondary that a worker connects to: its own, unless that one is down and another is up.
// A node is up when it accepts connections on ssh's port, which is all that stock's monitor asks for, too. Used each
// time a worker is started.

import { connect } from 'node:net';
import type { SecondaryNode } from './distribution.js';

export interface NodeProbe {
  readonly port: number;
  readonly timeoutMs: number;
}

/** Whether something listens there. */
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

/** `own`, or any other of `nodes` that is up while it is not; `own` again when none is. */
export async function chooseNode(own: SecondaryNode, nodes: readonly SecondaryNode[], isUp: (host: string) => Promise<boolean>): Promise<SecondaryNode> {
  if (await isUp(own.host)) return own;
  const others = nodes.filter((node) => node.host !== own.host);
  const states = await Promise.all(others.map((node) => isUp(node.host)));
  const up = others.filter((_, i) => states[i]);
  return up[Math.floor(Math.random() * up.length)] ?? own;
}
