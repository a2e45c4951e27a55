import {
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Brick } from '../../src/gluster/brick.js';
import { gfidToBytes, ROOT_GFID } from '../../src/protocol/gfid.js';
import type { Gfid } from '../../src/protocol/gfid.js';
import { fsDecode, fsEncode } from '../../src/names.js';
import { lgetxattr, lsetxattr } from '../../src/native/libc.js';
import { lacksRoot } from '../skip.js';

const UUID = 'ba0b5a44-1410-43c9-ab61-425ed42f056d';
const SECONDARY = '0c64585d-57a1-4e37-9b61-73988d034e9a';
const root = mkdtempSync(join(tmpdir(), 'brick-'));
const brick = new Brick({ path: root, secondaryUuid: SECONDARY });
const odd = fsDecode(Buffer.of(0xff, 0x0a, 0x25, 0xc3, 0xa9));

afterAll(() => rmSync(root, { recursive: true, force: true }));

function gfid(n: number): Gfid {
  return `aabb0000-0000-4000-8000-${n.toString(16).padStart(12, '0')}` as Gfid;
}

function handle(id: Gfid): string {
  const path = `${root}/.glusterfs/${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`;
  mkdirSync(dirname(path), { recursive: true });
  return path;
}

function addDir(path: string, id: Gfid, parent: Gfid): void {
  mkdirSync(fsEncode(`${root}/${path}`));
  lsetxattr(`${root}/${path}`, 'trusted.gfid', gfidToBytes(id));
  symlinkSync(
    fsEncode(`../../${parent.slice(0, 2)}/${parent.slice(2, 4)}/${parent}/${path.split('/').at(-1)}`),
    handle(id),
  );
}

beforeAll(() => {
  symlinkSync('../../..', handle(ROOT_GFID));
  mkdirSync(join(root, '.trashcan'));
  addDir('d', gfid(1), ROOT_GFID);
  addDir(`d/${odd}`, gfid(2), gfid(1));
  writeFileSync(fsEncode(`${root}/d/${odd}/f`), 'content');
  linkSync(fsEncode(`${root}/d/${odd}/f`), handle(gfid(3)));
  lsetxattr(handle(gfid(3)), 'trusted.gfid2path.0011223344556677', Buffer.from(`${gfid(2)}/f`));
  lsetxattr(handle(gfid(3)), 'trusted.gfid2path.8899aabbccddeeff', fsEncode(`${ROOT_GFID}/${odd}`));
  symlinkSync('nowhere', join(root, 'dangling'));
});

describe.skipIf(lacksRoot('marks of bricks, which are trusted.* xattrs'))('xtime and stime', () => {
  it('are null until set, are read back unchanged, and use the xattr names of stock', async () => {
    expect(await brick.stime('.', UUID)).toBeNull();
    await brick.setXtime('.', UUID, [1, 2]);
    await brick.setStime('.', UUID, [4_000_000_000, 999_999]);
    await brick.setEntryStime(UUID, [5, 6]);
    expect(await brick.xtime('.', UUID)).toEqual([1, 2]);
    expect(await brick.stime('.', UUID)).toEqual([4_000_000_000, 999_999]);
    expect(await brick.entryStime(UUID)).toEqual([5, 6]);
    expect(lgetxattr(root, `trusted.glusterfs.${UUID}.xtime`)).toEqual(Buffer.of(0, 0, 0, 1, 0, 0, 0, 2));
    expect(lgetxattr(root, `trusted.glusterfs.${UUID}.${SECONDARY}.stime`).length).toBe(8);
    expect(lgetxattr(root, `trusted.glusterfs.${UUID}.${SECONDARY}.entry_stime`).length).toBe(8);
  });

  it('of a symlink are stored on the symlink', async () => {
    await brick.setXtime('dangling', UUID, [7, 8]);
    expect(await brick.xtime('dangling', UUID)).toEqual([7, 8]);
  });

  it('of sessions with the old xattr name are returned by legacyStime()', async () => {
    lsetxattr(join(root, 'd'), `trusted.glusterfs.${UUID}.${SECONDARY}.xtime`, Buffer.of(0, 0, 0, 9, 0, 0, 0, 1));
    expect(await brick.legacyStime('d', UUID)).toEqual([9, 1]);
  });

  it('of missing files are null, and setting them does nothing', async () => {
    await brick.setStime('gone', UUID, [1, 1]);
    expect(await brick.stime('gone', UUID)).toBeNull();
    expect(await brick.xtime(`d/${odd}/f/below`, UUID)).toBeNull();
  });
});

