// The directory of the socket through which a worker's ssh connections are shared. It is remembered in the brick's working
// directory before it is made, so that one that a killed worker left is removed by the next worker of the brick. Whoever calls
// holds the brick's lock, so no other worker owns a remembered directory.

import { randomBytes } from 'node:crypto';
import { lstat, mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errnoCode } from '../../errors.js';
import { fsEncode } from '../../names.js';
import { replaceFile } from '../../native/durable-file.js';

const RECORD = 'aux-ssh';
const NAME = /^gsyncd-aux-ssh-[0-9a-f]{12}$/;

export interface ControlDir {
  readonly dir: string;
  /** What an earlier worker left and this call removed. */
  readonly removed: string | undefined;
  close(): Promise<void>;
}

/** Makes the directory below `parent`, which is the same for all workers of the brick or another: the whole path is
 *  remembered. @throws system errors */
export async function makeControlDir(workingDir: string, parent = tmpdir()): Promise<ControlDir> {
  const record = join(workingDir, RECORD);
  const removed = await removeLeft(record);
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

/** Removes what a killed worker left, where none is made now. @returns its path */
export function removeControlDirLeft(workingDir: string): Promise<string | undefined> {
  return removeLeft(join(workingDir, RECORD));
}

async function removeLeft(record: string): Promise<string | undefined> {
  const dir = (await orAbsent(readFile(fsEncode(record), 'utf8')))?.trim() ?? '';
  if (!NAME.test(basename(dir)) || dirname(dir) === '.') return undefined;
  const stat = await orAbsent(lstat(dir));
  // Somebody else may have made one of that name, after ours went with everything in the directory for temporary files.
  if (stat?.isDirectory() !== true || stat.uid !== process.geteuid?.()) return undefined;
  await rm(dir, { recursive: true, force: true });
  return dir;
}

async function orAbsent<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
