// The directory of the socket through which a worker's ssh connections are shared. The worker records it in the brick's
// working directory before it creates it. If the worker is killed, the next worker of the brick removes it. The caller
// holds the brick's lock, so no other worker owns a recorded directory.

import { randomBytes } from 'node:crypto';
import { lstat, mkdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fsEncode } from '../../names.js';
import { replaceFile } from '../../native/durable-file.js';
import { absentAsNull, readTextIfExists } from '../../native/if-there.js';

const RECORD_FILE = 'aux-ssh';
const DIRECTORY_NAME = /^gsyncd-aux-ssh-[0-9a-f]{12}$/;

export interface ControlDir {
  readonly dir: string;
  /** Path of the directory that an earlier worker left and this call removed. */
  readonly removed: string | undefined;
  close(): Promise<void>;
}

/** Creates the directory below `parent`. Workers of a brick may use different parents, so the whole path is recorded.
 *  @throws system errors */
export async function makeControlDir(workingDir: string, parent = tmpdir()): Promise<ControlDir> {
  const record = join(workingDir, RECORD_FILE);
  const removed = await removeLeftoverControlDir(workingDir);
  const dir = join(parent, `gsyncd-aux-ssh-${randomBytes(6).toString('hex')}`);
  await replaceFile(record, fsEncode(`${dir}\n`));
  await mkdir(dir, { mode: 0o700 });
  return {
    dir,
    removed,
    async close() {
      await rm(dir, { recursive: true, force: true });
      await rm(fsEncode(record), { force: true });
    },
  };
}

/** Removes the directory that a killed worker left, without creating one.
 *  @returns its path */
export async function removeLeftoverControlDir(workingDir: string): Promise<string | undefined> {
  const dir = (await readTextIfExists(join(workingDir, RECORD_FILE)))?.trim() ?? '';
  if (!DIRECTORY_NAME.test(basename(dir)) || dirname(dir) === '.') return undefined;
  const stat = await absentAsNull(lstat(dir));
  // If a program cleaned up the temporary directory, another user may have created a directory of that name.
  if (stat?.isDirectory() !== true || stat.uid !== process.geteuid?.()) return undefined;
  await rm(dir, { recursive: true, force: true });
  return dir;
}
