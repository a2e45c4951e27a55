// Opens a log file for appending. The mount broker's group can write to the log directory of secondaries. Secondaries that
// run as root log there too, so a member of the group could place a symlink there.

import { closeSync, constants, fstatSync, lstatSync, openSync, type Stats } from 'node:fs';
import { basename, dirname } from 'node:path';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';
import { canReplaceIn, isChangeable, type Trusted } from './changeable.js';

const { O_APPEND, O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_WRONLY } = constants;
const O_PATH = 0o10000000;
const APPEND = O_WRONLY | O_APPEND | O_CREAT;

/** @param path absolute. Symlinks are followed only if root and this user alone can change each directory of the path
 *  @returns a descriptor
 *  @throws system errors. Error where other users may have planted the file: it, or its directory, is a symlink, it has
 *  several links, or it is no regular file */
export function openLog(path: string, mode: number): number {
  if (isTrustedPath(path)) return openSync(fsEncode(path), APPEND, mode);
  const dir = openSync(fsEncode(dirname(path)), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    const fd = openSync(fsEncode(`/proc/self/fd/${dir}/${basename(path)}`), APPEND | O_NOFOLLOW | O_NONBLOCK, mode);
    const stat = fstatSync(fd);
    if (stat.isFile() && stat.nlink === 1) return fd;
    closeSync(fd);
    throw new Error('not a file of one name, in a directory that others can write');
  } finally {
    closeSync(dir);
  }
}

/** Whether root and this user own the file and can alone replace it and the directories above it. */
function isTrustedPath(path: string): boolean {
  const trusted: Trusted = { uids: [0, process.geteuid?.() ?? 0], gids: [0] };
  const file = lstatSync(fsEncode(path), { throwIfNoEntry: false });
  if (file !== undefined && !trusted.uids.includes(file.uid)) return false;
  const parent = lstatIfExists(dirname(path));
  // In a directory with the sticky bit, such as /tmp, others can create a missing file.
  if (parent === undefined || isChangeable(parent, trusted)) return false;
  for (let dir = dirname(path); dir !== '/';) {
    dir = dirname(dir);
    const stat = lstatIfExists(dir);
    if (stat === undefined || canReplaceIn(stat, trusted)) return false;
  }
  return true;
}

function lstatIfExists(dir: string): Stats | undefined {
  try {
    return lstatSync(fsEncode(dir));
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}
