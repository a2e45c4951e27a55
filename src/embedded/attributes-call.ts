// Sends xattrs and ACLs of directories to a plain-directory secondary on another machine, by an RPC call that only this
// program has. rsync would open the directory by its path, where a user may have put a symlink.

import { constants } from 'node:os';
import { errorLine } from '../errors.js';
import { isGfid, type Gfid } from '../protocol/gfid.js';
import { NativeError } from '../native/libc.js';
import type { AttributeSender } from '../primary/deps.js';
import type { BoxResult, ItemResult } from '../queue/syncer.js';
import type { PeerCalls } from '../rpc/client.js';
import { RemoteCallError } from '../rpc/errors.js';
import { isPyDict, isPyInt, PyException, type PyValue } from '../rpc/pickle-values.js';
import { Raised } from '../rpc/raised.js';
import type { RpcMethod } from '../rpc/server.js';
import type { LocalPaths } from './local-engines.js';
import type { EmbeddedVolume } from './secondary-volume.js';
import { isUserXattr, readUserAttributes, setUserXattrs, type CopiedAttributes, type UserAttributes } from './user-xattrs.js';

const METHOD = 'gsyncd_ts_set_xattrs';
const TIMEOUT_MS = 120_000;

/** The primary's side. It sends directories only; another AttributeSender handles files. */
export class DirectoryAttributes implements AttributeSender {
  readonly #calls: PeerCalls;
  readonly #primary: Pick<LocalPaths, 'primary' | 'primaryIno'>;
  readonly #copied: CopiedAttributes;

  constructor(calls: PeerCalls, primary: Pick<LocalPaths, 'primary' | 'primaryIno'>, copied: CopiedAttributes) {
    this.#calls = calls;
    this.#primary = primary;
    this.#copied = copied;
  }

  async sync(gfids: readonly Gfid[], signal?: AbortSignal): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    for (const gfid of gfids) results.set(gfid, await this.#send(gfid, signal));
    return results;
  }

  async #send(gfid: Gfid, signal: AbortSignal | undefined): Promise<ItemResult> {
    try {
      const found = this.#primary.primary(gfid, (path) => readUserAttributes(path, this.#primary.primaryIno(gfid)));
      const args = found === null ? null : [gfid, found.mode, Object.fromEntries(found.xattrs), { ...this.#copied }];
      if (args !== null) await this.#calls.call(METHOD, args, { timeoutMs: TIMEOUT_MS, ...(signal === undefined ? {} : { signal }) });
      return { status: 'synced' };
    } catch (error) {
      if (signal?.aborted === true) throw error;
      // ENOENT is a failure, too: the directory may have moved unseen, and no later record would send its xattrs.
      const isItems = error instanceof RemoteCallError || error instanceof NativeError;
      return { status: 'failed', reason: errorLine(error), ...(isItems ? { scope: 'item' } : { scope: 'transfer', error }) };
    }
  }
}

export function attributeMethods(volume: EmbeddedVolume): ReadonlyMap<string, RpcMethod> {
  const set: RpcMethod = ([gfid, mode, xattrs, copied]) => {
    if (typeof gfid !== 'string' || !isGfid(gfid)) throw new Raised(new PyException('TypeError', ['not a gfid']));
    const wanted = parseAttributes(mode, xattrs);
    if (!isPyDict(copied)) throw new Raised(new PyException('TypeError', ['not a dict']));
    volume.onInode(gfid, (path) => {
      if (path === null) throw new NativeError('set xattrs', gfid, constants.errno.ENOENT);
      setUserXattrs(path, wanted, { xattrs: copied['xattrs'] === true, acls: copied['acls'] === true });
    });
    return null;
  };
  return new Map([[METHOD, set]]);
}

/** @throws Raised for malformed arguments and for names that are not users' xattrs */
function parseAttributes(mode: PyValue | undefined, xattrs: PyValue | undefined): UserAttributes {
  if (!isPyInt(mode) || !isPyDict(xattrs)) throw new Raised(new PyException('TypeError', ['not a mode and a dict']));
  const parsed = new Map<string, Buffer>();
  for (const [name, value] of Object.entries(xattrs)) {
    if (!(value instanceof Uint8Array) || !isUserXattr(name)) throw new Raised(new PyException('ValueError', ["not a user's xattr"]));
    parsed.set(name, Buffer.from(value));
  }
  return { mode, xattrs: parsed };
}
