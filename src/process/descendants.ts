// Finds all descendants of a child, also after the child's end. The child's environment holds a mark, which its descendants
// inherit. A process group cannot serve for this: children are in this process's group, which glusterd stops to pause the
// session.

import { readdirSync, readFileSync } from 'node:fs';

export const MARK_VARIABLE = 'GSYNCD_TS_CHILD';
let markCount = 0;

/** A unique value of MARK_VARIABLE for a new child. */
export function newMark(): string {
  return `${process.pid}.${process.hrtime.bigint()}.${++markCount}`;
}

/** Pids of the processes in this process's group that have one of the marks. Reads all of /proc, so call it rarely. */
export function markedProcesses(marks: readonly string[]): number[] {
  const group = processGroupOf('self');
  const variables = marks.map((mark) => `${MARK_VARIABLE}=${mark}\0`);
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        if (processGroupOf(pid) !== group) return false;
        const environment = readFileSync(`/proc/${pid}/environ`, 'latin1');
        return variables.some((word) => environment.includes(word));
      } catch {
        return false; // it has ended, or belongs to another user
      }
    });
}

function processGroupOf(pid: number | 'self'): string | undefined {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2];
}
