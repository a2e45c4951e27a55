// A Python exception that a handler raises towards the peer. The RPC server sends it as the answer; it turns all other
// errors into an OSError, a ValueError or a RuntimeError.

import type { PyException } from './pickle-values.js';

export class Raised extends Error {
  readonly exception: PyException;

  constructor(exception: PyException) {
    super(`${exception.className}: ${exception.args.map(String).join(', ')}`);
    this.name = 'Raised';
    this.exception = exception;
  }
}
