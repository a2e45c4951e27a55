// Flags that the kernel sets on one mount point. Below it, no program gets another user's rights (nosuid) or runs at all
// (noexec), no device opens (nodev), and the kernel follows no symlink (nosymfollow). The volume's content can still be
// created, read and replicated unchanged. Setting the flags needs root. The kernel does not ask the file system.

import koffi from 'koffi';
import type { KoffiFunc } from 'koffi';
import { fsEncode } from '../names.js';
import { readMounts } from './mountinfo.js';

const RESTRICTIONS = ['nosuid', 'nodev', 'noexec', 'nosymfollow'] as const;
export type Restriction = (typeof RESTRICTIONS)[number];

const SYS_MOUNT_SETATTR = 442;
const AT_FDCWD = -100;
/** MOUNT_ATTR_NOSUID, _NODEV, _NOEXEC, _NOSYMFOLLOW: since Linux 5.14. */
const MOUNT_ATTRIBUTES = 0x0020_000en;
/** MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOSYMFOLLOW (Linux 5.10), MS_REMOUNT, MS_BIND: for older kernels. */
const REMOUNT_FLAGS = 2 | 4 | 8 | 256 | 32 | 4096;

const lib = koffi.load('libc.so.6');
const mountSetattr = lib.func('syscall', 'long', [
  'long',
  'int',
  'const void *',
  'uint',
  'void *',
  'size_t',
]) as KoffiFunc<
  (number: number, dirfd: number, path: Buffer, flags: number, attributes: Buffer, size: number) => number
>;
const mount = lib.func('mount', 'int', ['void *', 'const void *', 'void *', 'ulong', 'void *']) as KoffiFunc<
  (source: null, target: Buffer, type: null, flags: number, data: null) => number
>;

/** Sets as many of the restrictions as the kernel and this user's rights allow, for the mount whose root is `dir`. Does not
 *  throw: restrictionsOf() returns the result. */
export function restrictMount(dir: string): void {
  const path = Buffer.concat([fsEncode(dir), Buffer.of(0)]);
  // struct mount_attr: attr_set, attr_clr, propagation, userns_fd
  const attributes = Buffer.alloc(32);
  attributes.writeBigUInt64LE(MOUNT_ATTRIBUTES, 0);
  if (mountSetattr(SYS_MOUNT_SETATTR, AT_FDCWD, path, 0, attributes, attributes.length) !== 0)
    mount(null, path, null, REMOUNT_FLAGS, null);
}

/** The restrictions in force on the mount at `dir`, an absolute path without symlinks. */
export function restrictionsOf(dir: string): readonly Restriction[] {
  const options = readMounts().findLast(({ mountPoint }) => mountPoint === dir)?.options ?? [];
  return RESTRICTIONS.filter((name) => options.includes(name));
}
