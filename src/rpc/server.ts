// Server of RePCe, on stdin and stdout of the secondary. It serves requests `(rid, method, *args)` concurrently, and
// answers each with `(rid, is_exception, result)` as soon as it is done. Invariant: a request runs only the registered
// method of its name. A malformed request ends the service with an error, and no request is served after it.

import type { Readable, Writable } from 'node:stream';
import { GsyncdError, errorLine } from '../errors.js';
import { errnoNumber, errnoText } from '../native/libc.js';
import { oneLine } from './errors.js';
import { PROTOCOL_VERSION } from './features.js';
import { PickleDecoder } from './pickle-decode.js';
import { encodePickle } from './pickle-encode.js';
import { DEFAULT_LIMITS, type PickleLimits } from './pickle-limits.js';
import { PyException, PyFloat, PyTuple, pyTuple, type PyValue } from './pickle-values.js';
import { RaisedException } from './raised-exception.js';

export type RpcMethod = (args: readonly PyValue[]) => Promise<PyValue> | PyValue;

export interface RepceServerOptions {
  readonly input: Readable;
  readonly output: Writable;
  /** Methods by name. The server itself adds `__repce_version__`. */
  readonly methods: ReadonlyMap<string, RpcMethod>;
  /** Limits of one request. */
  readonly limits?: Partial<PickleLimits>;
  /** Number of running requests at which reading pauses. Default 64. */
  readonly maxCalls?: number;
  /** Called for every request, before it is served. */
  readonly onCall?: (method: string) => void;
  /** Called with the error of a method. */
  readonly onRaised?: (method: string, line: string) => void;
}

const MAX_METHOD_CHARS = 100;
/** Maximum of answer bytes that the peer has not read: two of the largest answers. */
const MAX_UNREAD_BYTES = 2 * DEFAULT_LIMITS.maxBytes;
/** Maximum length of a method's error in the log: it may hold a path from the peer. */
const MAX_LINE_CHARS = 2000;

/**
 * Serves until the input ends. Then resolves, even if requests are still running.
 * @throws GsyncdError 'peer' if the input is malformed or ends inside a request, an answer cannot be written, or the peer
 * does not read its answers
 */
export function serveRepce(options: RepceServerOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = new RepceServer(options, (error) => (error === null ? resolve() : reject(error)));
    server.start();
  });
}

class RepceServer {
  readonly #options: RepceServerOptions;
  readonly #decoder: PickleDecoder;
  readonly #onEnd: (error: Error | null) => void;
  readonly #maxCalls: number;
  #runningCalls = 0;
  #hasEnded = false;

  constructor(options: RepceServerOptions, onEnd: (error: Error | null) => void) {
    this.#options = options;
    this.#decoder = new PickleDecoder(options.limits);
    this.#onEnd = onEnd;
    this.#maxCalls = options.maxCalls ?? 64;
  }

  start(): void {
    const { input, output } = this.#options;
    input.on('data', (chunk: Buffer) => this.#receive(chunk));
    input.on('end', () => this.#end(this.#decoder.isIdle ? null : requestError('ended inside a request')));
    input.on('error', (error: Error) => this.#end(requestError(errorLine(error), error)));
    output.on('error', (error: Error) => this.#end(requestError(`answer: ${errorLine(error)}`, error)));
  }

  #end(error: Error | null): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#options.input.pause();
    this.#onEnd(error);
  }

  #receive(chunk: Buffer): void {
    try {
      for (const request of this.#decoder.feed(chunk)) {
        if (this.#hasEnded) return;
        this.#handleRequest(request);
      }
    } catch (error) {
      this.#end(requestError(errorLine(error), error));
    }
  }

  /** @throws GsyncdError 'peer' if the request is malformed */
  #handleRequest(request: PyValue): void {
    if (!(request instanceof PyTuple)) throw new GsyncdError('not a tuple', { code: 'peer' });
    const [rid, method, ...args] = request;
    if (!isRequestId(rid)) throw new GsyncdError('no request id', { code: 'peer' });
    if (typeof method !== 'string' || method.length > MAX_METHOD_CHARS)
      throw new GsyncdError('no method', { code: 'peer' });
    this.#options.onCall?.(method);
    this.#runningCalls += 1;
    if (this.#runningCalls >= this.#maxCalls) this.#options.input.pause();
    void this.#serve(rid, method, args).finally(() => {
      this.#runningCalls -= 1;
      if (this.#runningCalls < this.#maxCalls && !this.#hasEnded) this.#options.input.resume();
    });
  }

  async #serve(rid: RequestId, method: string, args: readonly PyValue[]): Promise<void> {
    let isException = false;
    let result: PyValue;
    try {
      result = method === '__repce_version__' ? new PyFloat(PROTOCOL_VERSION) : await this.#findMethod(method)(args);
    } catch (error) {
      isException = true;
      result = raisedException(error);
      this.#options.onRaised?.(oneLine(method), errorLine(error).slice(0, MAX_LINE_CHARS));
    }
    if (this.#hasEnded) return;
    // The decoder turns floats into numbers: return an integral time as the float that it was.
    const answeredRid = pyTuple([rid[0], rid[1], typeof rid[2] === 'number' ? new PyFloat(rid[2]) : rid[2]]);
    let answer: Buffer;
    try {
      answer = encodePickle(pyTuple([answeredRid, isException, result]), DEFAULT_LIMITS.maxBytes);
    } catch (error) {
      const exception = new PyException('RuntimeError', [`answer to ${oneLine(method)}: ${errorLine(error)}`]);
      answer = encodePickle(pyTuple([answeredRid, true, exception]));
    }
    await this.#write(answer);
  }

  /** Resolves when the bytes have left this process. Until then, the request is one of maxCalls. */
  async #write(answer: Buffer): Promise<void> {
    const { output } = this.#options;
    if (output.writableLength + answer.length > MAX_UNREAD_BYTES)
      this.#end(requestError('the primary does not read its answers'));
    else await new Promise<void>((resolve) => output.write(answer, () => resolve()));
  }

  #findMethod(name: string): RpcMethod {
    const method = this.#options.methods.get(name);
    if (method === undefined) throw new RaisedException('AttributeError', [`no method ${oneLine(name)}`]);
    return method;
  }
}

/** @returns the exception for the peer: an OSError with errno and text if the error has an errno */
export function raisedException(error: unknown): PyException {
  if (error instanceof RaisedException) return error.exception;
  const errno = errnoNumber(error);
  if (errno !== undefined) return new PyException('OSError', [errno, errnoText(errno)]);
  return new PyException(error instanceof RangeError || error instanceof TypeError ? 'ValueError' : 'RuntimeError', [
    errorLine(error),
  ]);
}

type Scalar = number | bigint;
type RequestId = PyTuple & readonly [Scalar, Scalar, Scalar];

/** A request id is `(pid, thread, time)`. The answer repeats it, so it must be small. */
function isRequestId(rid: PyValue | undefined): rid is RequestId {
  return (
    rid instanceof PyTuple &&
    rid.length === 3 &&
    rid.every((part) => typeof part === 'number' || typeof part === 'bigint')
  );
}

function requestError(state: string, cause?: unknown): GsyncdError {
  return new GsyncdError(`requests of the primary: ${oneLine(state)}`, { code: 'peer', cause });
}
