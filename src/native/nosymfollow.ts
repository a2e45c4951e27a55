// Tells the kernel never to follow a symlink inside one mount, so that no path below it can lead out. It needs root
// and Linux 5.14; the kernel asks nothing of the mount's file system. Used where a peer's paths are opened.

import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { fsEncode } from '../names.js';

const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
const MOUNT_ATTR_NOSYMFOLLOW = 0x0020_0000n;

const setattr = koffi.load('libc.so.6').func('syscall', 'long', ['long', 'int', 'const void *', 'uint', 'void *', 'size_t']) as KoffiFunc<
  (number: number, dirfd: number, path: Buffer, flags: number, attributes: Buffer, size: number) => number
>;

/** @returns whether the kernel does so from now on for the mount whose root is `dir` */
export function refuseSymlinks(dir: string): boolean {
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(MOUNT_ATTR_NOSYMFOLLOW, 0);
  const path = Buffer.concat([fsEncode(dir), Buffer.of(0)]);
  return setattr(SYS_MOUNT_SETATTR, AT_FDCWD, path, 0, attributes, attributes.length) === 0;
}
