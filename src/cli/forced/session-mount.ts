// Enters the mount of the secondary that serves the same ssh connection, for a transfer. The secondary works in that mount
// only while the mount is up, and the kernel may give its process id to another process. Therefore this code opens the
// process's directory in /proc and its working directory once, checks the descriptors, and enters the second one.

import { constants, closeSync, fstatSync, openSync, readFileSync, statfsSync } from 'node:fs';
import { errorLine, GsyncdError } from '../../errors.js';
import { fsDecode } from '../../names.js';
import { readMounts } from '../../native/mountinfo.js';

const O_PATH = 0o10000000;
const FUSE_MAGIC = 0x65735546;
const ROOT_INODE = 1n;

/**
 * Makes the session's mount the working directory of this process, for a transfer whose target is `.`.
 * @param pid the secondary of the session
 * @param isSecondary whether `pid` is the secondary of this ssh connection; called once the process's directory is
 * open
 * @throws GsyncdError 'preflight' when it is not, or its directory is not the root of its volume's mount
 */
export function enterSessionMount(pid: number, isSecondary: () => boolean): void {
  try {
    // The kernel never lets a descriptor of a process's directory in /proc refer to another process.
    const proc = `/proc/self/fd/${openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY)}`;
    if (!isSecondary()) throw new Error('secondary process has ended');
    const fd = openSync(`${proc}/cwd`, O_PATH | constants.O_DIRECTORY);
    const fault = findFault(fd, proc);
    if (fault !== null) throw new Error(fault);
    process.chdir(`/proc/self/fd/${fd}`);
    closeSync(fd);
  } catch (error) {
    throw new GsyncdError(`the session's mount: ${errorLine(error)}`, { code: 'preflight', cause: error });
  }
}

/** Why the directory `fd` is not the mount of the secondary whose directory in /proc is `proc`; null when it is. */
function findFault(fd: number, proc: string): string | null {
  const { ino } = fstatSync(fd, { bigint: true });
  if (statfsSync(`/proc/self/fd/${fd}`).type !== FUSE_MAGIC || ino !== ROOT_INODE) return 'not the root of a volume';
  const id = Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]);
  const mount = readMounts(`${proc}/mountinfo`).find((line) => line.id === id);
  // A stock secondary without --secondary-access-mount unmounts at once, but stays in the directory. The path of the
  // directory then reads `/`. rsync >= 3.4 looks for that path and would write to `/`.
  if (mount === undefined) return 'not mounted';
  if (mount.type !== 'fuse.glusterfs' || mount.root !== '/') return 'not a volume of GlusterFS';
  const volume = mount.source.slice(mount.source.indexOf(':') + 1);
  const args = fsDecode(readFileSync(`${proc}/cmdline`)).split('\0');
  return args.some((arg) => arg.endsWith(`::${volume}`)) ? null : 'not of the session';
}
