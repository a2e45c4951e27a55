// A slow network between the session's two sides, for a lab whose `ssh-port` is SLOW_PORT.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { HOST, type Lab } from './lab.js';
import { REPO } from './machine.js';

export const SLOW_PORT = 2200;

export interface SlowLink {
  /** `down`: nothing passes, and connections stay open. `cut`: all connections end, new ones work. */
  set(state: 'down' | 'up' | 'cut'): void;
}

/** @param delayMs each way. It ends with the lab. */
export async function slowLink(
  lab: Lab,
  { delayMs, bytesPerSecond }: { readonly delayMs: number; readonly bytesPerSecond: number },
): Promise<SlowLink> {
  const script = path.join(REPO, 'test/gluster/lab/relay.js');
  const [file, args] = lab.box.command([
    'node',
    script,
    String(SLOW_PORT),
    HOST,
    '22',
    String(delayMs),
    String(bytesPerSecond),
  ]);
  // It ends when its standard input does.
  const relay = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: relay.stdout }).once('line', () => resolve());
    relay.once('exit', (code) => reject(new Error(`slow link: ended with ${code}`)));
  });
  return { set: (state) => void relay.stdin.write(`${state}\n`) };
}
