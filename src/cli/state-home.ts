// Where a user's programs keep what they have to remember.

import { homedir } from 'node:os';
import { join } from 'node:path';

export function stateHome(): string {
  const set = process.env['XDG_STATE_HOME'];
  return set === undefined || set === '' ? join(homedir(), '.local', 'state') : set;
}
