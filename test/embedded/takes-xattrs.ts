// Whether the file system of temporary files takes users' xattrs.

import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoNumber, lsetxattr } from '../../src/native/libc.js';

export function takesXattrs(): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'gsyncd-mark-'));
  try {
    lsetxattr(dir, 'user.test', Buffer.from('x'));
    return true;
  } catch (error) {
    if (errnoNumber(error) !== constants.errno.ENOTSUP) throw error;
    return false;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
