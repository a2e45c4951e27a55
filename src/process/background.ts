// Starts a program as a daemon: leader of a session of its own, its standard streams on /dev/null, with one pipe on which it
// says how its start went. The caller ends afterwards; the daemon stays.

import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { FEEDBACK_FD } from './child.js';

/**
 * Starts `argv`. @returns what the daemon wrote to FEEDBACK_FD until it closed it or ended, which may be nothing
 * @throws system errors of spawn
 */
export function startInBackground(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): Promise<string> {
  const [program = '', ...args] = argv;
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { detached: true, env, stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
    child.once('error', reject);
    const pipe: unknown = child.stdio[FEEDBACK_FD];
    if (!(pipe instanceof Readable)) return;
    const chunks: Buffer[] = [];
    pipe.on('data', (chunk: Buffer) => chunks.push(chunk));
    pipe.once('close', () => {
      child.unref();
      resolve(Buffer.concat(chunks).toString('utf8'));
    });
  });
}
