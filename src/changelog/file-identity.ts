// Tells whether a file is the one that was read before, with the same content.

import type { FileHandle } from 'node:fs/promises';

/** Equal texts mean the same inode, without a write in between. */
export async function identityOf(file: FileHandle): Promise<string> {
  const { ino, size, mtimeNs } = await file.stat({ bigint: true });
  return `${ino} ${size} ${mtimeNs}`;
}
