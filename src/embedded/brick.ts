// Presents a plain-directory primary to the worker as a volume with one brick. The index of the recorder answers lookups.
// So they describe the state that the changelogs have recorded; later changes will be in a later changelog. stime and
// entry_stime are read and set through marks.ts.

import { lstat } from 'node:fs/promises';
import { gfidPath, GFID_PREFIX, isGfid, type Gfid } from '../protocol/gfid.js';
import { toFileStat, type FileStat } from '../gluster/file-stat.js';
import { entryStimeName, stimeName, xtimeName } from '../gluster/xattr-names.js';
import { compareXtime, ZERO_XTIME, type Xtime } from '../gluster/xtime.js';
import { fsEncode } from '../names.js';
import { absentAsNull } from '../native/if-there.js';
import type { PrimaryBrick, PrimaryVolume } from '../primary/deps.js';
import type { Location } from '../protocol/view.js';
import { fileKind } from '../protocol/view.js';
import { handlePath, type BrickLayout } from './layout.js';
import { openMarkStore, type MarkedInode } from './marks.js';
import type { Recorder } from './recorder.js';
import { placeOf, type IndexNode } from './tree-index.js';

export interface EmbeddedPrimary {
  readonly brick: PrimaryBrick;
  readonly volume: PrimaryVolume;
}

/** @param secondaryId part of the names of stime and entry_stime */
export function embeddedPrimary(layout: BrickLayout, recorder: Recorder, secondaryId: string): EmbeddedPrimary {
  const marks = openMarkStore(layout);
  const { identity } = layout;
  const findNode = (path: string): IndexNode | undefined => resolveNode(recorder, path);
  const gfidOf = (path: string): Promise<Gfid | null> => Promise.resolve(findNode(path)?.gfid ?? null);
  const markedInode = (path: string): MarkedInode | null => {
    const node = findNode(path);
    return node === undefined ? null : { gfid: node.gfid, path: absolutePath(layout, recorder, node) };
  };
  const mark = (path: string, name: string): Promise<Xtime | null> => {
    const inode = markedInode(path);
    return Promise.resolve(inode === null ? null : marks.get(inode, name));
  };
  const setMark = async (path: string, name: string, value: Xtime): Promise<void> => {
    const inode = markedInode(path);
    if (inode !== null) await marks.set(inode, name, value);
  };
  const hasXattrs = (node: IndexNode | undefined): Promise<boolean> =>
    Promise.resolve((node?.look?.xattrs ?? '') !== '');
  const statOf = (node: IndexNode | undefined, ownLinks: number): Promise<FileStat | null> =>
    Promise.resolve(node === undefined ? null : fileStat(node, ownLinks));

  return {
    brick: {
      xtime: (path) => {
        const xtime = findNode(path)?.xtime;
        return Promise.resolve(xtime === undefined || compareXtime(xtime, ZERO_XTIME) === 0 ? null : xtime);
      },
      legacyStime: (path, volumeUuid) => mark(path, xtimeName(`${volumeUuid}.${secondaryId}`)),
      stime: (path, volumeUuid) => mark(path, stimeName(volumeUuid, secondaryId)),
      setStime: (path, volumeUuid, value) => setMark(path, stimeName(volumeUuid, secondaryId), value),
      entryStime: (volumeUuid) => mark('.', entryStimeName(volumeUuid, secondaryId)),
      setEntryStime: (volumeUuid, value) => setMark('.', entryStimeName(volumeUuid, secondaryId), value),
      entries: (path) => Promise.resolve([...(findNode(path)?.children?.keys() ?? [])]),
      lstat: (path) => statOf(findNode(path), 1),
      gfid: gfidOf,
      isLinkto: () => Promise.resolve(false),
      hasXattrs: (path) => hasXattrs(findNode(path)),
      gfidHasXattrs: (gfid) => hasXattrs(recorder.index.nodes.get(gfid)),
      hasPendingHeals: () => Promise.resolve(false),
      fileOf: (gfid) => {
        const node = recorder.index.nodes.get(gfid);
        return node !== undefined && fileKind(node.mode) === 'file' ? fileOf(layout, node) : Promise.resolve(null);
      },
      dirLocation: (gfid) => {
        const node = recorder.index.nodes.get(gfid);
        return Promise.resolve(node !== undefined && node.children !== null ? (placeOf(node) ?? null) : null);
      },
      fileLocations: (gfid): Promise<Location[]> => {
        const node = recorder.index.nodes.get(gfid);
        return Promise.resolve(node?.children === null ? [...node.names.values()] : []);
      },
      childNames: (gfid) => Promise.resolve([...(recorder.index.nodes.get(gfid)?.children?.keys() ?? [])]),
    },
    volume: {
      lstat: (path) => statOf(findNode(path), 0),
      readlink: (path) => Promise.resolve(findNode(path)?.look?.target ?? null),
      gfidOf,
      nativeVolumeInfo: () =>
        Promise.resolve({ version: [1, 0], uuid: identity.volumeId, retval: 0, volumeMark: [identity.created, 0] }),
      foreignVolumeInfos: () => Promise.resolve([]),
      nodeUuids: () => Promise.resolve([identity.nodeId]),
      isReplicated: () => Promise.resolve(false),
      clusterStime: (volumeUuid) => mark('.', stimeName(volumeUuid, secondaryId)),
      setXtime: (path, _volumeUuid, value) => {
        const node = findNode(path);
        if (node !== undefined) recorder.setXtime(node.gfid, value);
        return Promise.resolve();
      },
      announceFailures: () => Promise.resolve(),
      bricksWithFailures: () => Promise.resolve([]),
    },
  };
}

/** @param path `.`, a path from the root, `.gfid/<gfid>` or `.gfid/<gfid>/<name>` */
function resolveNode({ index }: Recorder, path: string): IndexNode | undefined {
  if (!path.startsWith(GFID_PREFIX)) return index.nodeAt(path);
  const [gfid = '', name] = path.slice(GFID_PREFIX.length).split('/');
  if (!isGfid(gfid)) return undefined;
  const node = index.nodes.get(gfid);
  if (name === undefined) return node;
  const child = node?.children?.get(name);
  return child === undefined ? undefined : index.nodes.get(child);
}

function absolutePath(layout: BrickLayout, { index }: Recorder, node: IndexNode): string {
  if (node.children === null) return handlePath(layout, node.gfid);
  const path = index.pathOf(node.gfid);
  return path === '.' ? layout.root : `${layout.root}/${path ?? gfidPath(node.gfid)}`;
}

/** The index does not hold the allocated size: the file system supplies it. */
async function fileOf(layout: BrickLayout, node: IndexNode): Promise<FileStat> {
  const indexed = fileStat(node, 1);
  const file = await absentAsNull(lstat(fsEncode(handlePath(layout, node.gfid))));
  return file === null ? indexed : { ...indexed, allocatedBytes: toFileStat(file).allocatedBytes };
}

function fileStat({ mode, look, names, children }: IndexNode, ownLinks: number): FileStat {
  return {
    mode,
    uid: look?.uid ?? 0,
    gid: look?.gid ?? 0,
    size: look?.size ?? 0,
    allocatedBytes: look?.size ?? 0,
    atime: Number(look?.atimeNs ?? 0n) / 1e9,
    mtime: Number(look?.mtimeNs ?? 0n) / 1e9,
    nlink: children === null ? names.size + ownLinks : 2,
    rdev: look?.rdev ?? 0,
  };
}
