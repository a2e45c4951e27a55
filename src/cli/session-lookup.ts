// Finds the sessions that a command's argument selects: those of volumes in glusterd's directory, and those of plain
// directories in this user's.

import { join } from 'node:path';
import { fileUrlPath } from '../worker/directory/file-url.js';
import { findSessions, GEOREP_DIR, sessionsOfBrick } from '../progress/sessions.js';
import { stateHome } from './state-home.js';

/** Directory for the state of workers on plain directories, below the user's state directory. */
export function directorySessionsRoot(): string {
  return join(stateHome(), 'gsyncd-ts');
}

/** @param name as findSessions() takes it, or `file:///PATH`, a primary directory
 *  @throws as findSessions() does */
export function findNamedSessions(name: string | undefined): Promise<string[]> {
  const path = name === undefined ? null : fileUrlPath(name);
  return path === null
    ? findSessions(name, [GEOREP_DIR, directorySessionsRoot()])
    : sessionsOfBrick(path, directorySessionsRoot());
}
