// Where a transfer goes: into the mount of the secondary that serves the same ssh connection. The secondary's working
// directory is that mount, but only while the mount is up, and its process id may become another process's; so the
// process and its directory are opened once, what was opened is checked, and that is entered. No path is used twice.

import { constants, closeSync, fstatSync, openSync, readFileSync, statfsSync } from 'node:fs';
import { errorLine, GsyncdError } from '../errors.js';
import { fsDecode } from '../names.js';
import { readMounts } from '../native/mountinfo.js';

const O_PATH = 0o10000000;
const FUSE_MAGIC = 0x65735546;
const ROOT_INODE = 1n;

export interface SessionMount {
  /** The mount's root, as the transfer's program is to name it. */
  readonly directory: string;
  /** Descriptors that the program must inherit. */
  readonly keepFds: readonly number[];
}

/**
 * Makes the session's mount the working directory of this process.
 * @param pid the secondary of the session
 * @param isSecondary whether `pid` is the secondary of this ssh connection; asked when the process has been opened
 * @throws GsyncdError 'preflight' when it is not, or its directory is not the root of its volume's mount
 */
export function enterSessionMount(pid: number, isSecondary: () => boolean): SessionMount {
  try {
    // A descriptor of a process's directory in /proc never becomes another process's.
    const proc = `/proc/self/fd/${openSync(`/proc/${pid}`, constants.O_RDONLY | constants.O_DIRECTORY)}`;
    if (!isSecondary()) throw new Error('the secondary has gone');
    const fd = openSync(`${proc}/cwd`, O_PATH | constants.O_DIRECTORY);
    const state = stateOf(fd, proc);
    if (state === 'detached') return detached(fd);
    if (state !== 'mounted') throw new Error(state);
    process.chdir(`/proc/self/fd/${fd}`);
    closeSync(fd);
    return { directory: '.', keepFds: [] };
  } catch (error) {
    throw new GsyncdError(`the session's mount: ${errorLine(error)}`, { code: 'preflight', cause: error });
  }
}

/** What the directory `fd` is to the process whose directory in /proc is `proc`; otherwise why it is no mount of its. */
function stateOf(fd: number, proc: string): string {
  const { ino } = fstatSync(fd, { bigint: true });
  if (statfsSync(`/proc/self/fd/${fd}`).type !== FUSE_MAGIC || ino !== ROOT_INODE) return 'not the root of a volume';
  const id = Number(/^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1]);
  const mount = readMounts(`${proc}/mountinfo`).find((line) => line.id === id);
  const [program = '', ...args] = fsDecode(readFileSync(`${proc}/cmdline`)).split('\0');
  if (mount === undefined) return /\/python[\d.]*$|^python[\d.]*$/.test(program) ? 'detached' : 'not mounted';
  if (mount.type !== 'fuse.glusterfs' || mount.root !== '/') return 'not a volume of GlusterFS';
  const volume = mount.source.slice(mount.source.indexOf(':') + 1);
  return args.some((arg) => arg.endsWith(`::${volume}`)) ? 'mounted' : 'not of the session';
}

/** A stock secondary's mount, which is unmounted as soon as it is its working directory. rsync cannot start there, for
 *  want of a path of its working directory; it can go there. */
function detached(fd: number): SessionMount {
  process.chdir('/');
  return { directory: `/proc/self/fd/${fd}`, keepFds: [fd] };
}
