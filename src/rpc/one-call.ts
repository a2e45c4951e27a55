// Sends one call at a time to a stock peer, whose threads write answers with os.write, unsynchronised. If the pipe is full,
// the kernel may write one answer into the middle of another, and the stream is lost. Keepalives go to the front of the
// queue. The deadline of a call starts when the call is sent, since only then the real client, which has the timers, gets
// it. Invariant: every call is sent, or rejects because its signal aborted.

import { GsyncdError } from '../errors.js';
import type { CallOptions, PeerCalls } from './client.js';
import type { PyValue } from './pickle-values.js';

export const KEEPALIVE_METHOD = 'keep_alive';

export class SequentialCalls implements PeerCalls {
  readonly #calls: PeerCalls;
  readonly #keepaliveMaxWaitMs: number;
  #isBusy = false;
  /** Functions that begin the waiting calls. */
  readonly #queue: (() => void)[] = [];

  /**
   * @param keepaliveMaxWaitMs a keepalive that waited this long is sent beside the running call. Without keepalives, a
   * stock peer exits after secondary-timeout, and removing a large tree can take longer. The answers are at risk only if
   * the peer writes both at the same moment.
   */
  constructor(calls: PeerCalls, keepaliveMaxWaitMs: number) {
    this.#calls = calls;
    this.#keepaliveMaxWaitMs = keepaliveMaxWaitMs;
  }

  /** @throws errors of the wrapped call; GsyncdError 'stopped' if the signal aborts while the call waits */
  async call(method: string, args: readonly PyValue[], options: CallOptions = {}): Promise<PyValue> {
    const isKeepalive = method === KEEPALIVE_METHOD;
    const turn = await this.#acquire(method, isKeepalive, options.signal);
    try {
      return await this.#calls.call(method, args, options);
    } finally {
      if (turn === 'own') this.#release();
    }
  }

  async #acquire(method: string, isKeepalive: boolean, signal: AbortSignal | undefined): Promise<'own' | 'beside'> {
    if (!this.#isBusy) {
      this.#isBusy = true;
      return 'own';
    }
    return new Promise((resolve, reject) => {
      const settleWait = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const index = this.#queue.indexOf(begin);
        if (index >= 0) this.#queue.splice(index, 1);
        settle();
      };
      const begin = (): void => settleWait(() => resolve('own'));
      const onAbort = (): void =>
        settleWait(() => reject(new GsyncdError(`call ${method}: stopped`, { code: 'stopped' })));
      const timer = isKeepalive
        ? setTimeout(() => settleWait(() => resolve('beside')), this.#keepaliveMaxWaitMs).unref()
        : undefined;
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      if (isKeepalive) this.#queue.unshift(begin);
      else this.#queue.push(begin);
    });
  }

  #release(): void {
    this.#isBusy = this.#queue.length > 0;
    this.#queue[0]?.();
  }
}
