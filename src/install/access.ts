// Whether ordinary users can run this program: on a secondary's nodes with a mountbroker, sshd starts the launcher as
// the session's unprivileged user. Used by `gsyncd-ts install`, which warns.

import { stat } from 'node:fs/promises';
import { dirname } from 'node:path';

const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;

/** The first path on the way to one of `files` that others may not read or enter; undefined when all is open. */
export async function closedToOthers(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    for (let dir = dirname(file); ; dir = dirname(dir)) {
      if (((await stat(dir)).mode & OTHERS_ENTER) === 0) return dir;
      if (dir === dirname(dir)) break;
    }
    if (((await stat(file)).mode & OTHERS_READ) === 0) return file;
  }
  return undefined;
}
