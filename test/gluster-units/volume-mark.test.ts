import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { clusterStime, foreignVolumeInfos, nativeVolumeInfo, nodeUuids, unpackVolumeMark } from '../../src/gluster/volume-mark.js';
import { llistxattr, lsetxattr } from '../../src/native/libc.js';
import { lacksRoot } from '../skip.js';

const root = mkdtempSync(join(tmpdir(), 'mark-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const UUID = 'ba0b5a44-1410-43c9-ab61-425ed42f056d';
const native = Buffer.from(`0100${UUID.replaceAll('-', '')}00000000ff0000000a`, 'hex');
const name = 'trusted.glusterfs.volume-mark';

function foreign(expiryS: number): Buffer {
  const expiry = Buffer.alloc(4);
  expiry.writeUInt32BE(expiryS);
  return Buffer.concat([native, expiry]);
}

it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs'))('a native mark is read, and absent is null', async () => {
  expect(await nativeVolumeInfo(root)).toBeNull();
  lsetxattr(root, name, native);
  expect(await nativeVolumeInfo(root)).toEqual({ version: [1, 0], uuid: UUID, retval: 0, volumeMark: [255, 10] });
});

it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs'))('foreign marks are kept until they expire, then removed', async () => {
  lsetxattr(root, `${name}.aaaa`, foreign(2000));
  lsetxattr(root, `${name}.bbbb`, foreign(3000));
  expect(await foreignVolumeInfos(root, 2_000_000)).toEqual([{ version: [1, 0], uuid: UUID, retval: 0, volumeMark: [255, 10], timeout: 3000 }]);
  expect(llistxattr(root).sort()).toEqual([name, `${name}.bbbb`]);
});

it('a mark of another length is refused', () => {
  expect(() => unpackVolumeMark(native.subarray(1))).toThrow('volume mark: 26 bytes instead of 27 or 31');
});

it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs'))('node uuids and the stime of the cluster are read', async () => {
  lsetxattr(root, 'trusted.glusterfs.node-uuid', Buffer.from('a-1 b-2\0'));
  expect(await nodeUuids(root)).toEqual(['a-1', 'b-2']);
  expect(await clusterStime(root, UUID, 'sec')).toBeNull();
  lsetxattr(root, `trusted.glusterfs.${UUID}.sec.stime`, Buffer.of(0, 0, 0, 3, 0, 0, 0, 4));
  expect(await clusterStime(root, UUID, 'sec')).toEqual([3, 4]);
});
