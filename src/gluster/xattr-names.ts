// Names of the extended attributes that GlusterFS and geo-replication use, on bricks and on mounts.

const TRUSTED = 'trusted.glusterfs';

/** 16 bytes, on every inode of a brick. */
export const GFID = 'trusted.gfid';
/** Text of the gfid, virtual, on a mount. */
export const GFID_STRING = 'glusterfs.gfid.string';
/** Path from the volume's root and NUL, virtual, on a mount. For a file, it is one of its names. */
export const GFID2PATH = 'glusterfs.gfid2path';
/** Paths of all names of a file from the volume's root, virtual, on a mount. */
export const GFID_TO_PATH = 'glusterfs.gfidtopath';
/** Creates an inode with a given gfid in the directory on which it is set. Needs gfid access. */
export const GFID_NEWFILE = 'glusterfs.gfid.newfile';
/** On a brick's root: the volume's uuid, 16 bytes. */
export const VOLUME_ID = `${TRUSTED}.volume-id`;
/** Not empty on a linkto file, which DHT leaves where a file's name hashes to. */
export const DHT_LINKTO = `${TRUSTED}.dht.linkto`;
/** Times of an inode as clients see them (xlators/storage/posix/src/posix-metadata-disk.h), big-endian. A version byte and
 *  8 bytes of flags, then ctime, mtime and atime, each with 8 bytes of seconds and 8 of nanoseconds. */
export const MDATA = `${TRUSTED}.mdata`;
/** Set by GlusterFS's scrubber: the brick answers reads of the file with EIO. */
export const BAD_FILE = 'trusted.bit-rot.bad-file';
/** `<prefix><hash>` = "<parent gfid>/<name>", one per hard link of a file, on a brick. */
export const GFID2PATH_PREFIX = 'trusted.gfid2path.';
/** `block-size` (8 bytes) and `file-size` (32 bytes) of a sharded file, on its base file. GlusterFS shows them to
 *  geo-replication's clients and accepts them from those. Nothing else holds the file's size. */
export const SHARD_PREFIX = `${TRUSTED}.shard.`;
/** Native volume mark, virtual, on a mount's root; `<this>.<uuid>` are the marks of foreign primaries. */
export const VOLUME_MARK = `${TRUSTED}.volume-mark`;
/** Space-separated uuids of the nodes whose bricks answer, NUL at the end, virtual, on a mount's root. */
export const NODE_UUID = `${TRUSTED}.node-uuid`;
/** Location of a file or directory: `<POSIX(…)…>` for each brick, inside `(<DISTRIBUTE:…> …)` and similar, virtual. */
export const PATHINFO = `${TRUSTED}.pathinfo`;
/** "1" when every subvolume of a mount is up, on its root. */
export const SUBVOL_STATUS = 'dht.subvol.status';

export function xtimeName(volumeUuid: string): string {
  return `${TRUSTED}.${volumeUuid}.xtime`;
}

export function stimeName(volumeUuid: string, secondaryUuid: string): string {
  return `${TRUSTED}.${volumeUuid}.${secondaryUuid}.stime`;
}

export function entryStimeName(volumeUuid: string, secondaryUuid: string): string {
  return `${TRUSTED}.${volumeUuid}.${secondaryUuid}.entry_stime`;
}

export function foreignMarkName(uuid: string): string {
  return `${VOLUME_MARK}.${uuid}`;
}
