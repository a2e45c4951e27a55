// gfids: the 128-bit inode numbers that a GlusterFS volume and its copy on the secondary share.

declare const gfidBrand: unique symbol;
/** Canonical lower-case text of a gfid, 36 characters. */
export type Gfid = string & { readonly [gfidBrand]: true };

const GFID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

export const ROOT_GFID = '00000000-0000-0000-0000-000000000001' as Gfid;
/** Prefix of gfid access in an aux-gfid-mount, and of every path that the secondary is given. */
export const GFID_PREFIX = '.gfid/';

export function isGfid(text: string): text is Gfid {
  return GFID.test(text);
}

/** 16 bytes (xattr `trusted.gfid`, binary changelogs) to text. @throws RangeError for another length */
export function gfidFromBytes(bytes: Uint8Array): Gfid {
  if (bytes.length !== 16) throw new RangeError(`gfid: ${bytes.length} bytes instead of 16`);
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}` as Gfid;
}

export function gfidToBytes(gfid: Gfid): Buffer {
  return Buffer.from(gfid.replaceAll('-', ''), 'hex');
}

/** Inode number that a FUSE mount shows for a gfid: its last eight bytes, big-endian (the root's is 1). */
export function gfidToIno(gfid: Gfid): bigint {
  return gfidToBytes(gfid).readBigUInt64BE(8);
}

/** `.gfid/<gfid>`: the inode itself. */
export function gfidPath(gfid: Gfid): string {
  return GFID_PREFIX + gfid;
}

/** `.gfid/<parent>/<name>`: a directory entry. */
export function entryPath(parent: Gfid, name: string): string {
  return `${GFID_PREFIX}${parent}/${name}`;
}

/** Parent gfid and name of an `entryPath`. @throws RangeError when `path` is none */
export function splitEntryPath(path: string): { parent: Gfid; name: string } {
  const slash = path.indexOf('/', GFID_PREFIX.length);
  const parent = path.slice(GFID_PREFIX.length, slash);
  if (!path.startsWith(GFID_PREFIX) || slash < 0 || !isGfid(parent)) throw new RangeError(`not an entry path: ${path}`);
  return { parent, name: path.slice(slash + 1) };
}
