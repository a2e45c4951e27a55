// A Python exception that a handler raises towards the peer. The RPC server sends it as the answer; it turns all other
// errors into an OSError, a ValueError or a RuntimeError.

import { PyException, type PyValue } from './pickle-values.js';

export class RaisedException extends Error {
  readonly exception: PyException;

  constructor(className: string, args: readonly PyValue[]) {
    super(`${className}: ${args.map(String).join(', ')}`);
    this.name = 'RaisedException';
    this.exception = new PyException(className, args);
  }
}
