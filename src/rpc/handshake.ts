// Checks whether both sides speak the same RPC and offer the same methods. No other call is sent before it
// has passed.

import { GsyncdError } from '../errors.js';
import type { CallOptions, RepceClient } from './client.js';
import { RemoteCallError } from './errors.js';
import {
  FEATURES_METHOD,
  parseFeatures,
  OBJECT_VERSION,
  PROTOCOL_VERSION,
  STOCK_FEATURES,
  type PeerFeatures,
} from './features.js';
import { isPyInt, type PyValue } from './pickle-values.js';

export interface Handshake {
  /** Process id of the peer, whose working directory is its mount. */
  readonly pid: number;
  /** Abilities beyond a stock peer's. */
  readonly features: PeerFeatures;
}

/**
 * Compares versions by their integer parts, as the stock daemon does, then asks for the peer's pid. If the peer's version
 * is ours including its fraction, asks for its features, too (features.ts).
 * @param options deadline of each call, and the caller's signal
 * @throws GsyncdError 'peer' if the versions differ or the peer does not answer
 */
export async function handshake(client: RepceClient, options: CallOptions = {}): Promise<Handshake> {
  const protocol = await client.call('__repce_version__', [], options);
  const object = await requestObjectVersion(client, options);
  if (!hasSameMajor(protocol, PROTOCOL_VERSION) || !hasSameMajor(object, OBJECT_VERSION)) {
    throw new GsyncdError(
      `handshake with the secondary: RePCe versions differ: here protocol ${formatVersion(PROTOCOL_VERSION)}, object ${formatVersion(OBJECT_VERSION)}, ` +
        `there protocol ${formatVersion(protocol)}, object ${formatVersion(object)}`,
      { code: 'peer' },
    );
  }
  const pid = await client.call('pid', [], options);
  if (!isPyInt(pid) || pid < 1)
    throw new GsyncdError('handshake with the secondary: pid: not a process id', { code: 'peer' });
  return { pid, features: object === OBJECT_VERSION ? await requestFeatures(client, options) : STOCK_FEATURES };
}

/** Another program with the same version may lack this method: it has stock features. */
async function requestFeatures(client: RepceClient, options: CallOptions): Promise<PeerFeatures> {
  try {
    return parseFeatures(await client.call(FEATURES_METHOD, [], options));
  } catch (error) {
    if (error instanceof RemoteCallError) return STOCK_FEATURES;
    throw error;
  }
}

/** @returns null if the peer has no method `version` */
async function requestObjectVersion(client: RepceClient, options: CallOptions): Promise<PyValue> {
  try {
    return await client.call('version', [], options);
  } catch (error) {
    if (error instanceof RemoteCallError && error.className === 'AttributeError') return null;
    throw error;
  }
}

function hasSameMajor(peerVersion: PyValue, version: number): boolean {
  return typeof peerVersion === 'number' && Math.trunc(peerVersion) === Math.trunc(version);
}

function formatVersion(version: PyValue): string {
  return typeof version === 'number' ? version.toFixed(1) : 'none';
}
