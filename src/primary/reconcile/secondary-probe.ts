// Looks up names on the secondary with the calls that a stock peer has. An UNLINK of the root's gfid at a name changes
// nothing, and its failure contains the gfid at that name. A MKDIR of an existing gfid at a name that does not exist fails
// with the directory's real path. A stock peer cannot do this for names that are not UTF-8. For them the inode number of
// lstat is compared.

import { constants } from 'node:os';
import { errorLine } from '../../errors.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { entryPath, gfidPath, gfidToIno, ROOT_GFID, splitEntryPath, type Gfid } from '../../protocol/gfid.js';
import { isUtf8Name } from '../../names.js';
import type { EntryOp, Secondary } from '../../protocol/secondary.js';
import { MAX_DEPTH } from '../directory-path.js';
import type { EntrySync } from './entry-sync.js';
import { explainPeerErrno } from '../inode-error.js';
import { fileKind } from '../../protocol/view.js';

/** The entry at a name of the secondary. `gfid` is null when only the inode number is known. */
export interface SecondaryEntry {
  readonly gfid: Gfid | null;
  readonly ino: bigint | null;
  readonly isDir: boolean;
}

export function isSameInode(entry: SecondaryEntry, gfid: Gfid): boolean {
  return entry.gfid !== null ? entry.gfid === gfid : entry.ino === gfidToIno(gfid);
}

const { EEXIST, ENOENT, ENOTDIR, EOPNOTSUPP, ESTALE } = constants.errno;
/** The parent is not a directory, or the name was removed meanwhile. */
const ABSENT_ERRNOS: ReadonlySet<number> = new Set([EEXIST, ENOENT, ENOTDIR, ESTALE]);

/** An entry in a directory that no volume has. If the probed gfid is gone, nothing is created. */
const NONEXISTENT_ENTRY = entryPath('b3f9a4c2-5d0e-4f7b-9c68-2f8d1e6a7c35' as Gfid, 'nowhere');

export class SecondaryProbe {
  readonly #secondary: Secondary;
  readonly #sync: EntrySync;

  readonly #canProbe: (name: string) => boolean;

  constructor(secondary: Secondary, sync: EntrySync, peerNames: 'utf8' | 'bytes') {
    this.#secondary = secondary;
    this.#sync = sync;
    this.#canProbe = peerNames === 'bytes' ? () => true : isUtf8Name;
  }

  /** Looks up names (entry paths). Absent names have null. Names that the peer could not look up are in `errors`, with its
   *  reason. If its mount is the cause, they are in `denied`, too. */
  async lookup(
    names: readonly string[],
  ): Promise<{ found: Map<string, SecondaryEntry | null>; errors: Map<string, string>; denied: string[] }> {
    const found = new Map<string, SecondaryEntry | null>();
    const errors = new Map<string, string>();
    const denied: string[] = [];
    const probedNames = names.filter(this.#canProbe);
    for (const name of probedNames) found.set(name, null);
    const probes = probedNames.map((entry): EntryOp => ({ op: 'UNLINK', gfid: ROOT_GFID, entry }));
    const { failures, failedItems } = await this.#sync.applyIndependent(probes);
    const addError = (name: string, reason: string): void => {
      found.delete(name);
      errors.set(name, reason);
    };
    for (const { op, errno, info } of failures) {
      if (info.secondaryGfid !== null)
        found.set(op.entry, { gfid: info.secondaryGfid, ino: null, isDir: info.secondaryIsDir });
      else if (!ABSENT_ERRNOS.has(errno)) addError(op.entry, explainPeerErrno(errno));
      // After an error a mount may know a directory by its gfid only. It then opens nothing in that directory any more.
      if (errno === EOPNOTSUPP) denied.push(op.entry);
    }
    for (const { item: op, reason, errno } of failedItems) {
      if (errno !== ENOTDIR) addError(op.entry, reason);
    }
    await Promise.all(
      names
        .filter((name) => !this.#canProbe(name))
        .map(async (name) => {
          try {
            const stat = await this.#secondary.lstat(name);
            found.set(name, stat === null ? null : { gfid: null, ino: stat.ino, isDir: fileKind(stat.mode) === 'dir' });
          } catch (error) {
            if (!(error instanceof RemoteCallError)) throw error;
            addError(name, errorLine(error));
          }
        }),
    );
    return { found, errors, denied };
  }

  async exists(gfid: Gfid): Promise<boolean> {
    return gfid === ROOT_GFID || (await this.#secondary.lstat(gfidPath(gfid))) !== null;
  }

  /** Number of hard links of a file; 0 when it does not exist or the peer cannot look it up. */
  async linkCount(gfid: Gfid): Promise<number> {
    try {
      return (await this.#secondary.lstat(gfidPath(gfid)))?.nlink ?? 0;
    } catch (error) {
      if (!(error instanceof RemoteCallError)) throw error;
      return 0;
    }
  }

  /** Entry path of a directory that exists on the secondary; null when the peer does not report it. */
  async locate(gfid: Gfid): Promise<string | null> {
    const probe: EntryOp = { op: 'MKDIR', gfid, entry: NONEXISTENT_ENTRY, mode: 0o040700, uid: 0, gid: 0 };
    const { failures } = await this.#sync.applyIndependent([probe]);
    return failures[0]?.info.secondaryEntry ?? null;
  }

  /** Path of a directory, from the root; null when a part of it is unknown. */
  async pathOf(gfid: Gfid): Promise<string | null> {
    const parts: string[] = [];
    const seen = new Set<Gfid>();
    for (let at = gfid; at !== ROOT_GFID;) {
      const entry = seen.has(at) ? null : await this.locate(at);
      if (entry === null || seen.size > MAX_DEPTH) return null;
      seen.add(at);
      const { parent, name } = splitEntryPath(entry);
      parts.unshift(name);
      at = parent;
    }
    return parts.join('/') || '.';
  }

  /** Names in a directory; null when its path is unknown. A peer lists real paths only. */
  async children(gfid: Gfid): Promise<string[] | null> {
    const path = await this.pathOf(gfid);
    return path === null ? null : this.#secondary.entries(path);
  }
}
