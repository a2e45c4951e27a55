// Engine and xattr sender for two plain directories on one machine. They copy xattrs and ACLs directly, so that rsync and
// tar need not carry them. For an ordinary user, the engine also makes read-only files writable during a transfer or a copy
// of xattrs.

import { chmodSync, lstatSync } from 'node:fs';
import { errnoCode, errorLine } from '../errors.js';
import type { Gfid } from '../protocol/gfid.js';
import { fsEncode } from '../names.js';
import type { AttributeSender } from '../primary/deps.js';
import type { DataEngine, EngineOutcome, SyncOptions } from '../queue/engine.js';
import { PERMISSIONS } from '../protocol/view.js';
import type { BoxResult, ItemResult } from '../queue/syncer.js';
import {
  OWNER_WRITE,
  readUserAttributes,
  setUserXattrs,
  type AttributeSelection,
  type UserAttributes,
} from './user-xattrs.js';

/** Opens an inode on either side. `use` gets a safe path for calls that do not follow symlinks, or null if the inode is
 *  gone. */
export interface LocalPaths {
  /** The path may lead to another directory, if the right one moved and the recorder has not seen that yet.
   *  @throws NativeError if no directory is there */
  primary<T>(gfid: Gfid, use: (path: string | null) => T): T;
  /** @returns the primary's inode number; null if unknown */
  primaryIno(gfid: Gfid): bigint | null;
  secondary<T>(gfid: Gfid, use: (path: string | null) => T): T;
}

/** Copies users' xattrs and ACLs from the primary's inodes to the secondary's. */
export class LocalAttributes implements AttributeSender {
  readonly #paths: LocalPaths;
  readonly #selection: AttributeSelection;

  constructor(paths: LocalPaths, selection: AttributeSelection) {
    this.#paths = paths;
    this.#selection = selection;
  }

  sync(gfids: readonly Gfid[]): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    for (const gfid of gfids) {
      const reason = this.copy(gfid);
      results.set(gfid, reason === null ? { status: 'synced' } : { status: 'failed', reason, scope: 'item' });
    }
    return Promise.resolve(results);
  }

  /** @returns null, or why the copy failed */
  copy(gfid: Gfid): string | null {
    try {
      const attributes = this.#paths.primary(gfid, (path) => readUserAttributes(path, this.#paths.primaryIno(gfid)));
      return attributes === null ? null : this.#paths.secondary(gfid, (path) => this.#writeXattrs(path, attributes));
    } catch (error) {
      // ENOENT is a failure, too: a directory may have moved unseen, and no later record would send its xattrs.
      return errorLine(error);
    }
  }

  #writeXattrs(path: string | null, wanted: UserAttributes): string | null {
    if (path === null) return 'the secondary has no such inode';
    setUserXattrs(path, wanted, this.#selection);
    return null;
  }
}

/** Wraps an engine: copies xattrs and ACLs after each transfer. */
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
    const previousModes = process.geteuid?.() === 0 ? new Map<Gfid, number>() : this.#makeWritable(gfids);
    let synced: ReadonlySet<Gfid> = new Set();
    try {
      const outcome = await this.#engine.sync(gfids, options);
      synced = outcome.synced;
      const failed = new Map(outcome.failed);
      const completed = new Set(outcome.synced);
      for (const gfid of outcome.synced) {
        const reason = this.#attributes.copy(gfid);
        if (reason === null) continue;
        failed.set(gfid, reason);
        completed.delete(gfid);
      }
      return { ...outcome, synced: completed, failed };
    } finally {
      for (const [gfid, mode] of previousModes) if (!synced.has(gfid)) this.#chmod(gfid, mode);
    }
  }

  /** @returns the previous modes. A successful transfer sets the final mode; for other files the caller restores these. */
  #makeWritable(gfids: readonly Gfid[]): Map<Gfid, number> {
    const previousModes = new Map<Gfid, number>();
    for (const gfid of gfids) {
      this.#paths.secondary(gfid, (path) => {
        const stats = path === null ? undefined : lstatSync(fsEncode(path), { throwIfNoEntry: false });
        if (stats?.isFile() === true && (stats.mode & OWNER_WRITE) === 0)
          previousModes.set(gfid, stats.mode & PERMISSIONS);
      });
    }
    for (const [gfid, mode] of previousModes) this.#chmod(gfid, mode | OWNER_WRITE);
    return previousModes;
  }

  #chmod(gfid: Gfid, mode: number): void {
    try {
      this.#paths.secondary(gfid, (path) => path !== null && chmodSync(fsEncode(path), mode));
    } catch (error) {
      const code = errnoCode(error);
      if (code !== 'ENOENT' && code !== 'EPERM') throw error;
    }
  }
}
