// The kernel's table of mounts, /proc/PID/mountinfo.

import { readFileSync } from 'node:fs';
import { fsDecode } from '../names.js';

export interface MountLine {
  /** As in the `mnt_id` of /proc/PID/fdinfo/FD. */
  readonly id: number;
  /** Directory of the file system that is the mount's root; `/` unless only a part of the file system is mounted. */
  readonly root: string;
  /** In the form of names.ts. */
  readonly mountPoint: string;
  /** `rw`, `nosuid`, … of this mount, not of its file system. */
  readonly options: readonly string[];
  /** `fuse.glusterfs`, … */
  readonly type: string;
  /** Source of the mount: `HOST:VOLUME` for GlusterFS. */
  readonly source: string;
}

/** Mounts in the order in which they were made. If a mount point has several, only the last one is visible. */
export function readMounts(path = '/proc/self/mountinfo'): MountLine[] {
  return parseMounts(readFileSync(path));
}

/** Skips malformed lines. */
export function parseMounts(table: Buffer): MountLine[] {
  return table
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const [mountPart = '', fileSystemPart = ''] = line.split(' - ', 2);
      const [id, , , root, mountPoint, options] = mountPart.split(' ');
      const [type, source] = fileSystemPart.split(' ');
      if (
        id === undefined ||
        root === undefined ||
        mountPoint === undefined ||
        options === undefined ||
        type === undefined ||
        source === undefined
      )
        return [];
      return [
        {
          id: Number(id),
          root: unescapeOctal(root),
          mountPoint: unescapeOctal(mountPoint),
          options: options.split(','),
          type,
          source: unescapeOctal(source),
        },
      ];
    });
}

/** The kernel writes a blank or a backslash as a backslash and three octal digits. */
function unescapeOctal(word: string): string {
  const bytes = word.replaceAll(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
  return fsDecode(Buffer.from(bytes, 'latin1'));
}