describe.skipIf(lacksRoot('marks of bricks, which are trusted.* xattrs'))('entries', () => {
  it('exclude .glusterfs and .trashcan at the root only', async () => {
    mkdirSync(join(root, 'd', '.glusterfs'));
    expect((await brick.entries('.')).sort()).toEqual(['d', 'dangling']);
    expect((await brick.entries('d')).sort()).toEqual(['.glusterfs', odd].sort());
    expect((await brick.childNames(ROOT_GFID)).sort()).toEqual(['d', 'dangling']);
    expect(await brick.childNames(gfid(2))).toEqual(['f']);
  });

  it('of a symlink or a missing path fail; childNames() of a file or a missing gfid is empty', async () => {
    symlinkSync('d', join(root, 'link'));
    await expect(brick.entries('link')).rejects.toMatchObject({ code: 'ENOTDIR' });
    await expect(brick.entries('gone')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await brick.childNames(gfid(99))).toEqual([]);
    expect(await brick.childNames(gfid(3))).toEqual([]);
    rmSync(join(root, 'link'));
  });

  it('are found in a directory deeper than the symlink limit of the kernel', async () => {
    let path = 'd';
    for (let i = 0; i < 60; i++) {
      path += '/x';
      addDir(path, gfid(1000 + i), i === 0 ? gfid(1) : gfid(999 + i));
    }
    writeFileSync(join(root, path, 'deep'), '');
    expect(await brick.childNames(gfid(1059))).toEqual(['deep']);
  });
});

describe.skipIf(lacksRoot('marks of bricks, which are trusted.* xattrs'))('locations', () => {
  it('of a directory come from its handle; of the root, files and missing gfids they are null', async () => {
    expect(await brick.dirLocation(gfid(2))).toEqual({ parent: gfid(1), name: odd });
    expect(await brick.dirLocation(ROOT_GFID)).toBeNull();
    expect(await brick.dirLocation(gfid(3))).toBeNull();
    expect(await brick.dirLocation(gfid(99))).toBeNull();
  });

  it('of a file include all of its names', async () => {
    const found = await brick.fileLocations(gfid(3));
    expect(found).toHaveLength(2);
    expect(found).toEqual(
      expect.arrayContaining([
        { parent: gfid(2), name: 'f' },
        { parent: ROOT_GFID, name: odd },
      ]),
    );
    expect(await brick.fileLocations(gfid(99))).toEqual([]);
  });
});

