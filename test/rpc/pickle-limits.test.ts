// Pickles and requests of few bytes that need much memory, each measured in a separate process, and the largest real batch,
// which must stay far below the limits.

import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { entryOpDict } from '../../src/rpc/op-dicts.js';
import { PickleDecoder } from '../../src/rpc/pickle-decode.js';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import { DEFAULT_LIMITS } from '../../src/rpc/pickle-limits.js';
import { PyException, PyFloat, pyTuple, type PyValue } from '../../src/rpc/pickle-values.js';
import { serveRepce } from '../../src/rpc/server.js';
import type { EntryOp } from '../../src/protocol/secondary.js';

const DIST = resolve(import.meta.dirname, '../../dist/rpc');
const MB = 1024 * 1024;
const MAX_GROWTH = 320 * MB;

interface Outcome {
  readonly state: string;
  /** Bytes of all answers. */
  readonly answered: number;
  /** Peak memory of the process minus its memory at the start, bytes. */
  readonly growth: number;
}

/** Runs a process that builds the pickle, then decodes it ('decode') or serves it with an echo method ('serve'). */
function attack(how: 'decode' | 'serve', pickle: string): Outcome {
  const script = `
    const { PickleDecoder } = await import('${DIST}/pickle-decode.js');
    const { serveRepce } = await import('${DIST}/server.js');
    const { PassThrough } = await import('node:stream');
    const bytes = Buffer.from(${pickle}, 'latin1');
    let answered = 0;
    const before = process.memoryUsage.rss();
    const serve = () => {
      const [input, output] = [new PassThrough(), new PassThrough()];
      output.on('data', (chunk) => (answered += chunk.length));
      input.end(bytes);
      return serveRepce({ input, output, methods: new Map([['echo', (args) => args]]) }).then(() => new Promise((done) => setTimeout(done, 500)));
    };
    const run = '${how}' === 'serve' ? serve : async () => void [...new PickleDecoder().feed(bytes)];
    const state = await run().then(() => 'done', (error) => error.constructor.name + ': ' + error.message);
    console.log(JSON.stringify({ state, answered, growth: process.resourceUsage().maxRSS * 1024 - before }));`;
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return stdout === ''
    ? { state: `no end: ${stderr.slice(-300)}`, answered: Infinity, growth: Infinity }
    : (JSON.parse(stdout) as Outcome);
}

/** A list in `levels` nested pairs, each of which contains the previous one twice. */
const doubled = (levels: number): string => `']q\\0' + '0h\\0h\\0\\x86q\\0'.repeat(${levels})`;
const RID = String.raw`'\x80\x02K\x01K\x02K\x03\x87'`;
const ECHO = String.raw`'X\x04\0\0\0echo'`;

describe('a pickle that needs much memory', () => {
  it.each([
    ['4 MB of empty tuples', "'(' + ')'.repeat(4 << 20) + 't.'"],
    ['4 MB of empty lists', "'(' + ']'.repeat(4 << 20) + 't.'"],
    ['4 MB of empty dicts', "'(' + '}'.repeat(4 << 20) + 't.'"],
    ['16 MB of nested tuples', String.raw`'(' + 'N\x85'.repeat(8 << 20) + 't.'`],
    ['32 MB of exceptions', String.raw`'cbuiltins\nOSError\nq\0(' + 'h\0)R'.repeat(8 << 20) + 't.'`],
    ['names of exceptions', String.raw`'(' + 'ca\nAError\n'.repeat(3 << 20)`],
    [
      'a memo with gaps',
      String.raw`'N' + Array.from({ length: 65536 }, (_, i) => 'r' + String.fromCharCode(i & 255, i >> 8)).map((put) => Array.from({ length: 64 }, (_, i) => put + String.fromCharCode(i, 1)).join('')).join('') + '.'`,
    ],
    ['a list that is doubled 30 times', `${doubled(30)} + '.'`],
    ['a list that is doubled 90 times', `${doubled(90)} + '.'`],
    ['a dict that is doubled 60 times', String.raw`'}q\0' + '0}K\x01h\0sK\x02h\0sq\0'.repeat(60) + '.'`],
    [
      'a list that grows after it was shared',
      String.raw`']q\x000]q\x01(' + 'h\0'.repeat(1000) + 'e0h\0(' + 'N'.repeat(100000) + 'e0h\x01.'`,
    ],
    [
      'a text of 1 MB a thousand times',
      String.raw`'(X\0\0\x10\0' + 'x'.repeat(1 << 20) + 'q\0' + 'h\0'.repeat(1000) + 't.'`,
    ],
    [
      'a pair with a text of 1 MB a thousand times',
      String.raw`'(X\0\0\x10\0' + 'x'.repeat(1 << 20) + 'N\x86q\0' + 'h\0'.repeat(1000) + 't.'`,
    ],
    [
      'bytes of 1 MB made a thousand times',
      String.raw`'c_codecs\nencode\nq\0X\0\0\x10\0' + 'x'.repeat(1 << 20) + 'X\x06\0\0\0latin1\x86q\x01(' + 'h\0h\x01R'.repeat(1000) + 't.'`,
    ],
    [
      'an exception of 100,000 arguments made ten thousand times',
      String.raw`'cbuiltins\nOSError\nq\0(' + 'N'.repeat(100000) + 'tq\x01(' + 'h\0h\x01R'.repeat(10000) + 't.'`,
    ],
    [
      'a long integer a million times',
      String.raw`'(\x8a\xff' + '\x7f'.repeat(255) + 'q\0' + 'h\0'.repeat(1000000) + 't.'`,
    ],
  ])('is refused in one line: %s', { timeout: 60_000 }, (_what, pickle) => {
    const { state, growth } = attack('decode', pickle);
    expect(state).toMatch(
      /^GsyncdError: decode pickle: value: (more than 16000000 items|larger than 268435456 bytes)$/,
    );
    expect(growth).toBeLessThan(MAX_GROWTH);
  });
});

