// One call at a time for a stock peer. Its threads write their answers with os.write, unsynchronised: as soon as the pipe is
// full, the kernel writes one answer into the middle of another, and the stream is lost. Keepalives go first in the queue.
// A deadline starts when the call is sent: the real client, which has the timers, gets the call only then.
// Invariant: every call is sent, or rejects because its signal aborted.

import { GsyncdError } from '../errors.js';
import type { CallOptions, PeerCalls } from './client.js';
import type { PyValue } from './pickle-values.js';

export const KEEPALIVE_METHOD = 'keep_alive';

export class OneCallAtATime implements PeerCalls {
  readonly #calls: PeerCalls;
  readonly #patienceMs: number;
  #isBusy = false;
  /** Starts of the calls that wait. */
  readonly #queue: (() => void)[] = [];

  /**
   * @param keepalivePatienceMs a keepalive that has waited so long for one call goes out beside it: a stock peer ends when
   * it hears none for secondary-timeout, and removing a large tree can take longer. Its answer is in danger only if both
   * are written at the same moment.
   */
  constructor(calls: PeerCalls, keepalivePatienceMs: number) {
    this.#calls = calls;
    this.#patienceMs = keepalivePatienceMs;
  }

  /** @throws what the peer's call throws; GsyncdError 'stopped' when the signal aborts while the call waits */
  async call(method: string, args: readonly PyValue[], options: CallOptions = {}): Promise<PyValue> {
    const isFirst = method === KEEPALIVE_METHOD;
    const turn = await this.#enter(method, isFirst, options.signal);
    try {
      return await this.#calls.call(method, args, options);
    } finally {
      if (turn === 'own') this.#leave();
    }
  }

  async #enter(method: string, isFirst: boolean, signal: AbortSignal | undefined): Promise<'own' | 'beside'> {
    if (!this.#isBusy) {
      this.#isBusy = true;
      return 'own';
    }
    return new Promise((resolve, reject) => {
      const end = (settle: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', onAbort);
        const at = this.#queue.indexOf(start);
        if (at >= 0) this.#queue.splice(at, 1);
        settle();
      };
      const start = (): void => end(() => resolve('own'));
      const onAbort = (): void => end(() => reject(new GsyncdError(`call ${method}: stopped`, { code: 'stopped' })));
      const timer = isFirst ? setTimeout(() => end(() => resolve('beside')), this.#patienceMs).unref() : undefined;
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      if (isFirst) this.#queue.unshift(start);
      else this.#queue.push(start);
    });
  }

  #leave(): void {
    this.#isBusy = this.#queue.length > 0;
    this.#queue[0]?.();
  }
}
