// Whether the file system of the temporary directory supports an xattr name, by default one of the user namespace.

import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { errnoNumber, lsetxattr } from '../../src/native/libc.js';

export function takesXattrs(name = 'user.test'): boolean {
  const dir = mkdtempSync(join(tmpdir(), 'gsyncd-mark-'));
  try {
    lsetxattr(dir, name, Buffer.from('x'));
    return true;
  } catch (error) {
    const { ENOTSUP, EPERM } = constants.errno;
    if (![ENOTSUP, EPERM].includes(errnoNumber(error) ?? 0)) throw error;
    return false;
  } finally {
    rmSync(dir, { recursive: true });
  }
}
