// RepceClient against the stock daemon's server, and against faulty streams.

import { PassThrough } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { RepceClient, type RepceStreams } from '../../src/rpc/client.js';
import { RemoteCallError } from '../../src/rpc/errors.js';
import { handshake } from '../../src/rpc/handshake.js';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import { PyFloat, PyTuple, pyTuple, type PyValue } from '../../src/rpc/pickle-values.js';
import { STOCK_DAEMON, startStockServer, type StockServer } from './stock-server.js';
import { decodeAll } from './python-peer.js';

let servers: StockServer[] = [];
function stock(version?: string): StockServer {
  const server = startStockServer(version);
  servers.push(server);
  return server;
}
afterEach(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  servers = [];
});

describe.skipIf(STOCK_DAEMON === undefined)('RepceClient with a stock server', () => {
  it('completes the handshake', async () => {
    const { client } = stock();
    expect((await handshake(client, { timeoutMs: 20_000 })).pid).toBeGreaterThan(1);
  });

  it('accepts a newer minor version, and names both versions in the error for another major version', async () => {
    expect((await handshake(stock('1.7').client)).pid).toBeGreaterThan(1);
    await expect(handshake(stock('2.5').client)).rejects.toMatchObject({
      code: 'peer',
      message:
        'handshake with the secondary: RePCe versions differ: here protocol 1.0, object 1.1, there protocol 1.0, object 2.5',
    });
  });

  it('passes arguments and answers of every type', async () => {
    const { client } = stock();
    const args: PyValue[] = [
      'caf\uDCE9 \n nämé',
      2 ** 40,
      -(2n ** 70n),
      1.5,
      null,
      true,
      Buffer.of(0, 255),
      [pyTuple([1]), { a: [] }],
    ];
    expect(decodeAll(encodePickle(await client.call('echo', args)))).toEqual(decodeAll(encodePickle(pyTuple(args))));
    await expect(client.call('echo', [() => 1] as unknown as PyValue[])).rejects.toBeInstanceOf(TypeError);
    expect(await client.call('echo', [])).toEqual(new PyTuple());
  });

  it('matches answers that come in another order than the calls', async () => {
    const { client } = stock();
    const order: PyValue[] = [];
    const waiting = ['a', 'b', 'c'].map(async (name) => order.push(await client.call('wait_for', [name])));
    for (const name of ['c', 'a', 'b']) {
      const before = order.length;
      await client.call('open_gate', [name]);
      await expect.poll(() => order.length).toBe(before + 1);
    }
    await Promise.all(waiting);
    expect(order).toEqual(['c', 'a', 'b']);
  });

  it('answers a thousand concurrent calls, with more bytes than the pipes hold', async () => {
    const { client } = stock();
    const numbers = Array.from({ length: 1000 }, (_unused, i) => i);
    const answers = await Promise.all(numbers.map((i) => client.call('echo', [i, 'x'.repeat(2000)])));
    expect(answers.map((answer) => (answer as PyTuple)[0])).toEqual(numbers);
  });

  it('rejects with the exception of the peer, and continues', async () => {
    const { client } = stock();
    const missing = await client.call('raise_os_error', ['/no\nwhere']).catch((error: unknown) => error);
    expect(missing).toBeInstanceOf(RemoteCallError);
    expect(missing).toMatchObject({
      method: 'raise_os_error',
      className: 'OSError',
      errno: 2,
      args: [2, 'No such file or directory', '/no\nwhere'],
    });
    expect((missing as Error).message).toBe(
      'call raise_os_error: OSError: No such file or directory, /no\\x0awhere (errno 2)',
    );
    await expect(client.call('raise_args', [5, { deep: [] }, 'x'.repeat(5000)])).rejects.toMatchObject({
      className: 'ValueError',
      errno: undefined,
      args: [5, { deep: [] }, 'x'.repeat(5000)],
    });
    await expect(client.call('fail_unicode', ['caf\uDCE9'])).rejects.toMatchObject({
      className: 'UnicodeEncodeError',
      args: ['utf-8', 'caf\uDCE9', 3, 4, 'surrogates not allowed'],
    });
    await expect(client.call('no_such_method', [])).rejects.toMatchObject({ className: 'AttributeError' });
    expect(await client.call('echo', [1])).toEqual(pyTuple([1]));
  });

  it('rejects a call at its deadline, and drops the late answer', async () => {
    const { client } = stock();
    await client.call('pid', []);
    await expect(client.call('wait_for', ['late'], { timeoutMs: 50 })).rejects.toMatchObject({
      code: 'peer',
      message: 'call wait_for: no answer for 0.05 s',
    });
    await client.call('open_gate', ['late']);
    expect(await client.call('wait_for', ['late'])).toBe('late');
  });

  it('rejects a call when its signal is aborted', async () => {
    const { client } = stock();
    const controller = new AbortController();
    const call = client.call('wait_for', ['x'], { signal: controller.signal });
    controller.abort();
    await expect(call).rejects.toMatchObject({ code: 'stopped' });
    await expect(client.call('pid', [], { signal: controller.signal })).rejects.toMatchObject({ code: 'stopped' });
    expect(await client.call('echo', [])).toHaveLength(0);
  });

  it.each([
    ['dies', 'die_loudly', /^connection to the secondary: (closed by the peer|.*EPIPE.*): .*remote: brick is; gone$/],
    ['dies inside an answer', 'die_inside_an_answer', /^connection to the secondary: ended inside an answer/],
    ['answers garbage', 'answer_garbage', /^connection to the secondary: decode pickle: opcode 0x57: not allowed/],
  ])('rejects every call when the peer %s', async (_how, method, message) => {
    const server = stock();
    const { client } = server;
    await client.call('pid', []);
    const calls = [client.call('wait_for', ['never']), client.call(method, [])];
    const settled = await Promise.allSettled([...calls, client.closed.then((error) => Promise.reject(error))]);
    for (const one of settled)
      expect(one).toMatchObject({
        status: 'rejected',
        reason: { code: 'peer', message: expect.stringMatching(message) as string },
      });
    await expect(client.call('pid', [])).rejects.toMatchObject({ code: 'peer' });
  });

  it('close() ends the peer and rejects pending calls', async () => {
    const { client, exited } = stock();
    await client.call('pid', []);
    const pending = expect(client.call('wait_for', ['never'])).rejects.toMatchObject({ code: 'stopped' });
    client.close();
    client.close();
    await pending;
    expect(await exited).toBe(0);
    expect((await client.closed).code).toBe('stopped');
  });
});

