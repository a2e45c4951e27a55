// `file:///path` arguments, which name embedded primaries and secondaries. Used by the commands and the embedded site.

import { GsyncdError } from '../errors.js';

const FILE_URL = 'file://';

/** Path of a `file:///path` argument, null for any other. @throws GsyncdError 'usage' for a relative one */
export function fileUrlPath(text: string): string | null {
  if (!text.startsWith(FILE_URL)) return null;
  const path = text.slice(FILE_URL.length);
  if (!path.startsWith('/')) throw new GsyncdError(`${text}: must be file:///ABSOLUTE/PATH`, { code: 'usage', retryable: false });
  return path;
}
