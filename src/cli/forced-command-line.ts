// Whether this program was started as an ssh forced command, told as the stock wrapper tells it: by the environment
// that sshd sets. Asked by main.ts at every start, so it loads nothing; forced-exec.ts does the rest.

import { basename } from 'node:path';

/** Set for what a forced command starts, so that it is not taken for one again. */
export const DISPATCHED = '_GSYNCD_DISPATCHED_';
/** glusterd's own calls are not restricted; the mark is not for the programs that they start. */
const GLUSTERD_CALLED = '_GLUSTERD_CALLED_';

/** The line that an ssh client sent, when this program is its forced command or its user's shell. A forced command
 *  has no arguments: with some, this is an ordinary call within somebody's session. */
export function forcedCommandLine(args: readonly string[], env: Readonly<Record<string, string | undefined>>): string | undefined {
  if (env[GLUSTERD_CALLED] === '1' || env[DISPATCHED] !== undefined) return undefined;
  const isShell = args[0] === '-c' && args.length === 2 && basename(env['SHELL'] ?? '') === 'gsyncd';
  if (args.length > 0 && !isShell) return undefined;
  return env['SSH_ORIGINAL_COMMAND'] ?? (isShell ? args[1] : undefined);
}
