// Where a user's programs keep what they have to remember. Used by the commands that work on plain directories.

import { homedir } from 'node:os';
import { join } from 'node:path';

export function stateHome(): string {
  const set = process.env['XDG_STATE_HOME'];
  return set === undefined || set === '' ? join(homedir(), '.local', 'state') : set;
}
