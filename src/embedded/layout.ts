// Layout of `.glusterfs` in a plain directory. All state of its brick is in there, and only this user can access it.
//
//   .glusterfs/.gfid/<gfid>        a hard link of each file, symlink and special file. rsync and tar open the inode by it,
//                                  and it shows which inode has which gfid. A secondary also has a symlink
//                                  `<parent gfid>/<name>` for each directory; the kernel resolves it from link to link.
//   .glusterfs/changelogs/         changelogs and HTIME, in GlusterFS's formats (primary)
//   .glusterfs/embedded/           identity of the brick, the index of its tree, its stime and entry_stime
//
// As root, if the file system supports it, inodes carry trusted.gfid, and xtime and stime are trusted.* xattrs, as on a
// real brick. An ordinary user cannot set trusted.* xattrs, and symlinks and special files cannot carry user.* xattrs. So
// for ordinary users the hard links identify inodes, inode number and birth time identify directories, and a file holds the
// marks.

import { randomUUID } from 'node:crypto';
import { mkdir, realpath, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode, GsyncdError } from '../errors.js';
import { gfidToBytes, type Gfid } from '../protocol/gfid.js';
import { GFID, VOLUME_ID } from '../gluster/xattr-names.js';
import { ROOT_GFID } from '../protocol/gfid.js';
import { replaceFile } from '../native/durable-file.js';
import { isThere, readTextIfExists } from '../native/if-there.js';
import { lsetxattr } from '../native/libc.js';
import { fsDecode, fsEncode } from '../names.js';
import { BeneathRoot } from './beneath.js';
import { requireOwnRoot, requireOwnState } from './own-state.js';

export const INTERNAL_NAME = '.glusterfs';

/** Identity of a plain directory's brick, which is a volume with one brick on one node. */
export interface BrickIdentity {
  readonly volumeId: string;
  readonly nodeId: string;
  /** Volume mark, seconds since the epoch: consumers ignore xtimes before it. */
  readonly created: number;
}

export interface BrickLayout {
  /** Absolute, without symlinks. */
  readonly root: string;
  readonly internal: string;
  /** Opens paths below the root. */
  readonly beneath: BeneathRoot;
  readonly gfidDir: string;
  readonly changelogDir: string;
  readonly stateDir: string;
  readonly identity: BrickIdentity;
  /** Whether inodes carry trusted.* xattrs. */
  readonly xattrs: 'trusted' | 'none';
}

/**
 * Opens the layout of a plain directory, and creates it if there is none.
 * @throws GsyncdError 'preflight' if the directory is missing, not writable, or a brick of a volume, or if other
 *  users could change this program's state
 */
export async function openLayout(path: string): Promise<BrickLayout> {
  const root = await requireDirectory(path);
  requireOwnRoot(root);
  const internal = join(root, INTERNAL_NAME);
  const stateDir = join(internal, 'embedded');
  const gfidDir = join(internal, '.gfid');
  const changelogDir = join(internal, 'changelogs');
  const identityFile = join(stateDir, 'brick.json');
  try {
    requireOwnState([internal, stateDir, gfidDir, changelogDir]);
    let identity = await readIdentity(identityFile);
    if (identity === null) {
      if (await isThere(join(internal, '00')))
        throw new GsyncdError(`directory ${path}: is a brick of a Gluster volume`, { code: 'preflight' });
      await mkdir(fsEncode(stateDir), { recursive: true, mode: 0o700 });
      identity = { volumeId: randomUUID(), nodeId: randomUUID(), created: Math.floor(Date.now() / 1000) };
      await replaceFile(identityFile, `${JSON.stringify(identity)}\n`);
    }
    await mkdir(fsEncode(gfidDir), { recursive: true, mode: 0o700 });
    const xattrs = setRootXattrs(root, identity);
    return {
      root,
      internal,
      beneath: new BeneathRoot(root, internal),
      gfidDir,
      stateDir,
      changelogDir,
      identity,
      xattrs,
    };
  } catch (error) {
    const code = errnoCode(error);
    if (code !== 'EACCES' && code !== 'EROFS' && code !== 'EPERM') throw error;
    throw new GsyncdError(`directory ${path}: not writable`, { code: 'preflight', cause: error });
  }
}

/** Path of an inode by its gfid: its link under `.gfid`. */
export function handlePath(layout: Pick<BrickLayout, 'gfidDir'>, gfid: Gfid): string {
  return `${layout.gfidDir}/${gfid}`;
}

/** Sets trusted.gfid if inodes carry it. @throws NativeError */
export function setGfid(layout: Pick<BrickLayout, 'xattrs'>, path: string, gfid: Gfid): void {
  if (layout.xattrs === 'trusted') lsetxattr(path, GFID, gfidToBytes(gfid));
}

/** @returns false if the inode is gone or cannot carry a gfid. @throws NativeError for other errors */
export function trySetGfid(layout: Pick<BrickLayout, 'xattrs'>, path: string, gfid: Gfid): boolean {
  try {
    setGfid(layout, path, gfid);
    return true;
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR', 'ENOSPC', 'ENOTSUP'].includes(errnoCode(error) ?? '')) throw error;
    return false;
  }
}

function setRootXattrs(root: string, { volumeId }: BrickIdentity): BrickLayout['xattrs'] {
  try {
    lsetxattr(root, VOLUME_ID, gfidToBytes(volumeId as Gfid));
    lsetxattr(root, GFID, gfidToBytes(ROOT_GFID));
    return 'trusted';
  } catch {
    return 'none';
  }
}

async function requireDirectory(path: string): Promise<string> {
  try {
    if ((await stat(fsEncode(path))).isDirectory())
      return fsDecode(await realpath(fsEncode(path), { encoding: 'buffer' }));
  } catch (error) {
    throw new GsyncdError(`directory ${path}: ${errnoCode(error) === 'ENOENT' ? 'does not exist' : 'cannot be read'}`, {
      code: 'preflight',
      cause: error,
    });
  }
  throw new GsyncdError(`directory ${path}: is not a directory`, { code: 'preflight' });
}

async function readIdentity(file: string): Promise<BrickIdentity | null> {
  const text = await readTextIfExists(file);
  return text === null ? null : (JSON.parse(text) as BrickIdentity);
}
