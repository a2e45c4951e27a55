// Names of the bricks' status files, which are beside monitor.status.

import { fsDecode, fsEncode } from '../names.js';

/** Name of a brick's status file: Python's quote_plus over the path's bytes. */
export function statusFileName(brickPath: string): string {
  const quoted = fsEncode(brickPath)
    .toString('latin1')
    .replaceAll(/[^A-Za-z0-9_.~-]/g, (char) =>
      char === ' ' ? '+' : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    );
  return `brick_${quoted}.status`;
}

/** The brick whose status file has this name; null when it is another file. */
export function brickOfStatusFile(name: string): string | null {
  const quoted = /^brick_(.+)\.status$/.exec(name)?.[1];
  if (quoted === undefined) return null;
  const bytes = quoted
    .replaceAll('+', ' ')
    .replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return fsDecode(Buffer.from(bytes, 'latin1'));
}
