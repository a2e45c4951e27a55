// Pickles of a broken or hostile peer. Decoding must neither run code nor hang nor return wrong values.

import { describe as suite, expect, it } from 'vitest';
import { GsyncdError } from '../../src/errors.js';
import { PickleDecoder } from '../../src/rpc/pickle-decode.js';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import type { PickleLimits } from '../../src/rpc/pickle-limits.js';
import { PyFloat, pyTuple, type PyValue } from '../../src/rpc/pickle-values.js';
import { PythonPeer, decodeAll } from './python-peer.js';
import { lacksPython } from '../skip.js';
import { fc } from '../seeds.js';

function decode(bytes: Buffer, limits?: Partial<PickleLimits>): PyValue[] {
  return [...new PickleDecoder(limits).feed(bytes)];
}

function latin1(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** The error message of decoding. Fails without an error, or for an error other than GsyncdError('peer'). */
function refusal(bytes: Buffer, limits?: Partial<PickleLimits>): string {
  try {
    decode(bytes, limits);
  } catch (error) {
    expect(error).toBeInstanceOf(GsyncdError);
    expect((error as GsyncdError).code).toBe('peer');
    expect((error as GsyncdError).message).not.toMatch(/[\n\r]/);
    return (error as GsyncdError).message;
  }
  throw new Error('was decoded');
}

suite('globals', () => {
  it.each([
    ['posix.system', 'cposix\nsystem\n(Vid\ntR.'],
    ['os.system', '\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.'],
    ['builtins.eval', '\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x011\x85R.'],
    ['__builtin__.getattr', '(i__builtin__\ngetattr\n.'],
    ['subprocess.Popen', '(csubprocess\nPopen\nVid\no.'],
    ['copyreg._reconstructor', 'ccopyreg\n_reconstructor\n(tR.'],
    ['_codecs.decode', 'c_codecs\ndecode\n(VAA\nVhex\ntR.'],
    ['os.Error\\nx', '\x80\x04\x8c\x02os\x8c\x07Error\nx\x93)R.'],
    ['builtins.KeyboardInterrupted', 'cbuiltins\nKeyboardInterrupted\n)R.'],
  ])('refuses %s and names it', (name, pickle) => {
    expect(refusal(latin1(pickle))).toBe(`decode pickle: global ${name}: not allowed`);
  });

  it.each([
    ['a class that is not called', 'cbuiltins\nOSError\n.', 'global builtins.OSError: not called'],
    ['a class inside a list', ']cbuiltins\nOSError\na.', 'global builtins.OSError: not called'],
    ['bytes of a given size', 'cbuiltins\nbytes\nJ\xff\xff\xff\x7f\x85R.', 'global bytes: unexpected arguments'],
    ['another codec', 'c_codecs\nencode\n(VAA\nVhex\ntR.', 'global _codecs.encode: unexpected arguments'],
    ['text beyond Latin-1 as bytes', 'c_codecs\nencode\n(V\\u0100\nVlatin1\ntR.', 'global _codecs.encode: not Latin-1'],
    ['a stat result of nothing', 'cos\nstat_result\n))\x86R.', 'stat_result: not ten fields'],
    ['state for a list', ']}b.', 'build: not an exception'],
    ['data as a callee', 'K\x01)R.', 'call: not a global'],
    ['persistent ids', 'Pfile\n.', 'opcode 0x50: not allowed'],
    ['extensions', '\x82\x01.', 'opcode 0x82: not allowed'],
  ])('refuses %s', (_what, pickle, state) => {
    expect(refusal(latin1(pickle))).toBe(`decode pickle: ${state}`);
  });

  it('keeps __proto__ and constructor as plain keys', () => {
    const [dict] = decode(
      encodePickle(
        new Map<PyValue, PyValue>([
          ['__proto__', { polluted: 1 }],
          ['constructor', 2],
        ]),
      ),
    );
    expect(Object.keys(dict as object)).toEqual(['__proto__', 'constructor']);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(Object.getPrototypeOf(dict)).toBeNull();
  });
});

suite('bounds', () => {
  it('refuses a length beyond the limit before the data arrives', () => {
    expect(refusal(latin1('\x80\x02X\xff\xff\xff\xff'))).toContain('larger than');
    expect(refusal(latin1('\x80\x04\x8d\0\0\0\0\0\0\0\xff'))).toContain('larger than');
    expect(refusal(latin1(`V${'x'.repeat(200)}`), { maxBytes: 100 })).toContain('larger than 100 bytes');
    expect(refusal(latin1('N0'.repeat(60)), { maxBytes: 100 })).toContain('larger than 100 bytes');
  });

  it('counts the size of each pickle, not of the stream', () => {
    expect(
      decode(Buffer.concat(Array.from({ length: 50 }, () => encodePickle('x'.repeat(60)))), { maxBytes: 100 }),
    ).toHaveLength(50);
  });

  it('refuses values that refer to themselves, and values nested too deep', () => {
    expect(refusal(latin1(']q\0h\0a.'))).toBe('decode pickle: value: refers to itself');
    expect(refusal(latin1('}q\0X\x01\0\0\0ah\0s.'))).toBe('decode pickle: value: refers to itself');
    expect(refusal(latin1(`N${'\x85'.repeat(1_000_000)}.`))).toBe('decode pickle: value: nested deeper than 100');
    expect(refusal(latin1(`${']'.repeat(101)}${'a'.repeat(100)}.`))).toBe(
      'decode pickle: value: nested deeper than 100',
    );
    expect(decode(latin1(`${']'.repeat(100)}${'a'.repeat(99)}.`))).toHaveLength(1);
    // The shared list first appears near the top, then again too deep.
    expect(refusal(latin1(`]${']'.repeat(60)}${'a'.repeat(59)}q\0ah\0${'\x85'.repeat(60)}a.`))).toContain(
      'nested deeper',
    );
  });

  it('counts a shared value at each use against maxValues', () => {
    const shared = (levels: number): Buffer => latin1(`]q\0${'0h\0h\0\x86q\0'.repeat(levels)}.`);
    expect(decode(shared(10), { maxValues: 20_000 })[0]).toHaveLength(2);
    expect(refusal(shared(11), { maxValues: 20_000 })).toContain('more than 20000 items');
  });

  it('limits the memo and the stack', () => {
    expect(refusal(latin1(`N${'\x94'.repeat(101)}0N.`), { maxValues: 100 })).toContain('more than 100 items');
    expect(refusal(latin1('N'.repeat(101)), { maxValues: 100 })).toContain('more than 100 items');
    expect(refusal(latin1('('.repeat(101)), { maxValues: 100 })).toContain('more than 100 items');
    expect(decode(latin1('Nr\xff\xff\xff\xff.'))).toEqual([null]);
  });

  it('refuses integers whose conversion takes quadratic time', () => {
    expect(refusal(latin1(`L${'9'.repeat(5000)}L\n.`))).toBe('decode pickle: int: not a decimal number');
    expect(refusal(Buffer.concat([latin1('\x8b\0\0\x10\0'), Buffer.alloc(0x100000, 1), latin1('.')]))).toBe(
      'decode pickle: int: too long',
    );
  });
});

suite('garbage', () => {
  it.each([
    ['a login banner', 'Welcome to this host!\r\n', 'opcode 0x57: not allowed'],
    ['an unknown protocol', '\x80\x06N.', 'protocol 6: unknown'],
    ['bytes that are not UTF-8', 'X\x01\0\0\0\xff.', 'str: not UTF-8'],
    ['an overlong surrogate', 'X\x02\0\0\0\xed\xa0.', 'str: not UTF-8'],
    ['an escape beyond Unicode', 'V\\U00110000\n.', 'str: escape beyond U+10FFFF'],
    ['an unquoted string', 'Sabc\n.', 'string: not quoted'],
    ['a stop without a value', '.', 'stack: empty'],
    ['a stop with two values', 'NN.', 'stop: values left over'],
    ['an open mark', 'N(0(N.', 'stop: values left over'],
    ['a value below a mark', 'N(0(\x85.', 'stack: empty'],
    ['a key without a value', '}(Nu.', 'dict: key without value'],
    ['a tuple that is appended to', ')Na.', 'append: not a list'],
    ['an item of a list', '](NNu.', 'set item: not a dict'],
    ['an unset memo', 'h\x07.', 'memo 7: missing'],
  ])('refuses %s', (_what, pickle, state) => {
    expect(refusal(latin1(pickle))).toBe(`decode pickle: ${state}`);
  });

  it('refuses all input after an error', () => {
    const decoder = new PickleDecoder();
    expect(() => [...decoder.feed(latin1('\0'))]).toThrow(GsyncdError);
    expect(() => [...decoder.feed(encodePickle(1))]).toThrow('opcode 0x0');
    expect(decoder.isIdle).toBe(false);
  });

  it('yields the values before the garbage', () => {
    const values: PyValue[] = [];
    expect(() => {
      for (const value of new PickleDecoder().feed(Buffer.concat([encodePickle('first'), latin1('\0')])))
        values.push(value);
    }).toThrow(GsyncdError);
    expect(values).toEqual(['first']);
  });

  it('throws nothing but GsyncdError for random bytes', () => {
    const opcodes = fc.array(
      fc.constantFrom(
        ...'().012NRSTUVXabcdeghijlopqrstuGKLMIJF}]CB\x80\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x93\x94\x95\0\x01\n',
      ),
      { maxLength: 60 },
    );
    const bytes = fc.oneof(
      opcodes.map((list) => latin1(list.join(''))),
      fc.uint8Array({ maxLength: 100 }).map((array) => Buffer.from(array)),
    );
    fc.assert(fc.property(bytes, survives), { numRuns: 5_000 });
  });

  it.skipIf(lacksPython('pickles'))('throws nothing but GsyncdError for cut and changed real pickles', async () => {
    const expression =
      "(1, {'a': [b'x', 2.5, -2**70, 'caf\\udce9'], 'st': os.stat('/')}, OSError(2, 'No', 'f'), ((),), b'')";
    const python = new PythonPeer('python3');
    const pickles = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((protocol) => python.dumps({ t: 'eval', v: expression }, protocol)),
    ).finally(() => python.close());
    pickles.push(encodePickle([pyTuple([1, 2, new PyFloat(3)]), false, { a: 'b', c: [null, Buffer.of(1)] }]));
    const change = fc.record({
      at: fc.nat(),
      byte: fc.integer({ min: 0, max: 255 }),
      kind: fc.constantFrom('set', 'insert', 'delete', 'cut'),
    });
    const mutated = fc
      .tuple(fc.constantFrom(...pickles), fc.array(change, { minLength: 1, maxLength: 4 }))
      .map(([pickle, changes]) => {
        const bytes = [...pickle];
        for (const { at, byte, kind } of changes) {
          const index = bytes.length === 0 ? 0 : at % bytes.length;
          if (kind === 'cut') bytes.splice(index);
          else bytes.splice(index, kind === 'insert' ? 0 : 1, ...(kind === 'delete' ? [] : [byte]));
        }
        return Buffer.from(bytes);
      });
    fc.assert(fc.property(mutated, survives), { numRuns: 5_000 });
    for (const pickle of pickles) {
      for (let end = 0; end < pickle.length; end += 1) expect(decode(pickle.subarray(0, end))).toEqual([]);
      expect(
        decodeAll(
          pickle,
          Array.from({ length: pickle.length }, (_unused, i) => i),
        ),
      ).toHaveLength(1);
    }
  });
});

/** Decoding gives values or a one-line GsyncdError('peer'); anything else fails the property. */
function survives(bytes: Buffer): void {
  try {
    decode(bytes, { maxBytes: 10_000 });
  } catch (error) {
    if (!(error instanceof GsyncdError) || error.code !== 'peer' || /[\n\r]/.test(error.message)) throw error;
    if (error.message.includes('cannot be built')) throw error;
  }
}
