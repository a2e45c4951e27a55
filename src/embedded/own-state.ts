// Decides whether a plain directory can be replicated safely. rsync and tar reach inodes through the links in `.glusterfs`,
// so no other user may change or replace that directory. As root this holds only if root alone can write to the tree's
// top directory and rename the directories above it. Directories below the top may belong to any user.

import { lstatSync } from 'node:fs';
import { dirname } from 'node:path';
import { GsyncdError } from '../errors.js';
import { canReplaceIn, isChangeable, ROOT_ONLY } from '../native/changeable.js';
import { fsEncode } from '../names.js';
import { fileKind, PERMISSIONS } from '../protocol/view.js';

const OPEN_TO_OTHERS = 0o077;

/** @param root absolute, without symlinks
 *  @throws GsyncdError 'preflight' as root, if another user could replace the state directory */
export function requireOwnRoot(root: string): void {
  if (process.geteuid?.() !== 0) return;
  const hint =
    'root replicates only directories that root alone can write to; run as their owner, or change the owner and mode';
  const stats = lstatSync(fsEncode(root));
  if (stats.uid !== 0) throw preflightError(`directory ${root}: belongs to user ${stats.uid}: ${hint}`);
  if (isChangeable(stats, ROOT_ONLY))
    throw preflightError(`directory ${root}: others can write to it (mode ${octal(stats.mode)}): ${hint}`);
  for (let dir = root; dir !== '/';) {
    dir = dirname(dir);
    const parent = lstatSync(fsEncode(dir));
    const { uid, mode } = parent;
    if (canReplaceIn(parent, ROOT_ONLY))
      throw preflightError(
        `directory ${root}: others can replace it, since ${dir} ${uid === 0 ? `has mode ${octal(mode)}` : `belongs to user ${uid}`}: ${hint}`,
      );
  }
}

/** Checks those directories that exist. @throws GsyncdError 'preflight' if another user owns or can enter one */
export function requireOwnState(dirs: readonly string[]): void {
  for (const dir of dirs) {
    const stats = lstatSync(fsEncode(dir), { throwIfNoEntry: false });
    if (stats === undefined) continue;
    const kind = fileKind(stats.mode);
    if (kind !== 'dir') throw preflightError(`state directory ${dir}: is a ${kind}: remove it`);
    if (stats.uid !== process.geteuid?.())
      throw preflightError(`state directory ${dir}: belongs to user ${stats.uid}: remove it`);
    if ((stats.mode & OPEN_TO_OTHERS) !== 0)
      throw preflightError(
        `state directory ${dir}: open to others (mode ${octal(stats.mode)}): remove it, or chmod 700 when nobody else has changed it`,
      );
  }
}

function octal(mode: number): string {
  return (mode & PERMISSIONS).toString(8).padStart(4, '0');
}

function preflightError(message: string): GsyncdError {
  return new GsyncdError(message, { code: 'preflight' });
}