/** A client on streams that the test feeds; `sent` has one element for each write. */
function onStreams(
  extra: Partial<RepceStreams> = {},
  highWaterMark = 1_000_000,
): { client: RepceClient; input: PassThrough; output: PassThrough; rid: () => PyValue } {
  const input = new PassThrough();
  const output = new PassThrough({ highWaterMark });
  const client = new RepceClient({ input, output, ...extra });
  const rid = (): PyValue => (decodeAll(output.read() as Buffer)[0] as PyTuple)[0] as PyValue;
  return { client, input, output, rid };
}

describe('RepceClient', () => {
  it('writes nothing while the peer does not read, and never writes calls that timed out meanwhile', async () => {
    const { client, input, output } = onStreams({}, 10);
    const calls = [1, 2, 3].map((i) => client.call('echo', [i], i === 2 ? { timeoutMs: 10 } : {}));
    await expect(calls[1]).rejects.toThrow('no answer');
    expect(output.writableNeedDrain || output.readableLength > 0).toBe(true);
    const requests: PyTuple[] = [];
    output.on('data', (chunk: Buffer) => requests.push(...(decodeAll(chunk) as PyTuple[])));
    await expect.poll(() => requests.length).toBe(2);
    expect(requests.map((request) => request[2])).toEqual([1, 3]);
    for (const request of requests)
      input.write(
        encodePickle(
          pyTuple([
            pyTuple([
              (request[0] as PyTuple)[0]!,
              (request[0] as PyTuple)[1]!,
              new PyFloat((request[0] as PyTuple)[2] as number),
            ]),
            false,
            request[2]!,
          ]),
        ),
      );
    expect(await Promise.all([calls[0], calls[2]])).toEqual([1, 3]);
  });

  it.each([
    ['a malformed answer', () => 5, 'malformed'],
    ['an answer without a result', (rid: PyValue) => pyTuple([rid, false]), 'malformed'],
    [
      'an answer to a call that was not made',
      () => pyTuple([pyTuple([process.pid, 99, 1.5]), false, 1]),
      'to an unknown call',
    ],
    ['an answer to another process', () => pyTuple([pyTuple([1, 1, 1.5]), false, 1]), 'to an unknown call'],
    [
      'an answer with another call time',
      () => pyTuple([pyTuple([process.pid, 1, 1.5]), false, 1]),
      'to an unknown call',
    ],
  ])('ends the connection for %s', async (_what, answer, state) => {
    const { client, input, rid } = onStreams();
    const call = client.call('pid', []);
    input.write(encodePickle(answer(rid())));
    await expect(call).rejects.toMatchObject({
      code: 'peer',
      message: `connection to the secondary: answer of the secondary: ${state}`,
    });
  });

  it('rejects with the reason of the peer on one line, even if the reason arrives after the end', async () => {
    const { client, input } = onStreams({
      peerFailure: () => sleep(20, 'ssh: connect to host h port 22:\n  Connection refused\n'),
    });
    const call = client.call('pid', []);
    input.end();
    await expect(call).rejects.toThrow(
      'connection to the secondary: closed by the peer: ssh: connect to host h port 22:; Connection refused',
    );
  });

  it('rejects when the write to the peer fails', async () => {
    const { client, output } = onStreams();
    const call = client.call('pid', []);
    output.destroy(new Error('write EPIPE'));
    await expect(call).rejects.toMatchObject({ code: 'peer', message: 'connection to the secondary: write EPIPE' });
  });
});
