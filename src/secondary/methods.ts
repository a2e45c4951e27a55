// The RPC methods by name: those of the stock secondary, with its arguments and answers, and additions of this program. By
// `gsyncd_ts_features` two sides of this program recognise each other. Every path is checked before the volume gets it.

import { constants } from 'node:os';
import type { Log } from '../log.js';
import { errnoNumber, NativeError } from '../native/libc.js';
import { PERMISSIONS, S_IFDIR, S_IFMT } from '../protocol/view.js';
import { OBJECT_VERSION, FEATURES_METHOD, PUT_FILES_METHOD, featuresDict } from '../rpc/features.js';
import { PyFloat, PyStat, isPyDict, isPyInt, type PyValue } from '../rpc/pickle-values.js';
import { RaisedException } from '../rpc/raised-exception.js';
import type { RpcMethod } from '../rpc/server.js';
import { applyEntries, DEFAULT_LANES } from './entry-batch.js';
import { attempt, gfidOrNull, statOrNull } from './lookup.js';
import { Marks } from './marks.js';
import { MeasuredConcurrency, Turns } from './measured-concurrency.js';
import { applyMeta } from './meta-ops.js';
import { guardPath, isEntryName } from './path-guard.js';
import { MAX_CONCURRENT_WRITES, putFiles } from './put-files.js';
import { purge } from './remove.js';
import type { SecondaryVolume } from './volume.js';

const { EEXIST, ENODATA, ENOENT, ENOTDIR } = constants.errno;
const DHT_LINKTO = 'trusted.glusterfs.dht.linkto';

export interface MethodOptions {
  readonly volume: SecondaryVolume;
  readonly distributionCount: number;
  readonly markSpace: 'trusted' | 'system';
  readonly log: Log;
  /** Aborting it ends batches between two operations. */
  readonly signal: AbortSignal;
}

