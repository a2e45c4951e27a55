// The Secondary contract over RePCe, to a stock gsyncd or to this program, behind ssh or in this process. It only
// translates: callers handle ordering, retries and the meaning of failures. Every call has a deadline, so a peer that hangs
// causes GsyncdError('peer').

import { setMaxListeners } from 'node:events';
import type {
  EntryFailure,
  EntryOp,
  MetaFailure,
  MetaOp,
  PeerStat,
  Secondary,
  VolumeInfo,
} from '../protocol/secondary.js';
import type { PeerCalls } from './client.js';
import { entryFailures, entryOpDict, metaFailures, metaOpDict, unexpectedAnswer, volumeInfoDict } from './op-dicts.js';
import { KEEPALIVE_METHOD } from './one-call.js';
import { PyFloat, PyStat, isPyInt, pyTuple, type PyValue } from './pickle-values.js';

export interface RemoteSecondaryOptions {
  /** Deadline of a simple call. Default 2 minutes. */
  readonly callTimeoutMs?: number;
  /** Added for each operation of a batch: a stock peer retries an operation for 2.5 s. Default 2.5 s. */
  readonly operationTimeoutMs?: number;
  /** Added to calls that may delete a whole tree. Default 30 minutes. */
  readonly removalTimeoutMs?: number;
  /** Aborts every call. */
  readonly signal?: AbortSignal;
}

export class RemoteSecondary implements Secondary {
  readonly #client: PeerCalls;
  readonly #callTimeoutMs: number;
  readonly #operationTimeoutMs: number;
  readonly #removalTimeoutMs: number;
  readonly #signal: AbortSignal | undefined;

  constructor(client: PeerCalls, options: RemoteSecondaryOptions = {}) {
    this.#client = client;
    this.#callTimeoutMs = options.callTimeoutMs ?? 120_000;
    this.#operationTimeoutMs = options.operationTimeoutMs ?? 2_500;
    this.#removalTimeoutMs = options.removalTimeoutMs ?? 1_800_000;
    this.#signal = options.signal;
    // Each running call listens to the signal. Node would report a leak for more than ten listeners.
    if (options.signal !== undefined) setMaxListeners(0, options.signal);
  }

  async entryOps(ops: readonly EntryOp[]): Promise<EntryFailure[]> {
    if (ops.length === 0) return [];
    const removal = ops.some((op) => op.op === 'RMDIR') ? this.#removalTimeoutMs : 0;
    const extraMs = ops.length * this.#operationTimeoutMs + removal;
    return entryFailures(ops, await this.#call('entry_ops', [ops.map(entryOpDict)], extraMs));
  }

  async metaOps(ops: readonly MetaOp[]): Promise<MetaFailure[]> {
    if (ops.length === 0) return [];
    return metaFailures(
      ops,
      await this.#call('meta_ops', [ops.map(metaOpDict)], ops.length * this.#operationTimeoutMs),
    );
  }

  async lstat(path: string): Promise<PeerStat | null> {
    const answer = await this.#call('lstat', [path]);
    if (answer instanceof PyStat) return answer.fields;
    if (isPyInt(answer)) return null;
    throw unexpectedAnswer('lstat', 'neither attributes nor an errno');
  }

  async entries(path: string): Promise<string[]> {
    const names = await this.#call('entries', [path]);
    if (!Array.isArray(names)) throw unexpectedAnswer('entries', 'not a list');
    return (names as readonly PyValue[]).map((name) => {
      if (typeof name !== 'string') throw unexpectedAnswer('entries', 'a name is no str');
      return name;
    });
  }

  /** Does nothing for an empty list of names: a stock peer would remove everything in the directory. */
  async purge(path: string, names?: readonly string[]): Promise<void> {
    if (names?.length === 0) return;
    await this.#call('purge', names === undefined ? [path] : [path, names], this.#removalTimeoutMs);
  }

  async setattr(
    path: string,
    attrs: { own?: readonly [number, number]; mode?: number; times?: readonly [number, number] },
  ): Promise<void> {
    const dict: Record<string, PyValue> = {};
    if (attrs.own !== undefined) dict['own'] = pyTuple(attrs.own);
    if (attrs.mode !== undefined) dict['mode'] = attrs.mode;
    if (attrs.times !== undefined) dict['times'] = pyTuple(attrs.times.map((time) => new PyFloat(time)));
    await this.#call('setattr', [path, dict]);
  }

  async keepAlive(info: VolumeInfo | null): Promise<number> {
    const count = await this.#call(KEEPALIVE_METHOD, [info === null ? null : volumeInfoDict(info)]);
    if (!isPyInt(count)) throw unexpectedAnswer('keep_alive', 'not a count');
    return count;
  }

  /** @returns node uuids of bricks that respond, one for each subvolume that is up. @throws RemoteCallError */
  async nodeUuids(): Promise<string[]> {
    const uuids = await this.#call('node_uuid', ['.']);
    if (!Array.isArray(uuids)) throw unexpectedAnswer('node_uuid', 'not a list');
    return (uuids as readonly PyValue[]).filter((uuid) => typeof uuid === 'string' && uuid !== '') as string[];
  }

  #call(method: string, args: readonly PyValue[], extraMs = 0): Promise<PyValue> {
    return this.#client.call(method, args, { timeoutMs: this.#callTimeoutMs + extraMs, signal: this.#signal });
  }
}
