// What the engines need where both trees are directories of this machine: xattrs and ACLs are copied directly, so that
// neither rsync nor tar has to carry them, and what an ordinary user has as read-only is opened for whatever writes to
// it, a transfer or the copying of xattrs. Used by the worker's embedded site.

import { chmodSync, lstatSync } from 'node:fs';
import { errnoCode, errorLine } from '../errors.js';
import type { Gfid } from '../gluster/gfid.js';
import { lremovexattr, lsetxattr } from '../native/libc.js';
import { fsEncode } from '../names.js';
import type { AttributeSender } from '../primary/deps.js';
import type { DataEngine, EngineOutcome, SyncOptions } from '../queue/engine.js';
import type { BoxResult, ItemResult } from '../queue/syncer.js';
import { fileKind } from '../primary/view.js';
import { userXattrs } from './user-xattrs.js';

const OWNER_WRITE = 0o200;

/** Absolute paths of an inode on both sides; null where it is gone. */
export interface LocalPaths {
  /** A directory may have moved from there, and another one be there instead, which the recorder has not seen yet. */
  primary(gfid: Gfid): string | null;
  /** The primary's inode number; null where it is not known. */
  primaryIno(gfid: Gfid): bigint | null;
  secondary(gfid: Gfid): string | null;
}

/** What is copied; the rest is left as it is on either side. */
export interface CopiedAttributes {
  /** All but ACLs. */
  readonly xattrs: boolean;
  readonly acls: boolean;
}

/** Makes the users' xattrs and ACLs of the secondary's inodes those of the primary's. */
export class LocalAttributes implements AttributeSender {
  readonly #paths: LocalPaths;
  readonly #copied: CopiedAttributes;

  constructor(paths: LocalPaths, copied: CopiedAttributes) {
    this.#paths = paths;
    this.#copied = copied;
  }

  sync(gfids: readonly Gfid[]): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    for (const gfid of gfids) {
      const reason = this.copy(gfid);
      results.set(gfid, reason === null ? { status: 'synced' } : { status: 'failed', reason, scope: 'item' });
    }
    return Promise.resolve(results);
  }

  /** @returns null, or why it could not be done */
  copy(gfid: Gfid): string | null {
    const [from, to] = [this.#paths.primary(gfid), this.#paths.secondary(gfid)];
    if (from === null) return null;
    if (to === null) return 'the secondary has no such inode';
    try {
      const mode = this.#primaryMode(from, gfid);
      if (fileKind(mode) === 'symlink') return null;
      const wanted = userXattrs(from);
      this.#primaryMode(from, gfid); // still the same one
      const changes = xattrChanges(wanted, userXattrs(to)).filter(([name]) => (isAcl(name) ? this.#copied.acls : this.#copied.xattrs));
      const apply = (): void => {
        for (const [name, value] of changes) {
          if (value === null) lremovexattr(to, name);
          else lsetxattr(to, name, value);
        }
      };
      if (process.geteuid?.() === 0) apply();
      else withOwnerWrite(to, mode, changes.some(([name]) => !isAcl(name)), apply);
      return null;
    } catch (error) {
      // ENOENT, too: a directory may have moved, which the recorder has not seen yet, and no record would bring them later.
      return errorLine(error);
    }
  }

  /** @throws where something else is there */
  #primaryMode(path: string, gfid: Gfid): number {
    const { mode, ino } = lstatSync(fsEncode(path), { bigint: true });
    const known = this.#paths.primaryIno(gfid);
    if (known !== null && ino !== known) throw new Error(`${path}: another inode is there now`);
    return Number(mode);
  }
}

/** null for what goes. ACLs come last: one may take the owner's right to write, which the others need. */
function xattrChanges(wanted: ReadonlyMap<string, Buffer>, present: ReadonlyMap<string, Buffer>): (readonly [string, Buffer | null])[] {
  const gone = [...present.keys()].filter((name) => !wanted.has(name)).map((name) => [name, null] as const);
  const changed = [...wanted].filter(([name, value]) => present.get(name)?.equals(value) !== true);
  return [...gone, ...changed].sort(([a], [b]) => Number(isAcl(a)) - Number(isAcl(b)));
}

function isAcl(name: string): boolean {
  return name.startsWith('system.posix_acl_');
}

/** Runs `call`, where `opens` with the owner's right to write: not even an owner sets users' xattrs without it. What the
 *  primary's `mode` does not open is closed in the end, also what a worker that was killed left open. */
function withOwnerWrite(path: string, mode: number, opens: boolean, call: () => void): void {
  const stats = lstatSync(fsEncode(path));
  const isOpen = (stats.mode & OWNER_WRITE) !== 0;
  if (opens && !isOpen) chmodSync(fsEncode(path), permissions(stats.mode) | OWNER_WRITE);
  try {
    call();
  } finally {
    if ((mode & OWNER_WRITE) === 0 && (opens || isOpen) && !stats.isSymbolicLink()) chmodSync(fsEncode(path), permissions(mode));
  }
}

function permissions(mode: number): number {
  return mode & 0o7777;
}

/** An engine for files, with xattrs and ACLs copied after it. */
export class LocalDataEngine implements DataEngine {
  readonly name: string;
  readonly #engine: DataEngine;
  readonly #attributes: LocalAttributes;
  readonly #paths: LocalPaths;

  constructor(engine: DataEngine, attributes: LocalAttributes, paths: LocalPaths) {
    this.name = engine.name;
    this.#engine = engine;
    this.#attributes = attributes;
    this.#paths = paths;
  }

  /** @throws as DataEngine.sync says */
  async sync(gfids: readonly Gfid[], options: SyncOptions): Promise<EngineOutcome> {
    const opened = process.geteuid?.() === 0 ? new Map<Gfid, number>() : this.#openForWriting(gfids);
    let synced: ReadonlySet<Gfid> = new Set();
    try {
      const outcome = await this.#engine.sync(gfids, options);
      synced = outcome.synced;
      const failed = new Map(outcome.failed);
      const arrived = new Set(outcome.synced);
      for (const gfid of outcome.synced) {
        const reason = this.#attributes.copy(gfid);
        if (reason === null) continue;
        failed.set(gfid, reason);
        arrived.delete(gfid);
      }
      return { ...outcome, synced: arrived, failed };
    } finally {
      for (const [gfid, mode] of opened) if (!synced.has(gfid)) this.#chmod(gfid, mode);
    }
  }

  /** @returns the modes that the files had. A transfer that arrives sets them anew. */
  #openForWriting(gfids: readonly Gfid[]): Map<Gfid, number> {
    const opened = new Map<Gfid, number>();
    for (const gfid of gfids) {
      const path = this.#paths.secondary(gfid);
      const stats = path === null ? undefined : lstatSync(fsEncode(path), { throwIfNoEntry: false });
      if (stats?.isFile() !== true || (stats.mode & OWNER_WRITE) !== 0) continue;
      opened.set(gfid, permissions(stats.mode));
      this.#chmod(gfid, permissions(stats.mode) | OWNER_WRITE);
    }
    return opened;
  }

  #chmod(gfid: Gfid, mode: number): void {
    const path = this.#paths.secondary(gfid);
    try {
      if (path !== null) chmodSync(fsEncode(path), mode);
    } catch (error) {
      const code = errnoCode(error);
      if (code !== 'ENOENT' && code !== 'EPERM') throw error;
    }
  }
}
