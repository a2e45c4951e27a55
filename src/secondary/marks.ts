// Marks in xattrs of the secondary volume: xtime, stime, entry_stime, volume marks and node uuids. Primaries read and set
// them over the RPC. As in stock, a missing path or mark is returned as its errno. An unprivileged daemon (mountbroker)
// uses the `system` namespace.

import { constants } from 'node:os';
import { unpackVolumeMark } from '../gluster/volume-mark.js';
import { NODE_UUID, VOLUME_MARK } from '../gluster/xattr-names.js';
import { packXtime, unpackXtime } from '../gluster/xtime.js';
import { errnoNumber } from '../native/libc.js';
import { volumeInfoDict } from '../rpc/op-dicts.js';
import { isPyDict, isPyInt, pyTuple, type PyValue } from '../rpc/pickle-values.js';
import { RaisedException } from '../rpc/raised-exception.js';
import { attempt } from './lookup.js';
import type { SecondaryVolume } from './volume.js';

const { EINVAL, ENODATA, ENOENT, ENOTDIR, ESTALE } = constants.errno;
/** One volume uuid, or two joined by a dot. */
const MARK_UUIDS = /^[0-9a-fA-F-]{36}(\.[0-9a-fA-F-]{36})?$/;

export type MarkKind = 'xtime' | 'stime' | 'entry_stime';

export class Marks {
  readonly #volume: SecondaryVolume;
  readonly #namespace: 'trusted' | 'system';

  constructor(volume: SecondaryVolume, namespace: 'trusted' | 'system') {
    this.#volume = volume;
    this.#namespace = namespace;
  }

  /** @returns `(seconds, microseconds)`, or an errno number */
  async get(kind: MarkKind, path: string, uuid: PyValue | undefined): Promise<PyValue> {
    try {
      return pyTuple(unpackXtime(await this.#volume.getXattr(path, this.#xattrName(kind, uuid))));
    } catch (error) {
      const errno = errnoNumber(error);
      if (errno === ENOENT || errno === ENODATA || errno === ENOTDIR) return errno;
      throw error;
    }
  }

  /** @param absentPath `ignored`: does nothing if the path is gone */
  async set(
    kind: MarkKind,
    path: string,
    uuid: PyValue | undefined,
    mark: PyValue | undefined,
    absentPath: 'ignored' | 'raised',
  ): Promise<null> {
    const [seconds, micros] = Array.isArray(mark) ? (mark as readonly PyValue[]) : [];
    if (!isPyInt(seconds) || !isPyInt(micros)) throw new RaisedException('TypeError', ['mark: not two integers']);
    const name = this.#xattrName(kind, uuid);
    await attempt(
      () => this.#volume.setXattr(path, name, packXtime([seconds, micros])),
      absentPath === 'ignored' ? [ENOENT] : [],
      [ESTALE, EINVAL],
    );
    return null;
  }

  async nodeUuids(path: string): Promise<PyValue> {
    const text = (await this.#volume.getXattr(path, this.#inNamespace(NODE_UUID))).toString('latin1');
    return text.replace(/\0$/, '').split(' ');
  }

  /** @returns None if the volume has no mark */
  async native(): Promise<PyValue> {
    try {
      return volumeInfoDict(unpackVolumeMark(await this.#volume.getXattr('.', this.#inNamespace(VOLUME_MARK))));
    } catch (error) {
      if (errnoNumber(error) === ENODATA) return null;
      throw error;
    }
  }

  /** Returns marks that have not expired, and removes the others. */
  async foreign(): Promise<PyValue> {
    const valid: PyValue[] = [];
    const prefix = `${this.#inNamespace(VOLUME_MARK)}.`;
    for (const name of (await this.#volume.listXattrs('.')).filter((found) => found.startsWith(prefix))) {
      const mark = unpackVolumeMark(await this.#volume.getXattr('.', name));
      if ((mark.timeout ?? 0) > Math.floor(Date.now() / 1000)) valid.push(volumeInfoDict(mark));
      else await this.#volume.removeXattr('.', name).catch(() => undefined);
    }
    return valid;
  }

  /** Stores the volume mark that a primary sends with its keepalive. */
  async announce(info: PyValue): Promise<void> {
    if (!isPyDict(info)) throw new RaisedException('TypeError', ['volume info: not a dict']);
    const { version, uuid, retval, volume_mark: mark, timeout } = info;
    if (typeof uuid !== 'string' || !/^[0-9a-f-]{36}$/i.test(uuid))
      throw new RaisedException('ValueError', ['volume info: no uuid']);
    const [[major, minor], [seconds, micros]] = [integersIn(version), integersIn(mark)];
    const value = Buffer.alloc(31);
    value.writeUInt8(major ?? 0, 0);
    value.writeUInt8(minor ?? 0, 1);
    Buffer.from(uuid.replaceAll('-', ''), 'hex').copy(value, 2);
    value.writeUInt8(isPyInt(retval) ? retval : 0, 18);
    value.writeUInt32BE(seconds ?? 0, 19);
    value.writeUInt32BE(micros ?? 0, 23);
    value.writeUInt32BE(typeof timeout === 'number' ? Math.trunc(timeout) : 0, 27);
    await this.#volume.setXattr('.', `${this.#inNamespace(VOLUME_MARK)}.${uuid}`, value);
  }

  #xattrName(kind: MarkKind, uuid: PyValue | undefined): string {
    if (typeof uuid !== 'string' || !MARK_UUIDS.test(uuid))
      throw new RaisedException('ValueError', ['uuid: not a uuid']);
    return `${this.#namespace}.glusterfs.${uuid}.${kind}`;
  }

  #inNamespace(name: string): string {
    return name.replace(/^trusted\./, `${this.#namespace}.`);
  }
}

function integersIn(value: PyValue | undefined): number[] {
  return Array.isArray(value) ? (value as readonly PyValue[]).filter(isPyInt) : [];
}
