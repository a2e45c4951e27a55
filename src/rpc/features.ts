// Lets two sides of this program recognise each other. The object version of this secondary is 1.1. A stock primary compares
// integer parts only, and so accepts it. A primary of this program asks for features if the version is 1.1. It never asks a
// stock secondary, which reports 1.0.

import { isPyDict, isPyInt, type PyDict, type PyValue } from './pickle-values.js';

export const PROTOCOL_VERSION = 1.0;
export const OBJECT_VERSION = 1.1;
export const FEATURES_METHOD = 'gsyncd_ts_features';
export const PUT_FILES_METHOD = 'gsyncd_ts_put_files';

export interface PeerFeatures {
  /** 'bytes': the peer accepts names and symlink targets that are not UTF-8. */
  readonly peerNames: 'utf8' | 'bytes';
  /** Number of concurrent calls that the peer supports; null if it does not report one. */
  readonly lanes: number | null;
  /** 'sure': if the peer reports an inode as absent, it is not on a brick that is down either. */
  readonly answers: 'sure' | 'as the mount has them';
  /** Whether the peer accepts whole files in calls. */
  readonly acceptsFiles: boolean;
}

/** Features of a stock peer. */
export const STOCK_FEATURES: PeerFeatures = {
  peerNames: 'utf8',
  lanes: null,
  answers: 'as the mount has them',
  acceptsFiles: false,
};
const MAX_LANES = 64;

export function featuresDict({ peerNames, lanes, answers, acceptsFiles }: PeerFeatures): PyDict {
  return { names: peerNames, lanes, sure: answers === 'sure', files: acceptsFiles };
}

/** Parses the answer of a peer. A feature that is missing in it is not offered. */
export function parseFeatures(answer: PyValue): PeerFeatures {
  if (!isPyDict(answer)) return STOCK_FEATURES;
  const { names, lanes, sure, files } = answer;
  return {
    peerNames: names === 'bytes' ? 'bytes' : 'utf8',
    lanes: isPyInt(lanes) && lanes >= 1 ? Math.min(lanes, MAX_LANES) : null,
    answers: sure === true ? 'sure' : 'as the mount has them',
    acceptsFiles: files === true,
  };
}
