// Comparison of two model volumes: names, identities, types, attributes and contents.

import { entryPath, GFID_PREFIX } from '../../../src/protocol/gfid.js';
import { kindOf, type Inode, type ModelVolume } from './volume.js';

/** The properties of an inode that must be equal on both sides. */
function describe(inode: Inode): string {
  const kind = kindOf(inode);
  const owner = `${inode.uid}:${inode.gid}`;
  if (kind === 'symlink') return `${inode.gfid} symlink ${owner} -> ${JSON.stringify(inode.target)}`;
  const attributes = `${inode.gfid} ${kind} ${(inode.mode & 0o7777).toString(8)} ${owner}`;
  if (kind === 'file') return `${attributes} mtime=${inode.mtime} content=${inode.content} xattr=${inode.xattr}`;
  return kind === 'dir' ? `${attributes} xattr=${inode.xattr}` : attributes;
}

/** Every name of a volume, as an entry path, and what it holds. */
export function listing(volume: ModelVolume): Map<string, string> {
  const out = new Map<string, string>([['.', describe(volume.root)]]);
  const visit = (dir: Inode): void => {
    for (const [name, inode] of dir.entries ?? []) {
      out.set(entryPath(dir.gfid, name), describe(inode));
      visit(inode);
    }
  };
  visit(volume.root);
  return out;
}

/** One line for each name that differs; skips names for which `ignored` holds, and everything below them. */
export function differences(
  primary: ModelVolume,
  secondary: ModelVolume,
  ignored: (path: string) => boolean = () => false,
): string[] {
  const here = listing(primary);
  const there = listing(secondary);
  const out: string[] = [];
  for (const path of new Set([...here.keys(), ...there.keys()])) {
    const [a, b] = [here.get(path), there.get(path)];
    if (a !== b && !isBelow(primary, path, ignored) && !isBelow(secondary, path, ignored)) {
      out.push(`${JSON.stringify(path)}: primary ${a ?? 'nothing'}; secondary ${b ?? 'nothing'}`);
    }
  }
  return out;
}

/** Whether `path` or a directory above it is ignored. */
function isBelow(volume: ModelVolume, path: string, ignored: (path: string) => boolean): boolean {
  for (let at = path; ;) {
    if (ignored(at)) return true;
    if (!at.startsWith(GFID_PREFIX)) return false;
    const parent = volume.find(at.slice(0, GFID_PREFIX.length + 36));
    const [above] = parent?.names ?? [];
    if (above === undefined) return false;
    at = above;
  }
}
