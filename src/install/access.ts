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
const MAX_LINKS = 40;
/** On Debian the group staff may write here, and it is equivalent to root there. */
const USR_LOCAL = /^\/usr\/local(?:\/|$)/;

/** The first of `files` or their parent directories that others may not read or enter; undefined when there is none. */
export async function findClosedToOthers(files: readonly string[]): Promise<string | undefined> {
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
export async function findChangeableByOthers(path: string, owners: readonly number[]): Promise<string | undefined> {
  const pendingPaths = [resolve(path)];
  for (let linkCount = 0; pendingPaths.length > 0;) {
    const next = pendingPaths.pop() ?? '/';
    for (const part of withParents(next)) {
      const stats = await lstat(part);
      const trusted = trustedAt(part, stats, owners);
      if (part === next ? isChangeable(stats, trusted) : canReplaceIn(stats, trusted)) return part;
      if (!stats.isSymbolicLink()) continue;
      if (++linkCount > MAX_LINKS)
        throw Object.assign(new Error(`${path}: too many symbolic links`), { code: 'ELOOP' });
      pendingPaths.push(resolve(dirname(part), await readlink(part), next.slice(part.length + 1)));
      break;
    }
  }
  return undefined;
}

/** The first path at or below `path` that users other than `owners` can change; undefined when there is none or no
 *  such path. It does not follow symbolic links. Synchronous: that is several times faster for the thousands of files
 *  of a node_modules. */
export function findChangeableBelow(path: string, owners: readonly number[]): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return undefined;
  if (isChangeable(stats, trustedAt(path, stats, owners))) return path;
  if (!stats.isDirectory()) return undefined;
  for (const name of readdirSync(path)) {
    const changeable = findChangeableBelow(`${path}/${name}`, owners);
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

function trustedAt(path: string, stats: Stats, uids: readonly number[]): Trusted {
  const usrLocalGroups = stats.isDirectory() && USR_LOCAL.test(path) ? [stats.gid] : [];
  return { uids, gids: [0, process.getegid?.() ?? 0, ...usrLocalGroups] };
}
