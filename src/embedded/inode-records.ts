// Derives data and meta records of an inode from its attributes at the last record and now. Pure.
//
// A scan sees only times, sizes and attributes, not writes. Every change of a file sets its ctime, so a ctime change
// without another explanation is recorded as a write. One case is missed: a write whose mtime was set back, if mode, owner,
// an xattr or a name changed in the same interval. A change of the times alone looks like a write followed by a change of
// times. It is recorded as both.

import type { ChangeRecord } from '../changelog/record.js';
import type { Gfid } from '../protocol/gfid.js';
import { fileKind } from '../protocol/view.js';
import { isOutdated, type InodeAttributes } from './tree-index.js';

export interface AttributeChange {
  readonly before: InodeAttributes | null;
  readonly now: InodeAttributes;
  /** `created` or `named`: an entry operation of this scan created the inode, or changed one of its names. */
  readonly entry: 'created' | 'named' | 'none';
}

/** @returns records in the order in which programs usually make the changes: content, attributes, xattrs */
export function deriveInodeRecords(gfid: Gfid, change: AttributeChange): ChangeRecord[] {
  const { before, now, entry } = change;
  const isFile = fileKind(now.mode) === 'file';
  const data: ChangeRecord = { type: 'data', gfid };
  const meta = (fop: string): ChangeRecord => ({ type: 'meta', gfid, fop });
  const xattrs = meta(now.xattrs === '' ? 'REMOVEXATTR' : 'SETXATTR');
  if (entry === 'created') return [...(isFile && now.size > 0 ? [data] : []), ...(now.xattrs === '' ? [] : [xattrs])];
  // Changelogs from before a crash may describe a state that differs from both: record every kind of change.
  if (before === null || isOutdated(before)) return [...(isFile ? [data] : []), meta('SETATTR'), xattrs];
  if (before.ctimeNs === now.ctimeNs && (before.hasAmbiguousCtime !== true || hasSameAttributes(before, now)))
    return [];
  const hasChangedModeOrOwner = before.mode !== now.mode || before.uid !== now.uid || before.gid !== now.gid;
  const hasChangedXattrs = before.xattrs !== now.xattrs;
  const isModified = before.mtimeNs !== now.mtimeNs || before.size !== now.size;
  // A write sets mtime and ctime to the same time. If they differ, a program set the times, or something else changed.
  const hasSetTimes =
    isModified && now.mtimeNs !== now.ctimeNs && !hasChangedModeOrOwner && !hasChangedXattrs && entry === 'none';
  const isCtimeExplained = hasChangedModeOrOwner || hasChangedXattrs || entry === 'named';
  const records: ChangeRecord[] = [];
  if (isFile && (isModified || !isCtimeExplained)) records.push(data);
  if (
    hasChangedModeOrOwner ||
    (isFile ? hasSetTimes || (!isModified && !isCtimeExplained) : !isCtimeExplained && hasSetMtime(change))
  )
    records.push(meta('SETATTR'));
  if (hasChangedXattrs) records.push(xattrs);
  return records;
}

/** Whether a program set the times of an inode that is not a file. An operation in a directory changes both to the same
 *  time. */
function hasSetMtime({ before, now }: AttributeChange): boolean {
  return before?.mtimeNs !== now.mtimeNs && now.mtimeNs !== now.ctimeNs;
}

function hasSameAttributes(a: InodeAttributes, b: InodeAttributes): boolean {
  return (
    a.mtimeNs === b.mtimeNs &&
    a.size === b.size &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    a.xattrs === b.xattrs
  );
}
