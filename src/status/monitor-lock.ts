// Checks whether a session's monitor runs: a monitor holds the record lock of its pid file. The kernel's list of locks
// answers in most cases. The native calls take longer to load than the rest of status, so they run only if that list
// shows no such lock.

import { readFileSync, statSync } from 'node:fs';
import { fsEncode } from '../names.js';

export async function isMonitorRunning(pidFile: string): Promise<boolean> {
  const stat = statSync(fsEncode(pidFile), { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (isListed(stat.dev, stat.ino)) return true;
  const { isLocked } = await import('../native/locks.js');
  return isLocked(pidFile);
}

/** A line is `1: POSIX  ADVISORY  WRITE 812 00:1a:1234 0 EOF`, with hexadecimal device numbers. A file system may list
 *  its files under other numbers than stat shows, so only a hit is conclusive. */
function isListed(dev: bigint, ino: bigint): boolean {
  const major = ((dev >> 8n) & 0xfffn) | ((dev >> 32n) & ~0xfffn);
  const minor = (dev & 0xffn) | ((dev >> 12n) & ~0xffn);
  const hex = (n: bigint): string => n.toString(16).padStart(2, '0');
  const file = ` ${hex(major)}:${hex(minor)}:${ino} `;
  let locks: string;
  try {
    locks = readFileSync('/proc/locks', 'utf8');
  } catch {
    return false;
  }
  return locks.split('\n').some((line) => line.includes(file) && /: (?:POSIX|OFDLCK) +ADVISORY +WRITE /.test(line));
}
