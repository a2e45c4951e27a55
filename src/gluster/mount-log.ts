// Finds the reason for a failed mount in glusterfs's own log, because glusterfs writes nothing to stderr.

import { open, stat } from 'node:fs/promises';
import { fsEncode } from '../names.js';
import { absentAsNull } from '../native/if-there.js';

const MAX_READ_BYTES = 64 * 1024;
const MAX_LINES = 2;
/** `[time] E [MSGID: n] [file.c:1:function] 0-name: message`. When no server answers, mgmt_rpc_notify logs that at level I. */
const REASON_LINE = /^\[[^\]]+\] (?:[ECA] (?:\[[^\]]*\] )*|I \[[^\]]*:mgmt_rpc_notify\] )(?<text>.*)$/;

/** Size of the log in bytes before glusterfs starts, 0 when there is none. */
export async function logSize(logFile: string): Promise<number> {
  return (await absentAsNull(stat(fsEncode(logFile))))?.size ?? 0;
}

/** The last error messages, at most two, that were logged after the log had `start` bytes. */
export async function logErrorsSince(logFile: string, start: number): Promise<string[]> {
  const file = await absentAsNull(open(fsEncode(logFile), 'r'));
  if (file === null) return [];
  try {
    const { size } = await file.stat();
    const from = Math.max(size < start ? 0 : start, size - MAX_READ_BYTES);
    const buffer = Buffer.alloc(size - from);
    const { bytesRead } = await file.read(buffer, 0, buffer.length, from);
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n');
    const errors = lines
      .map((line) => REASON_LINE.exec(line)?.groups?.['text']?.trim() ?? '')
      .filter((text) => text !== '');
    return [...new Set(errors)].slice(-MAX_LINES);
  } finally {
    await file.close();
  }
}
