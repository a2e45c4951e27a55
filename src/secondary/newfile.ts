// Builds values of the xattr `glusterfs.gfid.newfile`. Setting it on a directory creates an inode with a given gfid in it.
// A value holds packed big-endian structures of the gfid-access translator. Pure.

import { fsEncode } from '../names.js';
import { PERMISSIONS } from '../protocol/view.js';
import type { NewInode } from './volume.js';

/** Umask that GlusterFS applies to `mode`: 0 keeps all bits. */
const NO_UMASK = 0;
const MAX_U32 = 0xffff_ffff;

/** uid, gid, gfid and NUL, st_mode, name and NUL, permission bits, rdev, umask. */
export function newNodeBlob(name: string, inode: NewInode & { readonly rdev: number }): Buffer {
  return Buffer.concat([packHeader(name, inode), packU32(inode.mode & PERMISSIONS, inode.rdev, NO_UMASK)]);
}

/** As newNodeBlob(), without rdev. */
export function newDirectoryBlob(name: string, inode: NewInode): Buffer {
  return Buffer.concat([packHeader(name, inode), packU32(inode.mode & PERMISSIONS, NO_UMASK)]);
}

/** uid, gid, gfid and NUL, st_mode, name and NUL, target and NUL. */
export function newSymlinkBlob(name: string, inode: NewInode & { readonly target: string }): Buffer {
  return Buffer.concat([packHeader(name, inode), fsEncode(inode.target), Buffer.of(0)]);
}

function packHeader(name: string, { uid, gid, gfid, mode }: NewInode): Buffer {
  return Buffer.concat([
    packU32(uid, gid),
    Buffer.from(`${gfid}\0`, 'latin1'),
    packU32(mode),
    fsEncode(name),
    Buffer.of(0),
  ]);
}

/** @throws RangeError if a number does not fit into 32 bits */
function packU32(...numbers: number[]): Buffer {
  const out = Buffer.alloc(4 * numbers.length);
  numbers.forEach((number, i) => {
    if (!Number.isInteger(number) || number < 0 || number > MAX_U32)
      throw new RangeError(`not a 32 bit number: ${number}`);
    out.writeUInt32BE(number, 4 * i);
  });
  return out;
}
