// An exception that the peer raised while it served a call. The connection is still usable. Callers must decide by `errno`
// and `className`, never by the message.

import { PyException, isPyInt, type PyValue } from './pickle-values.js';

/** Python's OSError, its old names and its subclasses. Their first argument is an errno. */
const OS_ERRORS: ReadonlySet<string> = new Set([
  'OSError',
  'IOError',
  'EnvironmentError',
  'BlockingIOError',
  'ChildProcessError',
  'ConnectionError',
  'BrokenPipeError',
  'ConnectionAbortedError',
  'ConnectionRefusedError',
  'ConnectionResetError',
  'FileExistsError',
  'FileNotFoundError',
  'InterruptedError',
  'IsADirectoryError',
  'NotADirectoryError',
  'PermissionError',
  'ProcessLookupError',
  'TimeoutError',
]);
const MAX_DETAIL_CHARS = 300;

export class RemoteCallError extends Error {
  readonly method: string;
  /** Class name without its module, such as `OSError`. */
  readonly className: string;
  readonly args: readonly PyValue[];
  /** Errno number, if the class belongs to the OSError family. */
  readonly errno: number | undefined;

  constructor(method: string, className: string, args: readonly PyValue[]) {
    const [first] = args;
    const errno = OS_ERRORS.has(className) && args.length >= 2 && isPyInt(first) ? first : undefined;
    super(oneLine(`call ${method}: ${className}: ${describe(args, errno)}`));
    this.name = 'RemoteCallError';
    this.method = method;
    this.className = className;
    this.args = args;
    this.errno = errno;
  }
}

/** Error for an answer that is flagged as an exception, even if its value is not a PyException. */
export function remoteCallError(method: string, raised: PyValue): RemoteCallError {
  if (raised instanceof PyException) return new RemoteCallError(method, raised.className, raised.args);
  return new RemoteCallError(method, 'Exception', [raised]);
}

/** Puts `text` on one line: newlines and other control characters become escapes. */
export function oneLine(text: string): string {
  return text.replaceAll(/\p{Cc}/gu, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, '0')}`);
}

function describe(args: readonly PyValue[], errno: number | undefined): string {
  const details = errno === undefined ? args : args.slice(1);
  const text = details
    .filter((arg) => arg !== null)
    .map(describeScalar)
    .join(', ');
  const cut = text.length > MAX_DETAIL_CHARS ? `${text.slice(0, MAX_DETAIL_CHARS)}...` : text;
  return errno === undefined ? cut : `${cut} (errno ${errno})`;
}

/** Shows scalars only: arguments may be whole operations. */
function describeScalar(arg: PyValue): string {
  if (typeof arg === 'string') return arg.slice(0, MAX_DETAIL_CHARS);
  if (typeof arg === 'number' || typeof arg === 'bigint' || typeof arg === 'boolean') return String(arg);
  return '...';
}
