// Client of RePCe, the RPC between the worker and the gsyncd on the secondary: concurrent calls over one pair of streams,
// matched to their answers by id. The worker owns the ssh process behind the streams. Layers from the bottom: streams,
// pickles, calls, the Secondary contract. Invariant: every call settles, by an answer, its deadline, its signal, or the end
// of the connection.

import type { Readable, Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { GsyncdError, errorLine } from '../errors.js';
import { deadline } from '../async/deadline.js';
import { oneLine, remoteCallError } from './errors.js';
import { PickleDecoder } from './pickle-decode.js';
import { encodePickle } from './pickle-encode.js';
import { PyFloat, PyTuple, pyTuple, type PyValue } from './pickle-values.js';

export interface RepceStreams {
  /** The peer's stdout. */
  readonly input: Readable;
  /** The peer's stdin. */
  readonly output: Writable;
  /** Returns why the peer died: the tail of the stderr of ssh. Called once, when the connection has ended. */
  readonly peerFailure?: () => string | Promise<string>;
}

export interface CallOptions {
  /** Deadline of this call alone, milliseconds from now. None by default. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** The part of RepceClient that callers need. Wrappers implement it, too. */
export type PeerCalls = Pick<RepceClient, 'call'>;

interface PendingCall {
  readonly method: string;
  readonly time: number;
  readonly settle: (outcome: { value: PyValue } | { error: Error }) => void;
}

const MAX_TAIL_CHARS = 1000;
const PEER_FAILURE_WAIT_MS = 2000;

export class RepceClient {
  readonly #input: Readable;
  readonly #output: Writable;
  readonly #peerFailure: () => string | Promise<string>;
  readonly #decoder = new PickleDecoder();
  readonly #calls = new Map<number, PendingCall>();
  /** Requests that wait for the drain event of the output. */
  #unsent: { readonly number: number; readonly request: Buffer }[] = [];
  #isBlocked = false;
  #nextNumber = 1;
  #hasEnded = false;
  #resolveClosed: (error: GsyncdError) => void = () => undefined;

  /** Resolves with the reason when the connection has ended, and never rejects. Pending calls reject with the same reason. */
  readonly closed: Promise<GsyncdError>;

  constructor(streams: RepceStreams) {
    this.#input = streams.input;
    this.#output = streams.output;
    this.#peerFailure = streams.peerFailure ?? (() => '');
    this.closed = new Promise((resolve) => {
      this.#resolveClosed = resolve;
    });
    this.#input.on('data', (chunk: Buffer) => this.#receive(chunk));
    this.#input.on('end', () => this.#fail(this.#decoder.isIdle ? 'closed by the peer' : 'ended inside an answer'));
    this.#input.on('close', () => this.#fail('closed by the peer'));
    this.#input.on('error', (error: Error) => this.#fail(errorLine(error), error));
    this.#output.on('drain', () => this.#flush());
    this.#output.on('close', () => this.#fail('closed by the peer'));
    this.#output.on('error', (error: Error) => this.#fail(errorLine(error), error));
  }

  /**
   * Calls `method` on the peer. Calls run concurrently; the peer may answer in any order.
   * @throws RemoteCallError if the peer raised an exception
   * @throws GsyncdError 'peer' if the connection is lost (with the tail of the peer's stderr), an answer is malformed, or
   * `timeoutMs` passes. A late answer is dropped, and other calls continue
   * @throws GsyncdError 'stopped' if `signal` is aborted, or the client was closed
   * @throws TypeError if an argument cannot be pickled
   */
  async call(method: string, args: readonly PyValue[], options: CallOptions = {}): Promise<PyValue> {
    const { timeoutMs, signal } = options;
    if (this.#hasEnded) throw await this.closed;
    if (signal?.aborted === true) throw stoppedError(method);
    const number = this.#nextNumber;
    this.#nextNumber += 1;
    const time = Date.now() / 1000;
    const rid = pyTuple([process.pid, number, new PyFloat(time)]);
    const request = encodePickle(pyTuple([rid, method, ...args]));
    return await new Promise<PyValue>((resolve, reject) => {
      const onAbort = (): void => settle({ error: stoppedError(method) });
      const timer =
        timeoutMs === undefined
          ? undefined
          : deadline(timeoutMs, () => settle({ error: timeoutError(method, timeoutMs) }), 'nothing');
      const settle: PendingCall['settle'] = (outcome) => {
        if (!this.#calls.delete(number)) return;
        timer?.cancel();
        signal?.removeEventListener('abort', onAbort);
        if ('error' in outcome) reject(outcome.error);
        else resolve(outcome.value);
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      this.#calls.set(number, { method, time, settle });
      this.#unsent.push({ number, request });
      this.#flush();
    });
  }

  /** Ends the connection: the peer sees the end of its input, pending calls reject with 'stopped'. Idempotent. */
  close(): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#output.end();
    this.#rejectAll(new GsyncdError('connection to the secondary: closed', { code: 'stopped' }));
  }

  /** One write per request: a stock peer relies on requests not being interleaved. */
  #flush(): void {
    this.#isBlocked = this.#output.writableNeedDrain;
    let sent = 0;
    for (const { number, request } of this.#unsent) {
      if (this.#isBlocked || this.#hasEnded) break;
      sent += 1;
      if (this.#calls.has(number)) this.#isBlocked = !this.#output.write(request);
    }
    this.#unsent = this.#unsent.slice(sent);
  }

  #receive(chunk: Buffer): void {
    if (this.#hasEnded) return;
    try {
      for (const answer of this.#decoder.feed(chunk)) this.#handleAnswer(answer);
    } catch (error) {
      this.#fail(errorLine(error), error);
    }
  }

  /** @throws GsyncdError 'peer' for a malformed answer, or one that matches no call */
  #handleAnswer(answer: PyValue): void {
    const [rid, isException, result] = answer instanceof PyTuple ? answer : [];
    if (!(rid instanceof PyTuple) || typeof isException !== 'boolean' || result === undefined)
      throw invalidAnswerError('malformed');
    const [pid, number, time] = rid;
    if (pid !== process.pid || typeof number !== 'number' || number < 1 || number >= this.#nextNumber)
      throw invalidAnswerError('to an unknown call');
    const call = this.#calls.get(number);
    if (call === undefined) return;
    if (time !== call.time) throw invalidAnswerError('to an unknown call');
    call.settle(isException ? { error: remoteCallError(call.method, result) } : { value: result });
  }

  #fail(state: string, cause?: unknown): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    void this.#describeFailure(state).then((message) => {
      this.#rejectAll(new GsyncdError(message, { code: 'peer', cause }));
      this.#input.destroy();
      this.#output.destroy();
    });
  }

  /** stderr usually arrives in the same turn of the event loop as the end of stdout, or a little later. */
  async #describeFailure(state: string): Promise<string> {
    await nextTurn();
    const timeout = new Promise<string>((resolve) => {
      setTimeout(resolve, PEER_FAILURE_WAIT_MS, '').unref();
    });
    const tail = await Promise.race([Promise.resolve().then(this.#peerFailure).catch(errorLine), timeout]);
    const reason = oneLine(
      tail
        .trim()
        .replaceAll(/\s*\n\s*/g, '; ')
        .slice(-MAX_TAIL_CHARS),
    );
    return `connection to the secondary: ${state}${reason === '' ? '' : `: ${reason}`}`;
  }

  #rejectAll(error: GsyncdError): void {
    this.#unsent = [];
    this.#resolveClosed(error);
    for (const call of [...this.#calls.values()]) call.settle({ error });
  }
}

function invalidAnswerError(state: string): GsyncdError {
  return new GsyncdError(`answer of the secondary: ${state}`, { code: 'peer' });
}

function timeoutError(method: string, timeoutMs: number): GsyncdError {
  return new GsyncdError(`call ${method}: no answer for ${timeoutMs / 1000} s`, { code: 'peer' });
}

function stoppedError(method: string): GsyncdError {
  return new GsyncdError(`call ${method}: stopped`, { code: 'stopped' });
}
