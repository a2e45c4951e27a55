// Restricts the tar keys of sessions in authorized_keys, restores them, or reports how many are not restricted.

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  type Stats,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errnoCode, errorLine, GsyncdError } from '../errors.js';
import type { ApplyOptions } from './apply.js';
import { findKeyFiles, type KeyFile } from './key-files.js';
import { countUnrestrictedTarKeys, unrestrictTarKeys, restrictTarKeys } from './tar-keys.js';

export interface TarKeyOptions extends Omit<ApplyOptions, 'launcher'> {
  /** The absolute path that the keys' lines will name. Undefined: leave the lines as they are and report the
   *  unrestricted ones. */
  readonly gsyncd?: string | undefined;
}

/** A failure with one file does not stop the others.
 *  @throws after all files: GsyncdError 'preflight' for files that are not their user's own; system errors */
export async function applyTarKeys(root: string, options: TarKeyOptions): Promise<void> {
  let firstError: unknown;
  for (const file of await findKeyFiles(root)) {
    try {
      asUser(file, () => applyToFile(file, options));
    } catch (error) {
      if (firstError !== undefined) options.report(errorLine(error));
      firstError ??= error;
    }
  }
  if (firstError !== undefined) throw firstError as Error;
}

function applyToFile({ path, uid }: KeyFile, { action, mode, gsyncd, report }: TarKeyOptions): void {
  const fd = openForRewrite(path, report);
  if (fd === undefined) return;
  try {
    const stats = fstatSync(fd);
    // latin1 keeps every byte as it is.
    const text = readFileSync(fd, 'latin1');
    const changed =
      action === 'uninstall' ? unrestrictTarKeys(text) : gsyncd === undefined ? text : restrictTarKeys(text, gsyncd);
    if (changed !== text) {
      if (!stats.isFile() || stats.nlink !== 1 || (stats.uid !== uid && process.geteuid?.() === 0)) {
        throw new GsyncdError(`${action}: ${path}: not a file of its user's alone`, { code: 'preflight' });
      }
      if (mode === 'do') replaceFile(path, changed, stats);
      report(
        `${path}: ${mode === 'do' ? '' : 'would: '}${action === 'uninstall' ? 'tar keys are put back' : 'tar keys go through gsyncd'}`,
      );
    }
    const unrestricted = action === 'uninstall' ? 0 : countUnrestrictedTarKeys(changed);
    if (unrestricted > 0)
      report(
        `${path}: note: ${unrestricted} tar ${unrestricted === 1 ? 'key lets its holder' : 'keys let their holders'} run any program: install --tar-keys restricts those that GlusterFS wrote`,
      );
  } finally {
    closeSync(fd);
  }
}

function openForRewrite(path: string, report: TarKeyOptions['report']): number | undefined {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = errnoCode(error) ?? errorLine(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') report(`${path}: note: its tar keys were left as they are: ${code}`);
    return undefined;
  }
}

function replaceFile(path: string, text: string, { mode, uid, gid }: Stats): void {
  const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}`);
  const fd = openSync(temp, 'wx', 0o600);
  try {
    writeFileSync(fd, text, 'latin1');
    fchownSync(fd, uid, gid);
    fchmodSync(fd, mode & 0o7777);
    fsyncSync(fd);
    renameSync(temp, path);
  } finally {
    closeSync(fd);
    rmSync(temp, { force: true });
  }
}

/** Runs `action` as the file's user when this process is root. So links in the user's directory give no access to
 *  root's files. */
function asUser({ uid, gid }: KeyFile, action: () => void): void {
  if (process.geteuid?.() !== 0 || uid === 0) return action();
  const groups = process.getgroups?.() ?? [];
  process.setgroups?.([gid]);
  process.setegid?.(gid);
  process.seteuid?.(uid);
  try {
    action();
  } finally {
    process.seteuid?.(0);
    process.setegid?.(0);
    process.setgroups?.(groups);
  }
}
