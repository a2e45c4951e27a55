// Finds what a child has started, however deep, after the child's own end, too: the child gets a word into its
// environment, which its descendants inherit. A process group cannot serve for that: children are in this process's own,
// which glusterd stops as a whole when the session is paused.

import { readdirSync, readFileSync } from 'node:fs';

export const MARK_VARIABLE = 'GSYNCD_TS_CHILD';
let marked = 0;

/** A value of MARK_VARIABLE for a new child, which no other child has. */
export function newMark(): string {
  return `${process.pid}.${process.hrtime.bigint()}.${++marked}`;
}

/** Pids of the processes in this one's group that have one of the marks. Reads all of /proc: for rare events. */
export function markedProcesses(marks: readonly string[]): number[] {
  const group = groupOf('self');
  const words = marks.map((mark) => `${MARK_VARIABLE}=${mark}\0`);
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).filter((pid) => {
    try {
      if (groupOf(pid) !== group) return false;
      const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
      return words.some((word) => environment.includes(word));
    } catch {
      return false; // it is gone, or another user's
    }
  });
}

function groupOf(pid: number | 'self'): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2];
}