describe('a request with a large answer', () => {
  it.each([
    ['an argument that is doubled 25 times', `${RID} + ${ECHO} + ${doubled(25)} + ${String.raw`'\x87.'`}`],
    ['an argument that is doubled 70 times', `${RID} + ${ECHO} + ${doubled(70)} + ${String.raw`'\x87.'`}`],
    ['an id that is doubled 25 times', `${doubled(25)} + ${ECHO} + ${String.raw`'\x86.'`}`],
    ['an id of text', String.raw`'(X\x01\0\0\0aK\x02K\x03\x87' + ${ECHO} + 't.'`],
    ['an id of four numbers', String.raw`'((K\x01K\x02K\x03K\x04t' + ${ECHO} + 't.'`],
    ['an id with a list in it', String.raw`'(K\x01K\x02]\x87' + ${ECHO} + 't.'`],
    ['a method of 1 MB', String.raw`'(K\x01K\x02K\x03\x87X\0\0\x10\0' + 'x'.repeat(1 << 20) + 't.'`],
  ])('ends the connection without an answer: %s', { timeout: 60_000 }, (_what, pickle) => {
    const { state, answered, growth } = attack('serve', pickle);
    expect(state).toMatch(/^GsyncdError: requests of the primary: [^\n]+$/);
    expect(answered).toBe(0);
    expect(growth).toBeLessThan(MAX_GROWTH);
  });

  it('ends the connection when the peer does not read, with answers of at most twice the size limit', async () => {
    const [input, output] = [new PassThrough(), new Writable({ write: () => undefined })];
    const served = serveRepce({ input, output, methods: new Map([['list', () => ['x'.repeat(60 * MB)]]]) });
    for (let i = 0; i < 64; i++) input.write(encodePickle(pyTuple([pyTuple([1, i, new PyFloat(3)]), 'list'])));
    await expect(served).rejects.toThrow('requests of the primary: the primary does not read its answers');
    expect(output.writableLength).toBeLessThan(2 * DEFAULT_LIMITS.maxBytes);
  });

  it('gets an exception when the answer is too large', async () => {
    const [input, output] = [new PassThrough(), new PassThrough()];
    const served = serveRepce({ input, output, methods: new Map([['list', () => ['x'.repeat(90 * MB)]]]) });
    input.end(encodePickle(pyTuple([pyTuple([1, 2, new PyFloat(3)]), 'list'])));
    await served;
    const [answer] = [...new PickleDecoder().feed(output.read() as Buffer)] as PyValue[][];
    expect(answer![2]).toEqual(
      new PyException('RuntimeError', ['answer to list: encode pickle: value: larger than 268435456 bytes']),
    );
  });
});

it(
  'a batch of 50,000 operations needs less than a twelfth of maxBytes and a sixth of maxValues',
  { timeout: 60_000 },
  () => {
    const stat = { uid: 65_534, gid: 65_534, mode: 0o100644, atime: 1.7e9 + 0.5, mtime: 1.7e9 + 0.25 };
    const op = (i: number) => ({
      op: 'RENAME' as const,
      gfid: randomUUID(),
      entry: `.gfid/${randomUUID()}/the name that it had ${i}`,
      entry1: `.gfid/${randomUUID()}/its name ${i}`,
      mode: 0o100644,
      uid: 65_534,
      gid: 65_534,
      stat,
      link: null,
    });
    const request = encodePickle(
      pyTuple([
        pyTuple([1, 2, new PyFloat(3)]),
        'entry_ops',
        Array.from({ length: 50_000 }, (_, i) => entryOpDict(op(i) as unknown as EntryOp)),
      ]),
    );
    const sixth = { maxBytes: DEFAULT_LIMITS.maxBytes / 12, maxValues: DEFAULT_LIMITS.maxValues / 6 };
    const [value] = [...new PickleDecoder(sixth).feed(request)] as readonly (readonly PyValue[])[];
    expect((value![2] as readonly PyValue[]).length).toBe(50_000);
  },
);
