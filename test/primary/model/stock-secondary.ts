// The stock secondary's entry_ops, meta_ops, entries, lstat and purge over a model volume, with their odd parts:
// a directory's rename whose source is missing is ignored, errnos that the stock code does not expect abort the
// call after a prefix, names that are not UTF-8 raise wherever that code encodes strictly. The operations are in
// stock-entry-call.ts.

import { gfidToIno } from '../../../src/protocol/gfid.js';
import { RemoteCallError } from '../../../src/rpc/errors.js';
import type {
  EntryFailure,
  EntryOp,
  MetaFailure,
  MetaOp,
  PeerStat,
  Secondary,
  VolumeInfo,
} from '../../../src/protocol/secondary.js';
import { errnoOf, listdir, lstatOf, Raised, StockEntryCall } from './stock-entry-call.js';
import { FsError, kindOf, type Inode, type ModelVolume } from './volume.js';

export interface StockOptions {
  /** Subvolumes of the primary: with several, a rename over another file is refused. */
  readonly distCount: number;
  /** Awaited before each operation of a call: where other calls get their turn, and where a peer may die. */
  readonly turn: () => Promise<void>;
}

export class StockSecondary implements Secondary {
  readonly volume: ModelVolume;
  readonly keepAlives: (VolumeInfo | null)[] = [];
  readonly #options: StockOptions;

  constructor(volume: ModelVolume, options: StockOptions) {
    this.volume = volume;
    this.#options = options;
  }

  async entryOps(ops: readonly EntryOp[]): Promise<EntryFailure[]> {
    const failures: EntryFailure[] = [];
    for (const op of ops) {
      await this.#options.turn();
      raising('entry_ops', () => new StockEntryCall(this.volume, this.#options.distCount, op, failures).run());
    }
    return failures;
  }

  async metaOps(ops: readonly MetaOp[]): Promise<MetaFailure[]> {
    for (const { go, stat } of ops) {
      await this.#options.turn();
      const inode = this.volume.find(go);
      if (inode === null) continue;
      this.volume.setAttributes(go, { uid: stat.uid, gid: stat.gid });
      if (kindOf(inode) !== 'symlink') this.volume.setAttributes(go, { mode: stat.mode, mtime: stat.mtime });
    }
    return [];
  }

  async lstat(path: string): Promise<PeerStat | null> {
    await this.#options.turn();
    return raising('lstat', () => {
      const inode = lstatOf(this.volume, path);
      return inode === null ? null : peerStat(inode);
    });
  }

  async entries(path: string): Promise<string[]> {
    await this.#options.turn();
    return raising('entries', () => {
      const inode = this.volume.at(path);
      if (inode.entries === null) throw new FsError('ENOTDIR', path);
      return listdir(this.volume, path);
    });
  }

  async purge(path: string, names?: readonly string[]): Promise<void> {
    if (names?.length === 0) return;
    await this.#options.turn();
    raising('purge', () => purge(this.volume, path, names));
  }

  async setattr(
    path: string,
    attrs: { own?: readonly [number, number]; mode?: number; times?: readonly [number, number] },
  ): Promise<void> {
    await this.#options.turn();
    const [uid, gid] = attrs.own ?? [];
    raising('setattr', () =>
      this.volume.setAttributes(path, {
        ...(uid === undefined || gid === undefined ? {} : { uid, gid }),
        ...(attrs.mode === undefined ? {} : { mode: attrs.mode }),
        ...(attrs.times === undefined ? {} : { mtime: attrs.times[1] }),
      }),
    );
  }

  keepAlive(info: VolumeInfo | null): Promise<number> {
    this.keepAlives.push(info);
    return Promise.resolve(this.keepAlives.length);
  }
}

function raising<T>(method: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof FsError) throw new RemoteCallError(method, 'OSError', [error.errno, error.code]);
    if (error instanceof Raised) throw new RemoteCallError(method, error.className, []);
    throw error;
  }
}

function peerStat(inode: Inode): PeerStat {
  return {
    mode: inode.mode,
    ino: gfidToIno(inode.gfid),
    nlink: inode.entries === null ? inode.names.size : 2,
    uid: inode.uid,
    gid: inode.gid,
    size: inode.content.length,
    atime: inode.atime,
    mtime: inode.mtime,
  };
}

function purge(volume: ModelVolume, path: string, names?: readonly string[]): void {
  let children = names;
  if (children === undefined) {
    const errno = errnoOf(() => volume.unlink(path), 'EISDIR', 'ENOENT', 'ENOTDIR');
    if (errno === null || errno === 'ENOENT') return;
    if (errno === 'ENOTDIR') throw new FsError('ENOTDIR', path);
    children = listdir(volume, path);
  }
  for (const name of children) purge(volume, `${path}/${name}`);
  if (names === undefined) volume.rmdir(path);
}
