import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import {
  clusterStime,
  foreignVolumeInfos,
  isReplicated,
  nativeVolumeInfo,
  nodeUuids,
  unpackVolumeMark,
} from '../../src/gluster/volume-mark.js';
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

it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs'))(
  'nativeVolumeInfo() returns the native mark, or null without one',
  async () => {
    expect(await nativeVolumeInfo(root)).toBeNull();
    lsetxattr(root, name, native);
    expect(await nativeVolumeInfo(root)).toEqual({ version: [1, 0], uuid: UUID, retval: 0, volumeMark: [255, 10] });
  },
);

it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs'))(
  'foreignVolumeInfos() returns the marks that brick and mount have, and removes expired ones',
  async () => {
    const [mount, brick] = [mkdtempSync(join(root, 'mount-')), mkdtempSync(join(root, 'brick-'))];
    for (const dir of [mount, brick]) {
      lsetxattr(dir, `${name}.aaaa`, foreign(2000));
      lsetxattr(dir, `${name}.bbbb`, foreign(3000));
    }
    // The brick has missed the removal of cccc, and does not have dddd.
    lsetxattr(brick, `${name}.cccc`, foreign(3000));
    lsetxattr(mount, `${name}.dddd`, foreign(3000));
    lsetxattr(brick, name, native);
    expect(await foreignVolumeInfos(mount, brick, 2_000_000)).toEqual([
      { version: [1, 0], uuid: UUID, retval: 0, volumeMark: [255, 10], timeout: 3000 },
    ]);
    expect(llistxattr(mount).sort()).toEqual([`${name}.bbbb`, `${name}.dddd`]);
  },
);

it('unpackVolumeMark() refuses a mark of another length', () => {
  expect(() => unpackVolumeMark(native.subarray(1))).toThrow('volume mark: 26 bytes instead of 27 or 31');
});

it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs'))(
  'nodeUuids() and clusterStime() read their xattrs',
  async () => {
    lsetxattr(root, 'trusted.glusterfs.node-uuid', Buffer.from('a-1 b-2\0'));
    expect(await nodeUuids(root)).toEqual(['a-1', 'b-2']);
    expect(await clusterStime(root, UUID, 'sec')).toBeNull();
    lsetxattr(root, `trusted.glusterfs.${UUID}.sec.stime`, Buffer.of(0, 0, 0, 3, 0, 0, 0, 4));
    expect(await clusterStime(root, UUID, 'sec')).toEqual([3, 4]);
  },
);

// The pathinfo xattr of volume roots in GlusterFS 10.3; the root of a disperse volume has none.
it.skipIf(lacksRoot('marks of volumes, which are trusted.* xattrs')).each([
  ['one brick', '<POSIX(/d/one_1):vm:/d/one_1/>', false],
  [
    'several bricks',
    '((<DISTRIBUTE:d-dht> <POSIX(/d/2):vm:/d/2/> <POSIX(/d/1):vm:/d/1/>) (d-dht-layout (d-client-1 0 4294967295)))',
    false,
  ],
  ['replicas', '(<REPLICATE:r-replicate-0> <POSIX(/d/2):vm:/d/2/> <POSIX(/d/1):vm:/d/1/>)', true],
  [
    'several sets of replicas',
    '((<DISTRIBUTE:d-dht> (<REPLICATE:d-replicate-0> <POSIX(/d/2):vm:/d/2/> <POSIX(/d/1):vm:/d/1/>)) (d-dht-layout (d-replicate-0 0 4294967295)))',
    true,
  ],
  ['a disperse volume', null, true],
])('keepsCopies() of a volume of %s', async (_, where, copies) => {
  const dir = mkdtempSync(join(root, 'root-'));
  if (where !== null) lsetxattr(dir, 'trusted.glusterfs.pathinfo', Buffer.from(`${where}\0`));
  expect(await isReplicated(dir)).toBe(copies);
});
