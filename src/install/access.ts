// Who can read and who can change this program and the programs that it starts: on a secondary's nodes with a mountbroker,
// sshd starts the launcher as the session's unprivileged user, and what another user can change runs as root.

import { lstatSync, readdirSync, type Stats } from 'node:fs';
import { lstat, readlink, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { canReplaceIn, isChangeable, type Trusted } from '../native/changeable.js';

const OTHERS_READ = 0o004;
const OTHERS_ENTER = 0o001;
/** As many as the kernel follows. */
const MOST_LINKS = 40;
/** Debian lets the group staff write here, which is root's equal there. */
const USR_LOCAL = /^\/usr\/local(?:\/|$)/;

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

/** The first of `path`, what it links to, and the directories above both that other users than `owners` can change or
 *  replace; undefined when there is none. @throws system errors, ENOENT among them */
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

/** The first thing at or below `path` that other users than `owners` can change, symbolic links not followed; undefined when
 *  there is none or no such path. Synchronous: that is several times quicker for the thousands of files of a node_modules. */
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
