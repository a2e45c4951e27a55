// How two sides of this program recognise each other. The secondary's object version is 1.1: a stock primary compares integer
// parts and goes on as ever. A primary of this program that sees a fraction asks for the features; it never asks a stock
// secondary, which says 1.0, so that neither stock side sees anything unusual.

import { isPyDict, isPyInt, type PyDict, type PyValue } from './pickle-values.js';

export const OBJECT_VERSION = 1.1;
export const FEATURES_METHOD = 'gsyncd_ts_features';
export const PUT_FILES_METHOD = 'gsyncd_ts_put_files';

export interface PeerFeatures {
  /** 'bytes': names and symlink targets that are not UTF-8 work. */
  readonly peerNames: 'utf8' | 'bytes';
  /** Calls that the peer works on at once; null when it does not say. */
  readonly lanes: number | null;
  /** 'sure': what the peer says is not there is not on a brick that is down either. */
  readonly answers: 'sure' | 'as the mount has them';
  /** Whether whole files can be sent in calls. */
  readonly takesFiles: boolean;
}

/** Features of every peer. */
export const STOCK_FEATURES: PeerFeatures = { peerNames: 'utf8', lanes: null, answers: 'as the mount has them', takesFiles: false };
const MAX_LANES = 64;

export function featuresDict({ peerNames, lanes, answers, takesFiles }: PeerFeatures): PyDict {
  return { names: peerNames, lanes, sure: answers === 'sure', files: takesFiles };
}

/** Features in a peer's answer; a missing one is not offered. */
export function featuresFrom(answer: PyValue): PeerFeatures {
  if (!isPyDict(answer)) return STOCK_FEATURES;
  const { names, lanes, sure, files } = answer;
  return {
    peerNames: names === 'bytes' ? 'bytes' : 'utf8',
    lanes: isPyInt(lanes) && lanes >= 1 ? Math.min(lanes, MAX_LANES) : null,
    answers: sure === true ? 'sure' : 'as the mount has them',
    takesFiles: files === true,
  };
}
