// Starts the installed daemon's own RepceServer (Python) around the fixture's small object.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { RepceClient } from '../../src/rpc/client.js';
import { lacks, NO_GLUSTER } from '../skip.js';

const SCRIPT = new URL('../fixtures/rpc/repce-server.py', import.meta.url).pathname;

function findDaemon(): string | undefined {
  const candidates = ['/usr/libexec/glusterfs/python/syncdaemon'];
  for (const dir of readdirSync('/usr/lib')) candidates.push(`/usr/lib/${dir}/glusterfs/python/syncdaemon`);
  return candidates.find((dir) => existsSync(`${dir}/repce.py`));
}

/** Directory of the installed daemon's modules. Tests that need it are skipped without it. */
export const STOCK_DAEMON = findDaemon();
lacks(STOCK_DAEMON !== undefined, NO_GLUSTER, 'calls to a stock server');

export interface StockServer {
  readonly client: RepceClient;
  /** Ends the process and waits for it. */
  stop(): Promise<void>;
  /** Exit code of the process when it has ended. */
  readonly exited: Promise<number | null>;
}

export function startStockServer(version = '1.0'): StockServer {
  const child = spawn('python3', [SCRIPT, STOCK_DAEMON ?? '', version], { stdio: 'pipe' });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const stderrEnded = once(child.stderr, 'end');
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const peerFailure = async (): Promise<string> => {
    await stderrEnded;
    return stderr;
  };
  const client = new RepceClient({ input: child.stdout, output: child.stdin, peerFailure });
  return {
    client,
    exited,
    stop: async () => {
      client.close();
      child.kill('SIGKILL');
      await exited;
    },
  };
}
