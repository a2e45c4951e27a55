// `file:///path` and `ssh://[USER@]HOST[:PORT]/path` arguments, which name embedded primaries and secondaries. Used by the
// commands and the embedded site.

import { GsyncdError } from '../errors.js';

const FILE_URL = 'file://';

/** Path of a `file:///path` argument, null for any other. @throws GsyncdError 'usage' for a relative one */
export function fileUrlPath(text: string): string | null {
  if (!text.startsWith(FILE_URL)) return null;
  const path = text.slice(FILE_URL.length);
  if (!path.startsWith('/')) throw new GsyncdError(`${text}: must be file:///ABSOLUTE/PATH`, { code: 'usage', retryable: false });
  return path;
}

export interface SshPlace {
  /** `[USER@]HOST` */
  readonly address: string;
  readonly host: string;
  /** null for the configured one. */
  readonly port: number | null;
  /** Absolute. */
  readonly path: string;
}

/** Parts of `ssh://[USER@]HOST[:PORT]/path`; null for any other text, such as stock's `ssh://[USER@]HOST::VOLUME`. */
export function sshUrl(text: string): SshPlace | null {
  const match = /^ssh:\/\/((?:[^@:/]+@)?([^@:/]+))(?::(\d+))?(\/.*)$/.exec(text);
  const [, address, host, port, path] = match ?? [];
  // What begins with a dash would be an option of ssh.
  if (address === undefined || host === undefined || path === undefined || address.startsWith('-')) return null;
  return { address, host, port: port === undefined ? null : Number(port), path };
}
