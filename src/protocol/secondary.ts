// The contract between the primary side and a secondary: a stock or own gsyncd over RPC, or a plain directory. Paths are
// relative to the secondary's mount, in the form of names.ts. Every call has a deadline and rejects with GsyncdError('peer')
// when the peer is gone. A RemoteCallError (rpc/errors.ts) is an exception that the peer raised.

import type { Gfid } from './gfid.js';

export type EntryOpName = 'CREATE' | 'MKNOD' | 'MKDIR' | 'LINK' | 'SYMLINK' | 'RENAME' | 'UNLINK' | 'RMDIR';

/** Attributes of a file on the primary. Times are seconds, with a fraction. */
export interface OpStat {
  readonly uid: number;
  readonly gid: number;
  /** st_mode: type and permission bits. */
  readonly mode: number;
  readonly atime: number;
  readonly mtime: number;
}

/** One entry operation. Required optional fields: CREATE, MKNOD, MKDIR: mode, uid, gid; LINK, SYMLINK: stat, and link for
 *  symlinks; RENAME: entry1, stat (null when the gfid is gone), link. */
export interface EntryOp {
  readonly op: EntryOpName;
  readonly gfid: Gfid;
  /** `.gfid/<parent gfid>/<name>`; for RENAME the old name. */
  readonly entry: string;
  /** RENAME: the new name. */
  readonly entry1?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** MKNOD of a device: its number as the kernel has it. A stock peer ignores it. */
  readonly rdev?: number;
  readonly stat?: OpStat | null;
  /** Target of a symlink, null when unknown. */
  readonly link?: string | null;
}

/** The secondary's state at an entry whose operation failed. */
export interface FailureInfo {
  readonly gfidMismatch: boolean;
  readonly nameMismatch: boolean;
  /** The conflict is at `entry1`. */
  readonly dst: boolean;
  readonly secondaryIsDir: boolean;
  readonly secondaryGfid: Gfid | null;
  /** Entry path of the directory on the secondary, if the peer sends it (as `_name` or `_entry`). */
  readonly secondaryEntry: string | null;
}

export interface EntryFailure {
  readonly op: EntryOp;
  /** Positive errno number. */
  readonly errno: number;
  readonly info: FailureInfo;
}

export interface MetaOp {
  /** `.gfid/<gfid>` */
  readonly go: string;
  readonly stat: OpStat;
}

export interface MetaFailure {
  readonly op: MetaOp;
  readonly errno: number;
  readonly call: string;
}

/** lstat as the peer sees it. */
export interface PeerStat {
  readonly mode: number;
  readonly ino: bigint;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly atime: number;
  readonly mtime: number;
}

/** Volume mark that is announced to the secondary with a keepalive (cascading setups). */
export interface VolumeInfo {
  readonly version: readonly [number, number];
  readonly uuid: string;
  readonly retval: number;
  readonly volumeMark: readonly [number, number];
  /** Foreign marks only: expiry, seconds since the epoch. */
  readonly timeout?: number;
}

export interface Secondary {
  /** Applies the operations in order. Failures that the peer reports are values. If it raises, it has applied a prefix of the
   *  operations, and the call rejects with RemoteCallError. */
  entryOps(ops: readonly EntryOp[]): Promise<EntryFailure[]>;
  metaOps(ops: readonly MetaOp[]): Promise<MetaFailure[]>;
  /** null when the path does not exist. */
  lstat(path: string): Promise<PeerStat | null>;
  /** Names in a directory. @throws RemoteCallError ENOENT, ENOTDIR */
  entries(path: string): Promise<string[]>;
  /** Deletes the named children of `path`, with whole subtrees; without names, `path` itself. */
  purge(path: string, names?: readonly string[]): Promise<void>;
  setattr(
    path: string,
    attrs: { own?: readonly [number, number]; mode?: number; times?: readonly [number, number] },
  ): Promise<void>;
  /** @returns the number of keepalives that the peer has seen */
  keepAlive(info: VolumeInfo | null): Promise<number>;
}
