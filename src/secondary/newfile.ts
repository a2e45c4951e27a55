// The value of the xattr `glusterfs.gfid.newfile`, which makes an inode with a given gfid in the directory on which it
// is set: packed big-endian structures of GlusterFS's gfid access. Pure; used by mount-volume.ts.

import { fsEncode } from '../names.js';
import type { NewInode } from './volume.js';

const PERMISSIONS = 0o7777;
/** What a daemon's files are cut by, were it to make them itself; GlusterFS applies it to `mode`. */
const NO_UMASK = 0;
const MAX_U32 = 0xffff_ffff;

/** uid, gid, gfid and NUL, st_mode, name and NUL, permission bits, rdev, umask. */
export function newNodeBlob(name: string, inode: NewInode & { readonly rdev: number }): Buffer {
  return Buffer.concat([head(name, inode), u32(inode.mode & PERMISSIONS, inode.rdev, NO_UMASK)]);
}

/** As newNodeBlob(), without rdev. */
export function newDirectoryBlob(name: string, inode: NewInode): Buffer {
  return Buffer.concat([head(name, inode), u32(inode.mode & PERMISSIONS, NO_UMASK)]);
}

/** uid, gid, gfid and NUL, st_mode, name and NUL, target and NUL. */
export function newSymlinkBlob(name: string, inode: NewInode & { readonly target: string }): Buffer {
  return Buffer.concat([head(name, inode), fsEncode(inode.target), Buffer.of(0)]);
}

function head(name: string, { uid, gid, gfid, mode }: NewInode): Buffer {
  return Buffer.concat([u32(uid, gid), Buffer.from(`${gfid}\0`, 'latin1'), u32(mode), fsEncode(name), Buffer.of(0)]);
}

/** @throws RangeError for what does not fit */
function u32(...numbers: number[]): Buffer {
  const out = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, i) => {
    if (!Number.isInteger(number) || number < 0 || number > MAX_U32) throw new RangeError(`not a 32 bit number: ${number}`);
    out.writeUInt32BE(number, 4 * i);
  });
  return out;
}
