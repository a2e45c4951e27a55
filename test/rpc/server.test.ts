// serveRepce() over real streams: answers for a stock primary, concurrent calls, and invalid requests, which must end the
// connection without running a method.

import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { NativeError } from '../../src/native/libc.js';
import { PickleDecoder } from '../../src/rpc/pickle-decode.js';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import { PyException, PyFloat, pyTuple, type PyValue } from '../../src/rpc/pickle-values.js';
import { serveRepce, type RpcMethod } from '../../src/rpc/server.js';
import { fc } from '../seeds.js';

const RID = pyTuple([7, 140_000_000_000_001, new PyFloat(5)]);

function request(method: string, ...args: PyValue[]): Buffer {
  return encodePickle(pyTuple([RID, method, ...args]));
}

interface Served {
  readonly end: string;
  readonly answers: PyValue[];
  readonly calls: string[];
}

async function serve(input: Buffer, methods: Readonly<Record<string, RpcMethod>> = {}): Promise<Served> {
  const [from, to] = [new PassThrough(), new PassThrough()];
  const calls: string[] = [];
  const served = serveRepce({
    input: from,
    output: to,
    methods: new Map(Object.entries(methods)),
    onCall: (method) => calls.push(method),
  });
  from.end(input);
  const end = await served.then(
    () => 'end of input',
    (error: unknown) => String(error),
  );
  const decoder = new PickleDecoder();
  return { end, answers: [...decoder.feed((to.read() as Buffer | null) ?? Buffer.alloc(0))], calls };
}

describe('serveRepce()', () => {
  test('answers with the id of the request', async () => {
    const { answers, end } = await serve(Buffer.concat([request('__repce_version__'), request('double', 21)]), {
      double: ([n]) => Number(n) * 2,
    });
    expect(end).toBe('end of input');
    const rid = pyTuple([7, 140_000_000_000_001, 5]);
    expect(answers).toEqual([pyTuple([rid, false, 1]), pyTuple([rid, false, 42])]);
  });

  test('answers a failed call with OSError and errno, and an unknown method with AttributeError', async () => {
    const input = Buffer.concat([request('bad'), request('constructor'), request('__proto__')]);
    const { answers } = await serve(input, { bad: () => Promise.reject(new NativeError('x', 'y', 2)) });
    const raised = answers.map((answer) => (answer as readonly PyValue[])[2]);
    expect(raised).toContainEqual(new PyException('OSError', [2, 'No such file or directory']));
    expect(raised.filter((value) => value instanceof PyException && value.className === 'AttributeError')).toHaveLength(
      2,
    );
  });

  test('answers a later call while an earlier one runs', async () => {
    let release: (value: PyValue) => void = () => undefined;
    const slow = new Promise<PyValue>((resolve) => (release = resolve));
    const [from, to] = [new PassThrough(), new PassThrough()];
    const methods = new Map<string, RpcMethod>([
      ['slow', () => slow],
      ['quick', () => 1],
    ]);
    const served = serveRepce({ input: from, output: to, methods });
    const first = new Promise<Buffer>((resolve) => to.once('data', resolve));
    from.write(Buffer.concat([request('slow'), request('quick')]));
    expect([...new PickleDecoder().feed(await first)]).toEqual([
      pyTuple([pyTuple([7, 140_000_000_000_001, 5]), false, 1]),
    ]);
    release(2);
    from.end();
    await served;
  });

  test.each([
    ['a callable', Buffer.from("cos\nsystem\n(S'touch /tmp/x'\ntR.", 'latin1')],
    [
      'a request whose argument is a callable',
      Buffer.from('\x80\x02K\x01X\x04\0\0\0pingcos\nsystem\nX\x01\0\0\0x\x85R\x87.', 'latin1'),
    ],
    ['a number', encodePickle(5)],
    ['a request without a method', encodePickle(pyTuple([RID]))],
    ['a method that is not a string', encodePickle(pyTuple([RID, 5]))],
    ['half a request', request('ping').subarray(0, 20)],
    ['a huge length', Buffer.from('\x80\x02X\xff\xff\xff\xff', 'latin1')],
  ])('ends with an error for %s, and runs nothing', async (_what, input) => {
    const { end, calls, answers } = await serve(input, { ping: () => 1 });
    expect(end).toMatch(/^GsyncdError: requests of the primary: /);
    expect(end).not.toContain('\n');
    expect({ calls, answers }).toEqual({ calls: [], answers: [] });
  });

  test('ends for random bytes without running a method', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (bytes) => {
        const { calls } = await serve(Buffer.from(bytes), { ping: () => 1 });
        expect(calls).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });

  test('ends normally or with GsyncdError for a request that is cut or changed at one byte', async () => {
    const whole = request('ping', ['.gfid/x', { a: 1 }]);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 1), fc.nat(255), fc.boolean(), async (at, byte, cut) => {
        const input = cut ? whole.subarray(0, at) : Buffer.from(whole);
        if (!cut) input[at] = byte;
        const { end, calls } = await serve(input, { ping: () => 1 });
        expect(end).toMatch(/^end of input$|^GsyncdError: /);
        if (cut) expect(calls).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});
