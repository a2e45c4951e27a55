// Volume-wide values that a mount shows as virtual xattrs of its root. They are the volume marks (its own and those of
// foreign primaries), the nodes whose bricks answer, and the stime of the cluster. All calls run in the thread pool,
// because the mount may answer slowly.

import type { VolumeInfo } from '../protocol/secondary.js';
import { errnoCode } from '../errors.js';
import { fsEncode } from '../names.js';
import { llistxattrAsync } from '../native/libc.js';
import { loadAttributeCalls } from '../native/mount-attributes.js';
import { gfidFromBytes } from '../protocol/gfid.js';
import { foreignMarkName, NODE_UUID, PATHINFO, stimeName, VOLUME_MARK } from './xattr-names.js';
import { unpackXtime } from './xtime.js';
import type { Xtime } from './xtime.js';

const NATIVE_BYTES = 27;
const FOREIGN_BYTES = 31;

/** Unpacks a native mark: version 2 bytes, uuid 16, retval 1, seconds u32, microseconds u32, big-endian. A foreign mark has
 *  its expiry, u32 seconds, at the end.
 *  @throws RangeError for any other length */
export function unpackVolumeMark(bytes: Buffer): VolumeInfo {
  if (bytes.length !== NATIVE_BYTES && bytes.length !== FOREIGN_BYTES) {
    throw new RangeError(`volume mark: ${bytes.length} bytes instead of ${NATIVE_BYTES} or ${FOREIGN_BYTES}`);
  }
  const mark: VolumeInfo = {
    version: [bytes.readUInt8(0), bytes.readUInt8(1)],
    uuid: gfidFromBytes(bytes.subarray(2, 18)),
    retval: bytes.readUInt8(18),
    volumeMark: [bytes.readUInt32BE(19), bytes.readUInt32BE(23)],
  };
  return bytes.length === FOREIGN_BYTES ? { ...mark, timeout: bytes.readUInt32BE(27) } : mark;
}

/** The volume's own mark; null when it has none (geo-replication.indexing is off). */
export async function nativeVolumeInfo(mountRoot: string): Promise<VolumeInfo | null> {
  const bytes = await attributeOrNull(mountRoot, VOLUME_MARK);
  return bytes === null ? null : unpackVolumeMark(bytes);
}

/** Marks of primaries that replicate into this volume and have not expired. Removes expired ones. The brick's root supplies
 *  the names, because a mount shows each mark but lists none. */
export async function foreignVolumeInfos(
  mountRoot: string,
  brickRoot: string,
  nowMs: number = Date.now(),
): Promise<VolumeInfo[]> {
  const valid: VolumeInfo[] = [];
  const prefix = foreignMarkName('');
  const names = (await llistxattrAsync(fsEncode(brickRoot))).filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const bytes = await attributeOrNull(mountRoot, name);
    if (bytes === null) continue;
    const mark = unpackVolumeMark(bytes);
    if ((mark.timeout ?? 0) > Math.floor(nowMs / 1000)) valid.push(mark);
    else await (await loadAttributeCalls()).removeAttribute(mountRoot, name).catch(() => undefined);
  }
  return valid;
}

/** uuids of the nodes, one per subvolume, that are to replicate: a worker is active when its node is among them. Zeros
 *  stand for replicas that are down. */
export async function nodeUuids(mountRoot: string): Promise<string[]> {
  const { getAttribute } = await loadAttributeCalls();
  const text = (await getAttribute(mountRoot, NODE_UUID)).toString('latin1');
  return text
    .replaceAll('\0', '')
    .split(' ')
    .filter((uuid) => uuid !== '');
}

/** Whether a brick may lack changes of the volume because other bricks have them. That is so with replicas and on a
 *  disperse volume, whose root refuses to report its location (ENOMEM). */
export async function isReplicated(mountRoot: string): Promise<boolean> {
  const pathinfo = await attributeOrNull(mountRoot, PATHINFO).catch(() => null);
  return pathinfo === null || !/^\(*(?:<DISTRIBUTE:[^>]*> )?<POSIX\(/.test(pathinfo.toString('latin1'));
}

/** stime of the whole volume: the minimum over its subvolumes of the maximum over their replicas; null when some brick has
 *  none yet. */
export async function clusterStime(
  mountRoot: string,
  volumeUuid: string,
  secondaryUuid: string,
): Promise<Xtime | null> {
  const bytes = await attributeOrNull(mountRoot, stimeName(volumeUuid, secondaryUuid));
  return bytes === null ? null : unpackXtime(bytes);
}

async function attributeOrNull(path: string, name: string): Promise<Buffer | null> {
  const { getAttribute } = await loadAttributeCalls();
  try {
    return await getAttribute(path, name);
  } catch (error) {
    const code = errnoCode(error);
    if (code === 'ENODATA' || code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw error;
  }
}
