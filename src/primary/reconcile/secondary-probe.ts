// What the secondary has at a name, asked with the calls that a stock peer offers: an UNLINK of the root's gfid at some name
// changes nothing, and comes back as a failure that tells which gfid the name holds; a MKDIR of an existing gfid at a name
// that does not exist comes back with the directory's real place. A stock peer cannot look up names that are not UTF-8 so; for
// them lstat's inode number is compared instead.

import { constants } from 'node:os';
import { errorLine } from '../../errors.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { entryPath, gfidPath, gfidToIno, ROOT_GFID, splitEntryPath, type Gfid } from '../../protocol/gfid.js';
import { isUtf8Name } from '../../names.js';
import type { EntryOp, Secondary } from '../../protocol/secondary.js';
import type { EntrySync } from './entry-sync.js';
import { peerReason } from '../inode-error.js';
import { fileKind } from '../../protocol/view.js';

/** Whatever the secondary holds at a name. `gfid` is null where only the inode number is known. */
export interface SecondaryEntry {
  readonly gfid: Gfid | null;
  readonly ino: bigint | null;
  readonly isDir: boolean;
}

/** Whether a path's names are such that a stock peer can take them in every position. */
export function isPlainPath(path: string): boolean {
  return isUtf8Name(path);
}

export function holds(entry: SecondaryEntry, gfid: Gfid): boolean {
  return entry.gfid !== null ? entry.gfid === gfid : entry.ino === gfidToIno(gfid);
}

const { EEXIST, ENOENT, ENOTDIR, EOPNOTSUPP, ESTALE } = constants.errno;
/** The parent is no directory there, or the name was removed meanwhile. */
const SAYS_ABSENT: ReadonlySet<number> = new Set([EEXIST, ENOENT, ENOTDIR, ESTALE]);

/** A path has no more directories; what a peer says need not end. */
const MAX_LEVELS = 4096;

/** Under a directory that no volume has: should the gfid asked for be gone, nothing is created. */
const NOWHERE = entryPath('b3f9a4c2-5d0e-4f7b-9c68-2f8d1e6a7c35' as Gfid, 'nowhere');

export class SecondaryProbe {
  readonly #secondary: Secondary;
  readonly #sync: EntrySync;

  readonly #isTaken: (name: string) => boolean;

  constructor(secondary: Secondary, sync: EntrySync, peerNames: 'utf8' | 'bytes') {
    this.#secondary = secondary;
    this.#sync = sync;
    this.#isTaken = peerNames === 'bytes' ? () => true : isPlainPath;
  }

  /** Looks up names (entry paths). Absent names have null; names that the peer could not look up are in `errors` with
   *  its reason, and in `denied` when that is its mount's fault. */
  async lookup(names: readonly string[]): Promise<{ found: Map<string, SecondaryEntry | null>; errors: Map<string, string>; denied: string[] }> {
    const found = new Map<string, SecondaryEntry | null>();
    const errors = new Map<string, string>();
    const denied: string[] = [];
    const plain = names.filter(this.#isTaken);
    for (const name of plain) found.set(name, null);
    const probes = plain.map((entry): EntryOp => ({ op: 'UNLINK', gfid: ROOT_GFID, entry }));
    const { failures, failedItems } = await this.#sync.applyIndependent(probes);
    const untold = (name: string, reason: string): void => {
      found.delete(name);
      errors.set(name, reason);
    };
    for (const { op, errno, info } of failures) {
      if (info.secondaryGfid !== null) found.set(op.entry, { gfid: info.secondaryGfid, ino: null, isDir: info.secondaryIsDir });
      else if (!SAYS_ABSENT.has(errno)) untold(op.entry, peerReason(errno));
      // A mount that knows a directory by its gfid alone, because of an error, opens nothing in it any more.
      if (errno === EOPNOTSUPP) denied.push(op.entry);
    }
    for (const { item: op, reason, errno } of failedItems) {
      if (errno !== ENOTDIR) untold(op.entry, reason);
    }
    await Promise.all(
      names.filter((name) => !this.#isTaken(name)).map(async (name) => {
        try {
          const stat = await this.#secondary.lstat(name);
          found.set(name, stat === null ? null : { gfid: null, ino: stat.ino, isDir: fileKind(stat.mode) === 'dir' });
        } catch (error) {
          if (!(error instanceof RemoteCallError)) throw error;
          untold(name, errorLine(error));
        }
      }),
    );
    return { found, errors, denied };
  }

  async exists(gfid: Gfid): Promise<boolean> {
    return gfid === ROOT_GFID || (await this.#secondary.lstat(gfidPath(gfid))) !== null;
  }

  /** Hard links of a file there, 0 when it does not exist or the peer cannot tell. */
  async linkCount(gfid: Gfid): Promise<number> {
    try {
      return (await this.#secondary.lstat(gfidPath(gfid)))?.nlink ?? 0;
    } catch (error) {
      if (!(error instanceof RemoteCallError)) throw error;
      return 0;
    }
  }

  /** Where the secondary has a directory that exists there; null when it cannot tell. */
  async locate(gfid: Gfid): Promise<string | null> {
    const probe: EntryOp = { op: 'MKDIR', gfid, entry: NOWHERE, mode: 0o040700, uid: 0, gid: 0 };
    const { failures } = await this.#sync.applyIndependent([probe]);
    return failures[0]?.info.secondaryEntry ?? null;
  }

  /** Names in a directory there. A peer lists real paths only, so the path is put together from the root. */
  async children(gfid: Gfid): Promise<string[] | null> {
    const parts: string[] = [];
    const seen = new Set<Gfid>();
    for (let at = gfid; at !== ROOT_GFID; ) {
      const entry = seen.has(at) ? null : await this.locate(at);
      if (entry === null || seen.size > MAX_LEVELS) return null;
      seen.add(at);
      const { parent, name } = splitEntryPath(entry);
      parts.unshift(name);
      at = parent;
    }
    return this.#secondary.entries(parts.length === 0 ? '.' : parts.join('/'));
  }
}
