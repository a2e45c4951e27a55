// Which data and attribute records an inode's look asks for, compared with how it looked when it was last recorded.
// Pure. Used by the recorder.
//
// A scan cannot see a write as such, only times, sizes and attributes. Every way to change a file sets its ctime; a
// change of the ctime that nothing else explains counts as a write. What is not told from it: a write whose time
// was set back in the same interval in which mode, owner, an xattr or a name of the file changed, too. A change of
// the times alone looks like a write and then a change of times, and is recorded as both.

import type { ChangeRecord } from '../changelog/record.js';
import type { Gfid } from '../protocol/gfid.js';
import { fileKind } from '../protocol/view.js';
import { isOutdated, type InodeLook } from './tree-index.js';

export interface LookChange {
  readonly before: InodeLook | null;
  readonly now: InodeLook;
  /** Whether an entry operation of this scan created it, or touched one of its names. */
  readonly entry: 'created' | 'named' | 'none';
}

/** In the order in which a program usually makes the changes: content, attributes, xattrs. */
export function changeRecords(gfid: Gfid, change: LookChange): ChangeRecord[] {
  const { before, now, entry } = change;
  const isFile = fileKind(now.mode) === 'file';
  const data: ChangeRecord = { type: 'data', gfid };
  const meta = (fop: string): ChangeRecord => ({ type: 'meta', gfid, fop });
  const xattrs = meta(now.xattrs === '' ? 'REMOVEXATTR' : 'SETXATTR');
  if (entry === 'created') return [...(isFile && now.size > 0 ? [data] : []), ...(now.xattrs === '' ? [] : [xattrs])];
  // A changelog that was written before a crash may differ from both.
  if (before === null || isOutdated(before)) return [...(isFile ? [data] : []), meta('SETATTR'), xattrs];
  if (before.ctimeNs === now.ctimeNs && (before.isUnsure !== true || isSame(before, now))) return [];
  const isOwned = before.mode !== now.mode || before.uid !== now.uid || before.gid !== now.gid;
  const hasXattrs = before.xattrs !== now.xattrs;
  const isTouched = before.mtimeNs !== now.mtimeNs || before.size !== now.size;
  // A write sets both times to the same moment; where they differ, the times were set, or something else changed.
  const areTimesSet = isTouched && now.mtimeNs !== now.ctimeNs && !isOwned && !hasXattrs && entry === 'none';
  const isExplained = isOwned || hasXattrs || entry === 'named';
  const records: ChangeRecord[] = [];
  if (isFile && (isTouched || !isExplained)) records.push(data);
  if (isOwned || (isFile ? areTimesSet || (!isTouched && !isExplained) : !isExplained && isOddTime(change))) records.push(meta('SETATTR'));
  if (hasXattrs) records.push(xattrs);
  return records;
}

/** Whether the times of an entry that is no file were set, rather than changed by an operation in a directory. */
function isOddTime({ before, now }: LookChange): boolean {
  return before?.mtimeNs !== now.mtimeNs && now.mtimeNs !== now.ctimeNs;
}

function isSame(a: InodeLook, b: InodeLook): boolean {
  return a.mtimeNs === b.mtimeNs && a.size === b.size && a.mode === b.mode && a.uid === b.uid && a.gid === b.gid && a.xattrs === b.xattrs;
}
