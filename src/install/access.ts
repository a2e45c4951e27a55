// Checks who can read and who can change this program and the programs that it starts. On a secondary's node with a
// mountbroker, sshd starts the launcher as the session's unprivileged user. If another user can change a file, that
// user's code runs as root.

import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { canReplaceIn, isChangeable, type Trusted } from '../native/changeable.js';

const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;
/** The kernel's limit. */
const MOST_LINKS = 40;
/** On Debian the group staff may write here, and it is equivalent to root there. */
const USR_LOCAL = /^\/usr\/local(?:\/|$)/;

/** The first of `files` or their parent directories that others may not read or enter; undefined when there is none. */
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

/** The first path that users other than `owners` can change or replace: `path`, the targets of its links, or a
 *  directory above them. Undefined when there is none.
 *  @throws system errors, including ENOENT */
export async function changeableByOthers(path: string, owners: readonly number[]): Promise<string | undefined> {
  const waiting = [resolve(path)];
  for (let links = 0; waiting.length > 0; ) {
    const next = waiting.pop() ?? '/';
    for (const part of withParents(next)) {
      const found = await lstat(part);
      const trusted = trustedAt(part, found, owners);
      if (part === next ? isChangeable(found, trusted) : canReplaceIn(found, trusted)) return part;
      if (!found.isSymbolicLink()) continue;
      if (++links > MOST_LINKS) throw Object.assign(new Error(`${path}: too many symbolic links`), { code: 'ELOOP' });
      waiting.push(resolve(dirname(part), await readlink(part), next.slice(part.length + 1)));
      break;
    }
  }
  return undefined;
}

/** The first path at or below `path` that users other than `owners` can change; undefined when there is none or no
 *  such path. It does not follow symbolic links. Synchronous: that is several times faster for the thousands of files
 *  of a node_modules. */
export function changeableBelow(path: string, owners: readonly number[]): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return undefined;
  if (isChangeable(found, trustedAt(path, found, owners))) return path;
  if (!found.isDirectory()) return undefined;
  for (const name of readdirSync(path)) {
    const changeable = changeableBelow(`${path}/${name}`, owners);
    if (changeable !== undefined) return changeable;
  }
  return undefined;
}

/** `/`, and each step from there to `path`. */
function withParents(path: string): string[] {
  const parents = [path];
  for (let dir = path; dir !== dirname(dir); dir = dirname(dir)) parents.unshift(dirname(dir));
  return parents;
}

function trustedAt(path: string, found: Stats, uids: readonly number[]): Trusted {
  const ofUsrLocal = found.isDirectory() && USR_LOCAL.test(path) ? [found.gid] : [];
  return { uids, gids: [0, process.getegid?.() ?? 0, ...ofUsrLocal] };
}
