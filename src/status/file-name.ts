// How the status file of a brick is called, beside monitor.status. Used by all that read or write it.

import { fsEncode } from '../names.js';

/** Name of a brick's status file: Python's quote_plus over the path's bytes. */
export function statusFileName(brickPath: string): string {
  const quoted = fsEncode(brickPath)
    .toString('latin1')
    .replaceAll(/[^A-Za-z0-9_.~-]/g, (char) => (char === ' ' ? '+' : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`));
  return `brick_${quoted}.status`;
}
