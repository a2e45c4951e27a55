// Starts a program as a daemon: leader of a new session, with its standard streams on /dev/null. The daemon reports the
// result of its start on one pipe. The caller exits afterwards; the daemon continues.

import { spawn } from 'node:child_process';
import { Readable } from 'node:stream';
import { FEEDBACK_FD } from './child.js';

/** Starts `argv`.
 *  @returns the text that the daemon wrote to FEEDBACK_FD before it closed the descriptor or ended; may be empty
 *  @throws system errors of spawn */
export function startInBackground(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<string> {
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
