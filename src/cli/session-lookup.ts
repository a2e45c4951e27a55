// Which sessions a command's argument means: of volumes, which are in glusterd's directory, and of plain directories, which
// are in this user's.

import { join } from 'node:path';
import { fileUrlPath } from '../worker/directory/file-url.js';
import { findSessions, GEOREP_DIR, sessionsOfBrick } from '../progress/sessions.js';
import { stateHome } from './state-home.js';

/** Where the state of workers on plain directories is, below the user's state directory. */
export function directorySessions(): string {
  return join(stateHome(), 'gsyncd-ts');
}

/** @param name as findSessions() takes it, or `file:///PATH`, a primary directory @throws as findSessions() */
export function sessionsNamed(name: string | undefined): Promise<string[]> {
  const path = name === undefined ? null : fileUrlPath(name);
  return path === null ? findSessions(name, [GEOREP_DIR, directorySessions()]) : sessionsOfBrick(path, directorySessions());
}
