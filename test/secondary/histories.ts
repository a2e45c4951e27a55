// Random histories as the entry operations that replay them.

import { entryPath, type Gfid } from '../../src/protocol/gfid.js';
import { fileKind, S_IFDIR, S_IFLNK, S_IFREG } from '../../src/protocol/view.js';
import type { EntryOp, OpStat } from '../../src/protocol/secondary.js';
import { changeArb, Changer, type Change } from '../primary/model/changes.js';
import { ChangelogWriter } from '../primary/model/changelog.js';
import { kindOf, ModelVolume } from '../primary/model/volume.js';
import { fc } from '../seeds.js';

const MODES = {
  dir: S_IFDIR | 0o755,
  file: S_IFREG | 0o644,
  symlink: S_IFLNK | 0o777,
  special: 0o010644,
  device: 0o060644,
} as const;

/** Entry operations that replay `changes`, with the attributes of each inode at that time. */
function operations(changes: readonly Change[]): EntryOp[] {
  const volume = new ModelVolume(() => 1);
  const changelog = new ChangelogWriter(volume, () => [1, 0]);
  const changer = new Changer(volume, 0x10);
  const stats = new Map<Gfid, { stat: OpStat; link: string | null }>();
  for (const change of changes) {
    changer.make(change);
    for (const inode of volume.inodes.values()) {
      stats.set(inode.gfid, {
        stat: { uid: 0, gid: 0, mode: MODES[kindOf(inode)], atime: 1, mtime: 1 },
        link: kindOf(inode) === 'symlink' ? inode.target : null,
      });
    }
  }
  changelog.rollover(2);
  const ops: EntryOp[] = [];
  for (const record of changelog.changelogs[0]?.records ?? []) {
    if (record.type !== 'entry') continue;
    const { gfid, fop, parent, name, newParent, newName, mode = 0, uid = 0, gid = 0 } = record;
    const known = stats.get(gfid) ?? { stat: null, link: null };
    const entry = entryPath(parent, name);
    const op = fop as EntryOp['op'];
    if (newParent !== undefined && newName !== undefined)
      ops.push({ op, gfid, entry, entry1: entryPath(newParent, newName), ...known });
    else if (op === 'LINK' || op === 'SYMLINK') ops.push({ op, gfid, entry, ...known });
    else if (op === 'UNLINK' || op === 'RMDIR') ops.push({ op, gfid, entry });
    else ops.push({ op, gfid, entry, mode, uid, gid });
  }
  return ops;
}

/** All histories use the same gfids, so that two histories give one gfid different names and types. */
export const histories: fc.Arbitrary<EntryOp[]> = fc.array(changeArb(), { maxLength: 60, size: 'max' }).map(operations);

/** Two histories in which the same gfids have different names and owners, but never a different type. */
export const conflicts: fc.Arbitrary<{ before: EntryOp[]; ops: EntryOp[] }> = fc
  .tuple(histories, histories)
  .map(([before, ops]) => {
    const types = typesOf(before);
    const others = typesOf(ops);
    return { before, ops: ops.filter(({ gfid }) => !types.has(gfid) || types.get(gfid) === others.get(gfid)) };
  });

function typesOf(ops: readonly EntryOp[]): Map<Gfid, string> {
  const types = new Map<Gfid, string>();
  for (const { op, gfid, mode = 0 } of ops) {
    if (op === 'MKDIR' || op === 'SYMLINK') types.set(gfid, op);
    else if (op === 'CREATE' || op === 'MKNOD') types.set(gfid, fileKind(mode));
  }
  return types;
}
