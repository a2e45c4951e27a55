// Records the mounts of a worker in a small file of its working directory. If a worker is killed, the next one finds and
// removes its dead mount points, their directories and its glusterfs processes. An entry is written before its mount exists
// and removed after the mount is gone. A process is identified by its start time and command line, because the kernel
// reuses process ids.

import { constants } from 'node:os';
import { readFile, rmdir } from 'node:fs/promises';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';
import { replaceFile } from '../native/durable-file.js';
import { absentAsNull } from '../native/if-there.js';
import { errnoNumber, unmount } from '../native/libc.js';
import { withFlock } from '../native/locks.js';

/** A process and when it started, in clock ticks since boot (field 22 of /proc/PID/stat). */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTime: string;
}

export interface MountRecord {
  readonly mountPoint: string;
  readonly worker: ProcessIdentity;
  readonly glusterfs: ProcessIdentity | null;
}

const KILL_WAIT_MS = 5_000;
const KILL_POLL_MS = 50;

/** null when there is no such process. */
export async function identifyProcess(pid: number): Promise<ProcessIdentity | null> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [state, startTime] = [fields[0], fields[19]];
    return startTime === undefined || state === 'Z' ? null : { pid, startTime };
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || errnoNumber(error) === constants.errno.ESRCH) return null;
    throw error;
  }
}

async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await identifyProcess(identity.pid))?.startTime === identity.startTime;
}

/** Adds or replaces the record of a mount point. */
export async function recordMount(registry: string, record: MountRecord): Promise<void> {
  await updateRegistry(registry, (records) => [...records.filter((r) => r.mountPoint !== record.mountPoint), record]);
}

export async function forgetMount(registry: string, mountPoint: string): Promise<void> {
  await updateRegistry(registry, (records) => records.filter((r) => r.mountPoint !== mountPoint));
}

/** Removes the mounts, directories and glusterfs processes of dead workers. Records of living workers stay.
 *  @returns the mount points that were removed
 *  @throws system errors; what could not be removed stays in the registry */
export async function removeDeadMounts(registry: string): Promise<string[]> {
  const removed: string[] = [];
  for (const record of await readRegistry(registry)) {
    if (await isAlive(record.worker)) continue;
    if (record.glusterfs !== null) await endGlusterfs(record.glusterfs, record.mountPoint);
    await removeMountPoint(record.mountPoint);
    await forgetMount(registry, record.mountPoint);
    removed.push(record.mountPoint);
  }
  return removed;
}

/** Unmounts everything that is stacked there and removes the directory. Idempotent. */
export async function removeMountPoint(mountPoint: string): Promise<void> {
  for (let layers = 0; layers < 8; layers++) {
    try {
      await unmount(mountPoint, 'lazy');
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === constants.errno.EINVAL || errno === constants.errno.ENOENT) break;
      throw error;
    }
  }
  await absentAsNull(rmdir(fsEncode(mountPoint)));
}

/** Sends SIGTERM, then SIGKILL. The process is no child of this one, so its end is polled. */
async function endGlusterfs(server: ProcessIdentity, mountPoint: string): Promise<void> {
  if (!(await isAlive(server))) return;
  const cmdline = await readFile(`/proc/${server.pid}/cmdline`).catch(() => Buffer.alloc(0));
  if (!cmdline.includes(fsEncode(mountPoint))) return;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    try {
      process.kill(server.pid, signal);
    } catch (error) {
      if (errnoCode(error) === 'ESRCH') return;
      throw error;
    }
    for (let waitedMs = 0; waitedMs < KILL_WAIT_MS; waitedMs += KILL_POLL_MS) {
      if (!(await isAlive(server))) return;
      await new Promise((resolve) => setTimeout(resolve, KILL_POLL_MS));
    }
  }
}

async function updateRegistry(registry: string, change: (records: MountRecord[]) => MountRecord[]): Promise<void> {
  await withFlock(registry, async () => {
    await replaceFile(registry, `${JSON.stringify(change(await readRegistry(registry)))}\n`);
  });
}

/** A missing or broken file yields no records, because its content cannot be recovered. */
async function readRegistry(registry: string): Promise<MountRecord[]> {
  try {
    const found: unknown = JSON.parse(await readFile(fsEncode(registry), 'utf8'));
    return Array.isArray(found) ? found.filter(isMountRecord) : [];
  } catch (error) {
    if (errnoCode(error) === 'ENOENT' || error instanceof SyntaxError) return [];
    throw error;
  }
}

function isMountRecord(value: unknown): value is MountRecord {
  if (typeof value !== 'object' || value === null) return false;
  const { mountPoint, worker, glusterfs } = value as Partial<Record<keyof MountRecord, unknown>>;
  return (
    typeof mountPoint === 'string' &&
    mountPoint.startsWith('/') &&
    isProcessIdentity(worker) &&
    (glusterfs === null || isProcessIdentity(glusterfs))
  );
}

function isProcessIdentity(value: unknown): value is ProcessIdentity {
  return (
    typeof value === 'object' &&
    value !== null &&
    'pid' in value &&
    Number.isInteger(value.pid) &&
    'startTime' in value &&
    typeof value.startTime === 'string'
  );
}
