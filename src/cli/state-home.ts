// The directory for the state of a user's programs, by the XDG convention.

import { homedir } from 'node:os';
import { join } from 'node:path';

export function stateHome(): string {
  const set = process.env['XDG_STATE_HOME'];
  return set === undefined || set === '' ? join(homedir(), '.local', 'state') : set;
}