export function secondaryMethods(options: MethodOptions): ReadonlyMap<string, RpcMethod> {
  const { volume, signal } = options;
  const marks = new Marks(volume, options.markSpace);
  let keepAliveCount = 0;
  const turns = new Turns();
  const lanes = volume.lanes ?? DEFAULT_LANES;
  const [entryCalls, attributeCalls, fileCalls] = [
    new MeasuredConcurrency(turns, lanes),
    new MeasuredConcurrency(turns, lanes),
    new MeasuredConcurrency(turns, MAX_CONCURRENT_WRITES),
  ];

  const gfid: RpcMethod = async ([path]) => (await gfidOrNull(volume, guardPath(path))) ?? ENOENT;
  const methods: Readonly<Record<string, RpcMethod>> = {
    version: () => new PyFloat(OBJECT_VERSION),
    [FEATURES_METHOD]: () =>
      featuresDict({ peerNames: 'bytes', lanes, answers: 'sure', acceptsFiles: volume.putFile !== undefined }),
    [PUT_FILES_METHOD]: ([files]) =>
      fileCalls.run(itemCount(files), (concurrency) => putFiles(volume, signal, files, concurrency)),
    pid: () => process.pid,
    keep_alive: async ([info = null]) => {
      if (info !== null && !(isPyDict(info) && Object.keys(info).length === 0)) await marks.announce(info);
      return ++keepAliveCount;
    },
    entry_ops: ([entries]) =>
      entryCalls.run(itemCount(entries), (concurrency) => applyEntries(options, entries, concurrency)),
    meta_ops: ([entries]) =>
      attributeCalls.run(itemCount(entries), (concurrency) => applyMeta(volume, signal, entries, concurrency)),
    entries: async ([path]) => {
      const dir = guardPath(path);
      if (((await volume.lstat(dir)).mode & S_IFMT) !== S_IFDIR) throw new NativeError('entries', dir, ENOTDIR);
      return volume.readdir(dir);
    },
    lstat: async ([path]) => {
      const st = await statOrNull(volume, guardPath(path));
      return st === null ? ENOENT : new PyStat(st);
    },
    linkto_check: async ([path]) => {
      try {
        return (await volume.getXattr(guardPath(path), DHT_LINKTO)).length > 0;
      } catch (error) {
        const errno = errnoNumber(error);
        if (errno === ENOENT || errno === ENODATA) return false;
        throw error;
      }
    },
    gfid,
    gfid_mnt: gfid,
    purge: async ([path, names = null]) => {
      const dir = guardPath(path);
      if (names === null) await purge(volume, dir);
      else await purge(volume, dir, childNames(names));
      return null;
    },
    mkdir: ([path]) => createReplacing(volume, guardPath(path), (at) => volume.mkdir(at)),
    symlink: ([target, path]) => {
      if (typeof target !== 'string' || target === '') throw new RaisedException('TypeError', ['target: not a str']);
      return createReplacing(volume, guardPath(path), (at) => volume.symlink(target, at));
    },
    setattr: ([path, attrs]) => setAttributes(volume, guardPath(path), attrs),
    xtime: ([path, uuid]) => marks.get('xtime', guardPath(path), uuid),
    stime: ([path, uuid]) => marks.get('stime', guardPath(path), uuid),
    stime_mnt: ([path, uuid]) => marks.get('stime', guardPath(path), uuid),
    entry_stime: ([path, uuid]) => marks.get('entry_stime', guardPath(path), uuid),
    set_xtime: ([path, uuid, mark]) => marks.set('xtime', guardPath(path), uuid, mark, 'ignored'),
    set_stime: ([path, uuid, mark]) => marks.set('stime', guardPath(path), uuid, mark, 'ignored'),
    set_entry_stime: ([path, uuid, mark]) => marks.set('entry_stime', guardPath(path), uuid, mark, 'ignored'),
    set_xtime_remote: ([path, uuid, mark]) => marks.set('xtime', guardPath(path), uuid, mark, 'raised'),
    node_uuid: ([path = '.']) => marks.nodeUuids(guardPath(path)),
    native_volume_info: () => marks.native(),
    foreign_volume_infos: () => marks.foreign(),
  };
  const withConfirmation =
    (method: RpcMethod): RpcMethod =>
    async (args) => {
      try {
        return await method(args);
      } finally {
        await volume.confirm?.();
      }
    };
  return new Map(Object.entries(methods).map(([name, method]) => [name, withConfirmation(method)]));
}

function itemCount(list: PyValue | undefined): number {
  return Array.isArray(list) ? list.length : 0;
}

/** Makes an entry, and purges an existing one first. */
async function createReplacing(
  volume: SecondaryVolume,
  path: string,
  make: (path: string) => Promise<void>,
): Promise<null> {
  if ((await attempt(() => make(path), [EEXIST])) === EEXIST) {
    await purge(volume, path);
    await make(path);
  }
  return null;
}

async function setAttributes(volume: SecondaryVolume, path: string, attrs: PyValue | undefined): Promise<null> {
  if (!isPyDict(attrs)) throw new RaisedException('TypeError', ['attributes: not a dict']);
  const { own, mode, times } = attrs;
  const owner = parsePair(own);
  if (owner !== null) await volume.chown(path, ...owner);
  if (isPyInt(mode) && mode !== 0) await volume.chmod(path, mode & PERMISSIONS);
  const parsedTimes = parsePair(times);
  if (parsedTimes !== null) await volume.utimes(path, ...parsedTimes);
  return null;
}

function parsePair(value: PyValue | undefined): [number, number] | null {
  if (value === undefined || value === null) return null;
  const [a, b] = Array.isArray(value) ? (value as readonly PyValue[]) : [];
  if (typeof a !== 'number' || typeof b !== 'number')
    throw new RaisedException('TypeError', ['attributes: not two numbers']);
  return [a, b];
}

function childNames(names: PyValue): string[] {
  if (!Array.isArray(names)) throw new RaisedException('TypeError', ['entries: not a list']);
  return (names as readonly PyValue[]).map((name) => {
    if (typeof name !== 'string' || !isEntryName(name)) throw new RaisedException('ValueError', ['unsafe path']);
    return name;
  });
}
