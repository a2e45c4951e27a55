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
import { isPyDict, isPyInt, type PyValue } from '../rpc/pickle-values.js';
import { RaisedException } from '../rpc/raised-exception.js';
import type { RpcMethod } from '../rpc/server.js';
import type { LocalPaths } from './local-engines.js';
import type { EmbeddedVolume } from './secondary-volume.js';
import {
  isUserXattr,
  readUserAttributes,
  setUserXattrs,
  type AttributeSelection,
  type UserAttributes,
} from './user-xattrs.js';

const SET_XATTRS_METHOD = 'gsyncd_ts_set_xattrs';
const TIMEOUT_MS = 120_000;

/** The primary's side. It sends directories only; another AttributeSender handles files. */
export class DirectoryAttributes implements AttributeSender {
  readonly #calls: PeerCalls;
  readonly #primary: Pick<LocalPaths, 'primary' | 'primaryIno'>;
  readonly #selection: AttributeSelection;

  constructor(calls: PeerCalls, primary: Pick<LocalPaths, 'primary' | 'primaryIno'>, selection: AttributeSelection) {
    this.#calls = calls;
    this.#primary = primary;
    this.#selection = selection;
  }

  async sync(gfids: readonly Gfid[], signal?: AbortSignal): Promise<BoxResult> {
    const results = new Map<Gfid, ItemResult>();
    for (const gfid of gfids) results.set(gfid, await this.#send(gfid, signal));
    return results;
  }

  async #send(gfid: Gfid, signal: AbortSignal | undefined): Promise<ItemResult> {
    try {
      const attributes = this.#primary.primary(gfid, (path) =>
        readUserAttributes(path, this.#primary.primaryIno(gfid)),
      );
      const args =
        attributes === null
          ? null
          : [gfid, attributes.mode, Object.fromEntries(attributes.xattrs), { ...this.#selection }];
      if (args !== null) await this.#calls.call(SET_XATTRS_METHOD, args, { timeoutMs: TIMEOUT_MS, signal });
      return { status: 'synced' };
    } catch (error) {
      if (signal?.aborted === true) throw error;
      // ENOENT is a failure, too: the directory may have moved unseen, and no later record would send its xattrs.
      const isItemError = error instanceof RemoteCallError || error instanceof NativeError;
      return {
        status: 'failed',
        reason: errorLine(error),
        ...(isItemError ? { scope: 'item' } : { scope: 'transfer', error }),
      };
    }
  }
}

export function attributeMethods(volume: EmbeddedVolume): ReadonlyMap<string, RpcMethod> {
  const setXattrs: RpcMethod = ([gfid, mode, xattrs, selection]) => {
    if (typeof gfid !== 'string' || !isGfid(gfid)) throw new RaisedException('TypeError', ['not a gfid']);
    const wanted = parseAttributes(mode, xattrs);
    if (!isPyDict(selection)) throw new RaisedException('TypeError', ['not a dict']);
    volume.onInode(gfid, (path) => {
      if (path === null) throw new NativeError('set xattrs', gfid, constants.errno.ENOENT);
      setUserXattrs(path, wanted, { xattrs: selection['xattrs'] === true, acls: selection['acls'] === true });
    });
    return null;
  };
  return new Map([[SET_XATTRS_METHOD, setXattrs]]);
}

/** @throws RaisedException for malformed arguments and for names that are not users' xattrs */
function parseAttributes(mode: PyValue | undefined, xattrs: PyValue | undefined): UserAttributes {
  if (!isPyInt(mode) || !isPyDict(xattrs)) throw new RaisedException('TypeError', ['not a mode and a dict']);
  const parsed = new Map<string, Buffer>();
  for (const [name, value] of Object.entries(xattrs)) {
    if (!(value instanceof Uint8Array) || !isUserXattr(name))
      throw new RaisedException('ValueError', ["not a user's xattr"]);
    parsed.set(name, Buffer.from(value));
  }
  return { mode, xattrs: parsed };
}
