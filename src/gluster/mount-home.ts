// The directory of mount points. Programs that clean up /tmp (systemd-tmpfiles, tmpreaper, a cron job's find) descend into
// mounts there. These mounts may write even to a read-only secondary, so such a program would empty the volume. The mount
// points are therefore in a directory that root alone can access, below GlusterFS's run directory.

import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode, errorLine, GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';

const DIRECTORY_NAME = 'gsyncd-mounts';
const PRIVATE_MODE = 0o700;

/** Creates the directory below the first of `parents` where this works. A missing parent is created.
 *  @returns its absolute path without symlinks, as the kernel's table of mounts shows it
 *  @throws GsyncdError 'preflight' when it works below none of them */
export async function mountHome(parents: readonly string[]): Promise<string> {
  const reasons: string[] = [];
  for (const parent of parents) {
    const dir = join(parent, DIRECTORY_NAME);
    try {
      await mkdir(fsEncode(parent), { recursive: true });
      return await makePrivateDirectory(dir);
    } catch (error) {
      reasons.push(`${dir}: ${errorLine(error)}`);
    }
  }
  throw new GsyncdError(`directory for mounts: ${reasons.join('; ')}`, { code: 'preflight' });
}

async function makePrivateDirectory(dir: string): Promise<string> {
  try {
    await mkdir(fsEncode(dir), { mode: PRIVATE_MODE });
  } catch (error) {
    if (errnoCode(error) !== 'EEXIST') throw error;
  }
  const stats = await lstat(fsEncode(dir));
  if (!stats.isDirectory() || stats.uid !== process.geteuid?.()) throw new Error("not this user's directory");
  if ((stats.mode & 0o777) !== PRIVATE_MODE) await chmod(fsEncode(dir), PRIVATE_MODE);
  return realpath(dir);
}