describe.skipIf(lacksRoot('marks of bricks, which are trusted.* xattrs'))('inodes', () => {
  it('lstat() and gfid() return null for missing files', async () => {
    expect(await brick.lstat(`d/${odd}/f`)).toMatchObject({ size: 7, nlink: 2 });
    expect(await brick.lstat('gone')).toBeNull();
    expect(await brick.gfid('d')).toBe(gfid(1));
    expect(await brick.gfid('gone')).toBeNull();
  });

  it('gfid() waits for the gfid of a new inode', async () => {
    writeFileSync(join(root, 'fresh'), '');
    const asked = brick.gfid('fresh');
    setTimeout(() => lsetxattr(join(root, 'fresh'), 'trusted.gfid', gfidToBytes(gfid(50))), 100);
    expect(await asked).toBe(gfid(50));
    rmSync(join(root, 'fresh'));
  });

  it('gfid() stops waiting when the signal aborts', async () => {
    writeFileSync(join(root, 'never'), '');
    const stop = new AbortController();
    const asked = new Brick({ path: root, secondaryUuid: SECONDARY, signal: stop.signal }).gfid('never');
    setTimeout(() => stop.abort(), 50);
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    rmSync(join(root, 'never'));
  });

  it('isLinkto() checks the linkto xattr, and hasXattrs() checks user xattrs', async () => {
    const file = join(root, 'd', 'pointer');
    writeFileSync(file, '');
    expect(await brick.isLinkto('d/pointer')).toBe(false);
    expect(await brick.hasXattrs('d/pointer')).toBe(false);
    lsetxattr(file, 'trusted.glusterfs.dht.linkto', Buffer.from('gv0-client-1\0'));
    expect(await brick.isLinkto('d/pointer')).toBe(true);
    expect(await brick.hasXattrs('d/pointer')).toBe(false);
    lsetxattr(file, 'user.tag', Buffer.from('x'));
    expect(await brick.hasXattrs('d/pointer')).toBe(true);
    expect(await brick.isLinkto('gone')).toBe(false);
  });

  it('contentFile() returns the handle of a file, and null for linkto files, bad files, directories and missing gfids', async () => {
    const id = gfid(60);
    writeFileSync(handle(id), 'x');
    expect(await brick.contentFile(id)).toBe(handle(id));
    for (const name of ['trusted.bit-rot.bad-file', 'trusted.glusterfs.dht.linkto']) {
      rmSync(handle(id));
      writeFileSync(handle(id), 'x');
      lsetxattr(handle(id), name, Buffer.from('1\0'));
      expect(await brick.contentFile(id), name).toBeNull();
    }
    for (const none of [gfid(1), gfid(61)]) expect(await brick.contentFile(none)).toBeNull();
    rmSync(handle(id));
  });

  it('clientsFile() returns the times that clients see, and whether there are xattrs to sync', async () => {
    const id = gfid(62);
    const again = async (): Promise<unknown> => brick.clientView(id, 'in an xattr');
    writeFileSync(handle(id), 'four', { mode: 0o640 });
    utimesSync(handle(id), 1_000_000_000, 1_000_000_000);
    const { ctimeNs } = lstatSync(handle(id), { bigint: true });
    const file = {
      path: handle(id),
      size: 4,
      mode: 0o640,
      uid: 0,
      gid: 0,
      mtimeNs: 1_000_000_000_000_000_000n,
      ctimeNs,
      hasXattrs: false,
    };
    expect(await again()).toEqual(file);
    const mdata = Buffer.alloc(57);
    mdata[0] = 1;
    mdata.writeBigInt64BE(1_796_037_454n, 9);
    mdata.writeBigInt64BE(80_131_075n, 17);
    mdata.writeBigInt64BE(981_173_106n, 25);
    mdata.writeBigInt64BE(123_456_789n, 33);
    lsetxattr(handle(id), 'trusted.glusterfs.mdata', mdata);
    expect(await again()).toMatchObject({
      mtimeNs: 981_173_106_123_456_789n,
      ctimeNs: 1_796_037_454_080_131_075n,
      hasXattrs: false,
    });
    expect(await brick.clientView(id, 'in the inode')).toMatchObject({ mtimeNs: file.mtimeNs });
    lsetxattr(handle(id), 'user.k', Buffer.from('v'));
    expect(await again()).toMatchObject({ hasXattrs: true });
    lsetxattr(handle(id), 'trusted.glusterfs.mdata', Buffer.from('odd'));
    expect(await again()).toBeNull();
    rmSync(handle(id));
  });

  it('clientsFile() returns null for linkto files, bad files, files under rebalance, directories and missing gfids', async () => {
    const id = gfid(63);
    for (const spoil of [
      () => lsetxattr(handle(id), 'trusted.bit-rot.bad-file', Buffer.from('1\0')),
      () => lsetxattr(handle(id), 'trusted.glusterfs.dht.linkto', Buffer.from('1\0')),
      () => chmodSync(handle(id), 0o3644),
    ]) {
      writeFileSync(handle(id), 'x');
      expect(await brick.clientView(id, 'in an xattr')).not.toBeNull();
      spoil();
      expect(await brick.clientView(id, 'in an xattr')).toBeNull();
      rmSync(handle(id));
    }
    for (const none of [gfid(1), id]) expect(await brick.clientView(none, 'in an xattr')).toBeNull();
  });

  it('lstat() and gfid() refuse paths outside the brick', async () => {
    await expect(brick.lstat('../x')).rejects.toThrow(RangeError);
    await expect(brick.gfid('/etc')).rejects.toThrow(RangeError);
  });

  it('hasPendingHeals() is true while indices/xattrop has an entry beside its base file', async () => {
    expect(await brick.hasPendingHeals()).toBe(false);
    const index = join(root, '.glusterfs/indices/xattrop');
    mkdirSync(index, { recursive: true });
    writeFileSync(join(index, 'xattrop-7a5fc3f5-4f0c-4a87-a1f8-f0d6b8a5c3e1'), '');
    expect(await brick.hasPendingHeals()).toBe(false);
    writeFileSync(join(index, gfid(1)), '');
    expect(await brick.hasPendingHeals()).toBe(true);
    rmSync(index, { recursive: true });
  });

  it('volumeId() returns the volume id of a brick, and null for other directories', async () => {
    expect(await brick.volumeId()).toBeNull();
    lsetxattr(root, 'trusted.glusterfs.volume-id', gfidToBytes(UUID as Gfid));
    expect(await brick.volumeId()).toBe(UUID);
    expect(await new Brick({ path: join(root, 'gone'), secondaryUuid: SECONDARY }).volumeId()).toBeNull();
  });
});

it.skipIf(lacksRoot('marks of bricks, which are trusted.* xattrs'))(
  'lstat() lets the event loop run during a long series of calls',
  async () => {
    let turns = 0;
    const timer = setInterval(() => (turns += 1), 1);
    const end = performance.now() + 200;
    while (performance.now() < end) await brick.lstat('d');
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  },
);
