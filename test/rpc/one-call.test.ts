// SequentialCalls with the stock daemon's server, whose threads mix their answers, and with calls that the test ends.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { CallOptions, PeerCalls } from '../../src/rpc/client.js';
import { KEEPALIVE_METHOD, SequentialCalls } from '../../src/rpc/one-call.js';
import { pyTuple, type PyValue } from '../../src/rpc/pickle-values.js';
import { STOCK_DAEMON, startStockServer, type StockServer } from './stock-server.js';

const LONG_MS = 60_000;

describe.skipIf(STOCK_DAEMON === undefined)('OneCallAtATime with a stock server', () => {
  let server: StockServer | undefined;
  afterEach(async () => server?.stop());

  it('returns answers larger than a pipe unchanged', async () => {
    server = startStockServer();
    const calls = new SequentialCalls(server.client, LONG_MS);
    for (let round = 0; round < 20; round++) {
      const args = [0, 1, 2].map((i) => [String.fromCharCode(97 + i).repeat(400_000)]);
      expect(await Promise.all(args.map((arg) => calls.call('echo', arg)))).toEqual(args.map((arg) => pyTuple(arg)));
    }
  });

  it('starts the deadline of a call when it is sent', async () => {
    server = startStockServer();
    const calls = new SequentialCalls(server.client, LONG_MS);
    const long = calls.call('wait_for', ['gate']);
    const next = calls.call('echo', [1], { timeoutMs: 1000 });
    await sleep(1200);
    await server.client.call('open_gate', ['gate']);
    expect(await Promise.all([long, next])).toEqual(['gate', pyTuple([1])]);
  });
});

/** Calls that the test ends, by name. */
class HeldCalls implements PeerCalls {
  readonly sent: string[] = [];
  readonly #ends = new Map<string, () => void>();

  call(method: string, args: readonly PyValue[], _options?: CallOptions): Promise<PyValue> {
    const [first = method] = args;
    const name = typeof first === 'string' ? first : method;
    this.sent.push(name);
    return new Promise((resolve) => this.#ends.set(name, () => resolve(name)));
  }

  async end(name: string): Promise<void> {
    this.#ends.get(name)!();
    await sleep(0);
  }
}

describe('OneCallAtATime', () => {
  it('sends the next call when the previous one has ended, keepalives first', async () => {
    const peer = new HeldCalls();
    const calls = new SequentialCalls(peer, LONG_MS);
    const all = [
      calls.call('echo', ['a']),
      calls.call('echo', ['b']),
      calls.call('echo', ['c']),
      calls.call(KEEPALIVE_METHOD, []),
    ];
    await sleep(0);
    expect(peer.sent).toEqual(['a']);
    for (const name of ['a', KEEPALIVE_METHOD, 'b', 'c']) {
      expect(peer.sent.at(-1)).toBe(name);
      await peer.end(name);
    }
    expect(await Promise.all(all)).toEqual(['a', 'b', 'c', KEEPALIVE_METHOD]);
    const after = calls.call('echo', ['d']);
    await sleep(0);
    expect(peer.sent.at(-1)).toBe('d');
    await peer.end('d');
    await after;
  });

  it('sends only keepalives beside a call that takes too long', async () => {
    const peer = new HeldCalls();
    const calls = new SequentialCalls(peer, 50);
    void calls.call('echo', ['long']);
    void calls.call('echo', ['next']);
    const keepalive = calls.call(KEEPALIVE_METHOD, []);
    await expect.poll(() => peer.sent).toEqual(['long', KEEPALIVE_METHOD]);
    await peer.end(KEEPALIVE_METHOD);
    await keepalive;
    expect(peer.sent).toEqual(['long', KEEPALIVE_METHOD]);
    await peer.end('long');
    expect(peer.sent).toEqual(['long', KEEPALIVE_METHOD, 'next']);
  });

  it('never sends a call whose signal aborts while it waits', async () => {
    const peer = new HeldCalls();
    const calls = new SequentialCalls(peer, LONG_MS);
    const controller = new AbortController();
    void calls.call('echo', ['a']);
    const waiting = calls.call('echo', ['b'], { signal: controller.signal });
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'stopped' });
    await expect(calls.call('echo', ['c'], { signal: controller.signal })).rejects.toMatchObject({ code: 'stopped' });
    void calls.call('echo', ['d']);
    await peer.end('a');
    expect(peer.sent).toEqual(['a', 'd']);
  });
});
