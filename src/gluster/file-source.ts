// Decides where a small file of the primary is read, with its attributes. The brick's own file is read if clients of the
// volume see the same. Otherwise the file is read through the mount, where each lookup costs the volume's bricks.

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { fsEncode } from '../names.js';
import type { Brick, ClientsFile } from './brick.js';
import type { BrickContent } from './brick-content.js';
import { gfidPath, type Gfid } from '../protocol/gfid.js';

const PERMISSIONS = 0o7777;

export interface FileSourceOptions {
  readonly brick: Brick;
  readonly content: BrickContent;
  /** The primary's aux-gfid-mount, queried for each file. */
  readonly mountDir: () => string;
}

/** @returns null when it is no regular file, is on another brick, or has xattrs or ACLs
 *  @throws system errors */
export async function findFile(gfid: Gfid, { brick, content, mountDir }: FileSourceOptions): Promise<Omit<ClientsFile, 'hasXattrs'> | null> {
  const { isPlain, hasCopies, keepsTimes } = content.facts();
  const own = await brick.clientsFile(gfid, keepsTimes ? 'in an xattr' : 'in the inode');
  if (own === null || own.hasXattrs) return null;
  if (isPlain && !hasCopies) return own;
  const path = join(mountDir(), gfidPath(gfid));
  const st = await lstat(fsEncode(path), { bigint: true });
  if (!st.isFile()) return null;
  const { mtimeNs, ctimeNs } = st;
  const seen = { size: Number(st.size), mode: Number(st.mode) & PERMISSIONS, uid: Number(st.uid), gid: Number(st.gid), mtimeNs, ctimeNs };
  // This brick's copy may be outdated.
  const isSame = isPlain && own.size === seen.size && own.mtimeNs === mtimeNs && own.ctimeNs === ctimeNs;
  return { ...seen, path: isSame ? own.path : path };
}
