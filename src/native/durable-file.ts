// Replaces a file by a temporary file, fsync, rename and fsync of the directory. A crash at any instruction leaves the
// complete old or the complete new content.

import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoCode, GsyncdError } from '../errors.js';
import { fsEncode } from '../names.js';

/** Node's message has no path when a write or an fsync fails. */
const DISK_ERRORS: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
  EIO: 'input/output error',
};

/** Runs `write`, which writes to the file `path`.
 *  @throws GsyncdError 'disk' that names it when the disk is full or broken */
export async function writing<T>(path: string, write: () => Promise<T>): Promise<T> {
  try {
    return await write();
  } catch (error) {
    const reason = DISK_ERRORS[errnoCode(error) ?? ''];
    if (reason === undefined) throw error;
    throw new GsyncdError(`write ${path}: ${reason}`, { code: 'disk', cause: error });
  }
}

/** Replaces `path` by a file with `data`, which its owner alone can read unless `mode` says otherwise. When this resolves,
 *  the data is on disk. The temporary file is a hidden sibling and is removed after a failure. */
export async function replaceFile(path: string, data: string | Buffer, mode = 0o600): Promise<void> {
  const dir = dirname(path);
  const temp = fsEncode(join(dir, `.${basename(path)}.${randomBytes(6).toString('hex')}`));
  try {
    const file = await open(temp, 'wx', 0o600);
    try {
      if (mode !== 0o600) await file.chmod(mode);
      await writing(path, async () => {
        await file.writeFile(data);
        await file.sync();
      });
    } finally {
      await file.close();
    }
    await rename(temp, fsEncode(path));
  } catch (error) {
    await rm(temp, { force: true });
    throw error;
  }
  await syncDirectory(dir);
}

export async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(fsEncode(dir), 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
