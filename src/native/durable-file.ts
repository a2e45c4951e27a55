// Replaces a file so that a crash at any instruction leaves the old or the new content, whole: temporary file,
// fsync, rename, fsync of the directory. Used for the status file, the failure list and the mount registry.

import { randomBytes } from 'node:crypto';
import { open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fsEncode } from '../names.js';

/** Puts `data` in place of whatever `path` held, for root alone unless `mode` says otherwise. It is on the disk when this resolves. The temporary
 *  file is a hidden sibling and does not outlive a failure. */
export async function replaceFile(path: string, data: string | Buffer, mode = 0o600): Promise<void> {
  const dir = dirname(path);
  const temp = fsEncode(join(dir, `.${basename(path)}.${randomBytes(6).toString('hex')}`));
  try {
    const file = await open(temp, 'wx', 0o600);
    try {
      if (mode !== 0o600) await file.chmod(mode);
      await file.writeFile(data);
      await file.sync();
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
