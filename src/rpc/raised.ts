// A Python exception that a handler raises towards the peer. Thrown by the handlers, turned into
// an answer by the RPC server; everything else that is thrown becomes an OSError or a RuntimeError there.

import type { PyException } from './pickle-values.js';

export class Raised extends Error {
  readonly exception: PyException;

  constructor(exception: PyException) {
    super(`${exception.className}: ${exception.args.map(String).join(', ')}`);
    this.name = 'Raised';
    this.exception = exception;
  }
}
