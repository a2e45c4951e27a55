// Errors that callers catch have a stable code; every other error is a plain Error. A message is one line: action, object,
// reason, separated by colons. Only cli/failure.ts maps codes to exit codes.

import { safeText } from './log-format.js';

export type ErrorCode =
  | 'usage' // the command line or the configuration is wrong: restarting does not help
  | 'config'
  | 'preflight' // a volume, brick, host, key or program is not as needed
  | 'peer' // the connection to the secondary is broken, or the peer's answer is invalid
  | 'mount' // the volume could not be mounted, or its mount died
  | 'changelog' // a changelog or its index cannot be read
  | 'disk' // one of this program's own files cannot be written
  | 'outdated-mount' // a mount denies what its volume has: a restarted worker, with fresh mounts, sees it
  | 'no-stime'
  | 'partial-history'
  | 'no-history'
  | 'stopped' // the caller's signal was aborted
  | 'fault';

export interface GsyncdErrorOptions {
  readonly code: ErrorCode;
  readonly cause?: unknown;
}

/** A failure with a one-line message that an admin can act on. */
export class GsyncdError extends Error {
  readonly code: ErrorCode;

  constructor(message: string, options: GsyncdErrorOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'GsyncdError';
    this.code = options.code;
  }
}

/** Whether `error` is a GsyncdError, of `code` when one is given. */
export function isGsyncdError(error: unknown, code?: ErrorCode): error is GsyncdError {
  return error instanceof GsyncdError && (code === undefined || error.code === code);
}

/** errno name (`ENOENT`) of a Node system error, undefined for anything else. */
export function errnoCode(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** Formats any thrown value as one line that is safe for a log or a terminal. A message may contain a peer's text. */
export function errorLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return safeText(text.replaceAll(/\s*\n\s*/g, ' ').trim());
}
