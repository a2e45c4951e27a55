// Sends small files over the RPC connection, many per call. It starts no process, and the secondary's bricks serve a third of
// the calls that rsync makes. The engine behind this one sends files that are large, have holes, xattrs or ACLs, or did not
// arrive.

import type { ClientView } from '../../gluster/brick.js';
import type { Gfid } from '../../protocol/gfid.js';
import { readWhole } from '../../native/read-whole.js';
import type { FileToPut } from '../../native/put-file.js';
import { mapBounded } from '../../async/map-bounded.js';
import type { DataEngine, EngineOutcome, SyncOptions } from '../../queue/engine.js';
import type { PeerCalls } from '../../rpc/client.js';
import { RemoteCallError } from '../../rpc/errors.js';
import { PUT_FILES_METHOD } from '../../rpc/features.js';
import { pyTuple, type PyValue } from '../../rpc/pickle-values.js';

export interface SmallFilesOptions {
  readonly calls: PeerCalls;
  /** Size limit of a file, bytes. */
  readonly maxFileBytes: number;
  /** Finds a file on the primary. @returns null when the other engine must send it: it is not a regular file, or has xattrs
   *  or ACLs */
  readonly find: (gfid: Gfid) => Promise<FoundFile | null>;
}

/** Attributes to send, and the path to read the content from. */
export type FoundFile = Omit<ClientView, 'ctimeNs' | 'hasXattrs'>;

const FILES_PER_CALL = 64;
/** Limit for the file data that one job holds in memory, bytes. */
const MAX_HELD_BYTES = 4 << 20;
/** Size limit of a call, bytes: other requests wait while it is sent. */
const MAX_CALL_BYTES = 512 << 10;
const READS_AT_ONCE = 4;
/** A call also waits for its turn in the secondary. Keepalives notice a dead peer sooner. */
const CALL_TIMEOUT_MS = 1_800_000;
const NS = 1_000_000_000n;

interface SmallFile extends FileToPut {
  readonly gfid: Gfid;
}

export function withSmallFiles(engine: DataEngine, smallFiles: SmallFilesOptions): DataEngine {
  return {
    name: engine.name,
    sync: (gfids, options) => new SmallFilesTransfer(smallFiles, options).run(gfids, engine),
  };
}

class SmallFilesTransfer {
  readonly #smallFiles: SmallFilesOptions;
  readonly #options: SyncOptions;
  readonly #synced = new Set<Gfid>();
  #bytes = 0;
  /** The secondary rejected a whole call. rsync or tar then reports the reason. */
  #isRejected = false;

  constructor(smallFiles: SmallFilesOptions, options: SyncOptions) {
    this.#smallFiles = smallFiles;
    this.#options = options;
  }

  async run(gfids: readonly Gfid[], engine: DataEngine): Promise<EngineOutcome> {
    const { attributes, holes } = this.#options;
    if (attributes !== 'all') await this.#send(gfids.filter((gfid) => holes?.has(gfid) !== true));
    const rest = gfids.filter((gfid) => !this.#synced.has(gfid));
    if (rest.length === 0 && gfids.length > 0)
      return { returnCode: 0, synced: this.#synced, failed: new Map(), bytes: this.#bytes };
    const outcome = await engine.sync(rest, this.#options);
    return {
      ...outcome,
      synced: new Set([...this.#synced, ...outcome.synced]),
      bytes: this.#bytes + (outcome.bytes ?? 0),
    };
  }

  async #send(gfids: readonly Gfid[]): Promise<void> {
    const filesPerRound = Math.max(
      1,
      Math.min(FILES_PER_CALL, Math.floor(MAX_HELD_BYTES / this.#smallFiles.maxFileBytes)),
    );
    for (let next = 0; next < gfids.length && !this.#isRejected; next += filesPerRound) {
      const files = await mapBounded(gfids.slice(next, next + filesPerRound), READS_AT_ONCE, (gfid) =>
        this.#read(gfid).catch(() => null),
      );
      for (const group of groupByBytes(files.filter((file) => file !== null))) await this.#put(group);
    }
  }

  /** @returns null when the other engine must send it, or it changes just now. @throws system errors */
  async #read(gfid: Gfid): Promise<SmallFile | null> {
    const { find, maxFileBytes } = this.#smallFiles;
    const found = await find(gfid);
    if (found === null || found.size > maxFileBytes) return null;
    const { path, size, mode, uid, gid, mtimeNs } = found;
    const content = await readWhole(path, size);
    const nanoseconds = ((mtimeNs % NS) + NS) % NS;
    const mtime = { seconds: Number((mtimeNs - nanoseconds) / NS), nanoseconds: Number(nanoseconds) };
    return content === null
      ? null
      : {
          gfid,
          content,
          mode,
          uid,
          gid,
          mtime,
          compare: this.#options.compareTimes?.has(gfid) === true ? 'times' : 'content',
        };
  }

  async #put(files: readonly SmallFile[]): Promise<void> {
    const { signal } = this.#options;
    try {
      const answer = await this.#smallFiles.calls.call(PUT_FILES_METHOD, [files.map(fileDict)], {
        timeoutMs: CALL_TIMEOUT_MS,
        signal,
      });
      for (const [i, file] of files.entries()) {
        if (!Array.isArray(answer) || answer[i] !== 0) continue;
        this.#synced.add(file.gfid);
        this.#bytes += file.content.length;
      }
    } catch (error) {
      if (!(error instanceof RemoteCallError)) throw error;
      this.#isRejected = true;
    }
  }
}

function* groupByBytes(files: readonly SmallFile[]): Iterable<readonly SmallFile[]> {
  let group: SmallFile[] = [];
  let bytes = 0;
  for (const file of files) {
    if (group.length > 0 && bytes + file.content.length > MAX_CALL_BYTES) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(file);
    bytes += file.content.length;
  }
  if (group.length > 0) yield group;
}

function fileDict({ gfid, content, mode, uid, gid, mtime, compare }: SmallFile): PyValue {
  return { gfid, content, mode, uid, gid, mtime: pyTuple([mtime.seconds, mtime.nanoseconds]), compare };
}
