// Decides where a small file of the primary is read, with its attributes. The brick's own file is read if clients of the
// volume see the same. Otherwise the file is read through the mount, where each lookup costs the volume's bricks.

import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { fsEncode } from '../names.js';
import type { Brick, ClientView } from './brick.js';
import type { BrickContent } from './brick-content.js';
import { PERMISSIONS } from './file-stat.js';
import { gfidPath, type Gfid } from '../protocol/gfid.js';

export interface FileSourceOptions {
  readonly brick: Brick;
  readonly content: BrickContent;
  /** The primary's aux-gfid-mount, queried for each file. */
  readonly mountDir: () => string;
}

/** @returns null when it is no regular file, is on another brick, or has xattrs or ACLs
 *  @throws system errors */
export async function findFile(
  gfid: Gfid,
  { brick, content, mountDir }: FileSourceOptions,
): Promise<Omit<ClientView, 'hasXattrs'> | null> {
  const { hasClientContent, hasCopies, hasXattrTimes } = content.inspect();
  const onBrick = await brick.clientView(gfid, hasXattrTimes ? 'in an xattr' : 'in the inode');
  if (onBrick === null || onBrick.hasXattrs) return null;
  if (hasClientContent && !hasCopies) return onBrick;
  const path = join(mountDir(), gfidPath(gfid));
  const st = await lstat(fsEncode(path), { bigint: true });
  if (!st.isFile()) return null;
  const { mtimeNs, ctimeNs } = st;
  const onMount = {
    size: Number(st.size),
    mode: Number(st.mode) & PERMISSIONS,
    uid: Number(st.uid),
    gid: Number(st.gid),
    mtimeNs,
    ctimeNs,
  };
  // This brick's copy may be outdated.
  const isBrickCurrent =
    hasClientContent && onBrick.size === onMount.size && onBrick.mtimeNs === mtimeNs && onBrick.ctimeNs === ctimeNs;
  return { ...onMount, path: isBrickCurrent ? onBrick.path : path };
}
