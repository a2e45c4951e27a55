// Lookups of names on the primary, for conflict resolution and retries.

import { entryPath, gfidPath, type Gfid } from '../../protocol/gfid.js';
import { mapBounded } from '../../async/map-bounded.js';
import { LOOKUPS_AT_ONCE } from '../batch/lookups.js';
import { tryInode, InodeError } from '../inode-error.js';
import { fileKind, type BrickView, type FileKind, type PrimaryView, type ViewStat } from '../../protocol/view.js';

export interface PrimaryEntry {
  readonly gfid: Gfid;
  readonly stat: ViewStat;
  readonly kind: FileKind;
}

/** Looks up names (entry paths) on the primary. Absent names have null. Names whose lookup fails are in `errors`, with the
 *  reason. */
export async function lookUpEntries(
  view: PrimaryView,
  names: Iterable<string>,
): Promise<{ found: Map<string, PrimaryEntry | null>; errors: Map<string, string> }> {
  const found = new Map<string, PrimaryEntry | null>();
  const errors = new Map<string, string>();
  await mapBounded([...names], LOOKUPS_AT_ONCE, async (name) => {
    const entry = await tryInode(lookUpEntry(view, name));
    if (entry instanceof InodeError) errors.set(name, entry.reason);
    else found.set(name, entry);
  });
  return { found, errors };
}

/** Names to compare and gfids to send for some names and everything below them. */
export interface Contents {
  readonly names: Set<string>;
  /** Files. */
  readonly dataGfids: Set<Gfid>;
  /** All others. */
  readonly metaGfids: Set<Gfid>;
  /** Names that cannot be looked up, and directories that cannot be listed, with the reason. */
  readonly errors: Map<string, string>;
}

/** Collects names (entry paths) and everything below them that this brick holds. */
export async function lookUpContents(
  view: PrimaryView,
  brick: Pick<BrickView, 'childNames'>,
  names: Iterable<string>,
): Promise<Contents> {
  const contents: Contents = { names: new Set(), dataGfids: new Set(), metaGfids: new Set(), errors: new Map() };
  for (let level = new Set(names); level.size > 0;) {
    const below = new Set<string>();
    const { found, errors } = await lookUpEntries(view, level);
    for (const [name, reason] of errors) contents.errors.set(name, reason);
    for (const [name, entry] of found) {
      const children = entry?.kind === 'dir' ? await tryInode(brick.childNames(entry.gfid)) : [];
      if (children instanceof InodeError) {
        contents.errors.set(name, children.reason);
        continue;
      }
      contents.names.add(name);
      if (entry === null) continue;
      (entry.kind === 'file' ? contents.dataGfids : contents.metaGfids).add(entry.gfid);
      for (const child of children) below.add(entryPath(entry.gfid, child));
    }
    level = below;
  }
  return contents;
}

async function lookUpEntry(view: PrimaryView, name: string): Promise<PrimaryEntry | null> {
  const gfid = await view.gfidOf(name);
  const stat = gfid === null ? null : await view.lstat(gfidPath(gfid));
  return gfid === null || stat === null ? null : { gfid, stat, kind: fileKind(stat.mode) };
}
