// `file:///path` and `ssh://[USER@]HOST[:PORT]/path` arguments, which name plain directories as primary or secondary.

import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { GsyncdError } from '../../errors.js';
import { fsDecode, fsEncode } from '../../names.js';

const FILE_URL = 'file://';

/** Path of a `file:///path` argument, without symlinks where it exists; null for any other argument.
 *  @throws GsyncdError 'usage' for a relative one */
export function fileUrlPath(text: string): string | null {
  if (!text.startsWith(FILE_URL)) return null;
  const path = text.slice(FILE_URL.length);
  if (!path.startsWith('/')) throw new GsyncdError(`${text}: must be file:///ABSOLUTE/PATH`, { code: 'usage' });
  try {
    return fsDecode(realpathSync(fsEncode(path), { encoding: 'buffer' }));
  } catch {
    return resolve(path); // the caller reports what is wrong with it
  }
}

export interface SshLocation {
  /** `[USER@]HOST` */
  readonly address: string;
  readonly host: string;
  /** null for the configured port. */
  readonly port: number | null;
  /** Absolute. */
  readonly path: string;
}

/** Parts of `ssh://[USER@]HOST[:PORT]/path`; null for any other text, such as stock's `ssh://[USER@]HOST::VOLUME`. */
export function sshUrl(text: string): SshLocation | null {
  const match = /^ssh:\/\/((?:[^@:/]+@)?([^@:/]+))(?::(\d+))?(\/.*)$/.exec(text);
  const [, address, host, port, path] = match ?? [];
  // ssh would parse a host that begins with a dash as an option.
  if (address === undefined || host === undefined || path === undefined || address.startsWith('-')) return null;
  return { address, host, port: port === undefined ? null : Number(port), path };
}
