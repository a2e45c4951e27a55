// Whether a session's monitor runs, which is whether somebody holds the record lock of its pid file. The kernel's list of
// locks answers in most cases; loading the native calls takes longer than everything else that status does, so they are asked
// only when that list shows no such lock.

import { readFileSync, statSync } from 'node:fs';
import { fsEncode } from '../names.js';

export async function isMonitorRunning(pidFile: string): Promise<boolean> {
  const stat = statSync(fsEncode(pidFile), { bigint: true, throwIfNoEntry: false });
  if (stat === undefined) return false;
  if (isListed(stat.dev, stat.ino)) return true;
  const { isLocked } = await import('../native/locks.js');
  return isLocked(pidFile);
}

/** `1: POSIX  ADVISORY  WRITE 812 00:1a:1234 0 EOF`: device numbers are hexadecimal. A file system may list its
 *  files under other numbers than stat shows, so that only a hit is an answer. */
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
