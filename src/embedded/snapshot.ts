// Keeps the tree index on disk, so that a start need not replay all changelogs. Format: lines of JSON. The first has the
// version, the number of inodes, and the time of the last closed changelog that the snapshot contains. Each other line is
// an inode. At a start, changelogs closed later and the open one are applied to it.

import { ROOT_GFID, type Gfid } from '../protocol/gfid.js';
import { replaceFile } from '../native/durable-file.js';
import { readTextIfExists } from '../native/if-there.js';
import { TreeIndex, type InodeAttributes } from './tree-index.js';

const VERSION = 2;

type AttributesLine = readonly [
  ino: string,
  birth: string,
  uid: number,
  gid: number,
  size: number,
  mtime: string,
  ctime: string,
  atime: string,
  xattrs: string,
  target: string | null,
  rdev: number,
];
type NodeLine = readonly [
  gfid: Gfid,
  mode: number,
  xtimeS: number,
  xtimeUs: number,
  names: readonly (readonly [Gfid, string])[],
  look: AttributesLine | null,
];

export interface Snapshot {
  readonly index: TreeIndex;
  /** Time of the last closed changelog in it, seconds. */
  readonly changelogsUpTo: number;
}

/** @returns null if there is no snapshot, or it cannot be used: then the whole brick is indexed */
export async function loadSnapshot(file: string): Promise<Snapshot | null> {
  const text = await readTextIfExists(file);
  if (text === null) return null;
  try {
    return parseSnapshot(text);
  } catch {
    return null;
  }
}

/** @throws errors of JSON.parse() and of TreeIndex for a damaged snapshot */
function parseSnapshot(text: string): Snapshot | null {
  const [head = '', ...lines] = text.split('\n').filter((line) => line !== '');
  const {
    version,
    journalsUpTo: changelogsUpTo,
    count,
  } = JSON.parse(head) as { version: number; journalsUpTo: unknown; count: number };
  if (version !== VERSION || typeof changelogsUpTo !== 'number' || count !== lines.length) return null;
  const index = new TreeIndex();
  const parsed = lines.map((line) => JSON.parse(line) as NodeLine);
  for (const [gfid, mode, ...xtime] of parsed) {
    const node = gfid === ROOT_GFID ? index.root : index.add(gfid, mode);
    node.xtime = [xtime[0], xtime[1]];
  }
  for (const [gfid, mode, , , names, attributes] of parsed) {
    for (const [parent, name] of names) index.attach({ parent, name }, gfid);
    if (attributes !== null) index.setAttributes(index.require(gfid), parseAttributes(mode, attributes));
  }
  return { index, changelogsUpTo };
}

export async function saveSnapshot(file: string, { index, changelogsUpTo }: Snapshot): Promise<void> {
  const lines = [JSON.stringify({ version: VERSION, journalsUpTo: changelogsUpTo, count: index.nodes.size })];
  for (const { gfid, mode, xtime, names, look } of index.nodes.values()) {
    const line: NodeLine = [
      gfid,
      mode,
      xtime[0],
      xtime[1],
      [...names.values()].map(({ parent, name }) => [parent, name] as const),
      look && formatAttributes(look),
    ];
    lines.push(JSON.stringify(line));
  }
  await replaceFile(file, `${lines.join('\n')}\n`);
}

function formatAttributes(attributes: InodeAttributes): AttributesLine {
  const { ino, birthNs, uid, gid, size, mtimeNs, ctimeNs, atimeNs, xattrs, target, rdev } = attributes;
  return [
    String(ino),
    String(birthNs),
    uid,
    gid,
    size,
    String(mtimeNs),
    String(ctimeNs),
    String(atimeNs),
    xattrs,
    target,
    rdev,
  ];
}

function parseAttributes(
  mode: number,
  [ino, birth, uid, gid, size, mtime, ctime, atime, xattrs, target, rdev]: AttributesLine,
): InodeAttributes {
  return {
    ino: BigInt(ino),
    birthNs: BigInt(birth),
    mode,
    uid,
    gid,
    size,
    mtimeNs: BigInt(mtime),
    ctimeNs: BigInt(ctime),
    atimeNs: BigInt(atime),
    xattrs,
    target,
    rdev,
  };
}
