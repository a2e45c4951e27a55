// The directory of mount points. What sweeps old files out of /tmp (systemd-tmpfiles, tmpreaper, a cron job's find) walks
// into mounts there, and these mounts may write to a read-only secondary: it would empty the volume. So they are in a
// directory of root alone, below GlusterFS's run directory.

import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode, errorLine, GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';

const NAME = 'gsyncd-mounts';
const PRIVATE = 0o700;

/**
 * Makes the directory below the first of `parents` where it can be made. A parent is made where it is missing.
 * @returns its absolute path without symlinks, as the kernel's table of mounts shows it
 * @throws GsyncdError 'preflight' when none can have it
 */
export async function mountHome(parents: readonly string[]): Promise<string> {
  const reasons: string[] = [];
  for (const parent of parents) {
    const dir = join(parent, NAME);
    try {
      await mkdir(fsEncode(parent), { recursive: true });
      return await privateDirectory(dir);
    } catch (error) {
      reasons.push(`${dir}: ${errorLine(error)}`);
    }
  }
  throw new GsyncdError(`directory for mounts: ${reasons.join('; ')}`, { code: 'preflight' });
}

async function privateDirectory(dir: string): Promise<string> {
  try {
    await mkdir(fsEncode(dir), { mode: PRIVATE });
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  }
  const stats = await lstat(fsEncode(dir));
  if (!stats.isDirectory() || stats.uid !== process.geteuid?.()) throw new Error("not this user's directory");
  if ((stats.mode & 0o777) !== PRIVATE) await chmod(fsEncode(dir), PRIVATE);
  return realpath(dir);
}
