// The codec against real Python interpreters: their pickle.loads, and their pickle.dumps in every protocol.

import { afterAll, beforeAll, describe as suite, expect, it } from 'vitest';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import { PyException, PyFloat, PyStat, pyTuple, type PyValue } from '../../src/rpc/pickle-values.js';
import { PythonPeer, canonical, decodeAll, describe, findInterpreter } from './python-peer.js';
import { lacks, lacksPython } from '../skip.js';
import { fc } from '../seeds.js';

const codeUnits = fc.array(
  fc.oneof(
    fc.integer({ min: 0xd7f0, max: 0xe010 }),
    fc.integer({ min: 0, max: 0xffff }),
    fc.integer({ min: 0, max: 127 }),
  ),
  { maxLength: 200 },
);
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({ minLength: 120, maxLength: 400 }),
  codeUnits.map((units) => String.fromCharCode(...units)),
  fc.constantFrom('', '\\u0041\n\\', '\uFFFD', '\uFEFFbom', 'it\'s "quoted"', '__proto__', 'caf\uDCE9'),
);
const integer = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.integer({ min: -260, max: 260 }),
  fc.constantFrom(0, 0xff, 0x100, 0xffff, 0x10000, -0x80000000, 0x7fffffff, 0x80000000, -0x80000001),
);
const big = fc.oneof(
  fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n }),
  fc.bigInt({ min: -(2n ** 2200n), max: 2n ** 2200n }),
  fc
    .tuple(fc.integer({ min: 30, max: 80 }), fc.integer({ min: -1, max: 1 }), fc.boolean())
    .map(([bits, off, minus]) => (minus ? -(2n ** BigInt(bits)) : 2n ** BigInt(bits)) + BigInt(off)),
);
const float = fc
  .oneof(fc.double(), fc.constantFrom(-0, 0.1, 1e300, 5e-324, Infinity, -Infinity, Number.NaN))
  .map((value) => new PyFloat(value));
const bytes = fc.uint8Array({ maxLength: 400 }).map((array) => Buffer.from(array));

const value: fc.Memo<PyValue> = fc.memo((depth) =>
  depth <= 1 ? leaf : fc.oneof({ weight: 2, arbitrary: leaf }, { weight: 3, arbitrary: container(depth) }),
);
const leaf: fc.Arbitrary<PyValue> = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  integer,
  big,
  float,
  fc.double({ noInteger: true }),
  text,
  bytes,
);
function container(depth: number): fc.Arbitrary<PyValue> {
  const items = fc.array(value(depth - 1), { maxLength: 6 });
  const key = fc.oneof(
    text,
    integer.filter((n) => n > 1 || n < 0),
    fc.tuple(text, integer).map(pyTuple),
  );
  const pairs = fc.uniqueArray(fc.tuple(key, value(depth - 1)), {
    maxLength: 6,
    selector: ([k]) => JSON.stringify(describe(k)),
  });
  return fc.oneof(
    items,
    items.map(pyTuple),
    fc.dictionary(text, value(depth - 1), { maxKeys: 6 }),
    pairs.map((list) => new Map<PyValue, PyValue>(list)),
  );
}
const anyValue = value(4);
const cuts = fc.array(fc.nat(), { maxLength: 8 });

let python: PythonPeer;
beforeAll(() => {
  python = new PythonPeer('python3');
});
afterAll(() => python.close());

/** CPU time, so that a busy machine does not fail a test. */
function cpuMsSince(start: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(start);
  return (user + system) / 1000;
}

suite.skipIf(lacksPython('pickles'))('encodePickle()', () => {
  it('writes values that Python 3 loads with the same types; PickleDecoder reads them back in every protocol', async () => {
    await fc.assert(
      fc.asyncProperty(anyValue, fc.integer({ min: 0, max: 5 }), cuts, async (sent, protocol, where) => {
        const seen = await python.loads(encodePickle(sent), protocol);
        expect(canonical(seen.value, false)).toEqual(canonical(describe(sent), false));
        const [back] = decodeAll(seen.pickle, where);
        expect(canonical(describe(back as PyValue), true)).toEqual(canonical(describe(sent), true));
      }),
      { numRuns: 400 },
    );
  });

  it('writes a separate stat for each operation, because a stock secondary modifies it', async () => {
    const stat = { uid: 1, gid: 2 };
    const pickle = encodePickle([{ stat }, { stat }]);
    expect(pickle.toString('latin1').split('}').length - 1).toBe(4);
    expect((await python.loads(pickle, 2)).value).toEqual(describe([{ stat }, { stat }]));
  });

  it('refuses values that Python does not have', () => {
    const cycle: PyValue[] = [];
    cycle.push(cycle);
    expect(() => encodePickle(cycle)).toThrow(TypeError);
    expect(() => encodePickle({ a: undefined as unknown as PyValue })).toThrow('encode pickle: undefined');
    expect(() => encodePickle(new PyException('os.system', []))).toThrow(TypeError);
  });

  it('encodes 10,000 operations within 100 ms', () => {
    const ops = Array.from({ length: 10_000 }, (_unused, i) => ({
      op: 'RENAME',
      skip_entry: false,
      gfid: `01234567-89ab-cdef-0123-${String(i).padStart(12, '0')}`,
      entry: `.gfid/00000000-0000-0000-0000-000000000001/some file name ${i}`,
      entry1: `.gfid/00000000-0000-0000-0000-000000000001/some file nämé ${i}`,
      stat: { uid: 1000, gid: 1000, mode: 33188, atime: new PyFloat(1.7e9 + i / 7), mtime: new PyFloat(1.7e9) },
      link: null,
    }));
    const times = [0, 1, 2, 3, 4].map(() => {
      const start = process.cpuUsage();
      encodePickle([ops]);
      return cpuMsSince(start);
    });
    expect(Math.min(...times)).toBeLessThan(100);
  });
});

suite.skipIf(lacksPython('pickles'))('PickleDecoder', () => {
  it('reads pickles of Python 3 in every protocol, for any chunks of the stream', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyValue, { minLength: 1, maxLength: 3 }),
        fc.integer({ min: 0, max: 5 }),
        fc.boolean(),
        cuts,
        async (values, protocol, pure, where) => {
          const pickles = await Promise.all(values.map((sent) => python.dumps(describe(sent), protocol, pure)));
          const got = decodeAll(Buffer.concat(pickles), where);
          expect(got.map((one) => canonical(describe(one), true))).toEqual(
            values.map((one) => canonical(describe(one), true)),
          );
        },
      ),
      { numRuns: 300 },
    );
  });

  it.each([0, 1, 2, 3, 4, 5])('reads exceptions and stat results of protocol %i', async (protocol) => {
    const get = async (expression: string): Promise<PyValue> =>
      decodeAll(await python.dumps({ t: 'eval', v: expression }, protocol))[0] as PyValue;
    expect(await get("OSError(17, 'File exists', 'a')")).toEqual(
      new PyException(protocol < 3 ? 'OSError' : 'FileExistsError', [17, 'File exists', 'a']),
    );
    expect(await get('KeyError("x")')).toEqual(new PyException('KeyError', ['x']));
    expect(await get('KeyboardInterrupt()')).toEqual(new PyException('KeyboardInterrupt', []));
    expect(await get("[setattr(e, 'note', 1) or e for e in [ValueError(1)]]")).toEqual([
      new PyException('ValueError', [1]),
    ]);
    expect(await get("UnicodeEncodeError('utf-8', u'\\udce9', 0, 1, 'no')")).toEqual(
      new PyException('UnicodeEncodeError', ['utf-8', '\uDCE9', 0, 1, 'no']),
    );
    const stat = (await get(
      'os.stat_result((33188, 2**63+1, 3, 4, 5, 6, 2**40, 8, 9, 10, 8.25, 9.5, 10.0))',
    )) as PyStat;
    expect(stat).toBeInstanceOf(PyStat);
    expect(stat.fields).toEqual({
      mode: 33188,
      ino: 2n ** 63n + 1n,
      dev: 3n,
      nlink: 4,
      uid: 5,
      gid: 6,
      size: 2 ** 40,
      atime: 8.25,
      mtime: 9.5,
    });
  });

  it('reads a list of 200,000 names', async () => {
    const [names] = decodeAll(await python.dumps({ t: 'eval', v: '["name %d" % i for i in range(200000)]' }, 2));
    expect(names).toHaveLength(200_000);
    expect((names as string[])[199_999]).toBe('name 199999');
  });

  it('reads a long operand in many chunks in linear time', () => {
    const long = encodePickle('x'.repeat(8_000_000));
    const start = process.cpuUsage();
    const [back] = decodeAll(
      long,
      Array.from({ length: 8_000 }, (_unused, i) => i * 1000),
    );
    expect(back).toHaveLength(8_000_000);
    expect(cpuMsSince(start)).toBeLessThan(3000);
  });

  it('returns dicts without a prototype', async () => {
    const [dict] = decodeAll(await python.dumps(describe({ a: 1 }), 2));
    expect(Object.getPrototypeOf(dict)).toBeNull();
  });
});

const python2 = findInterpreter('python2', 'python2.7');
suite.skipIf(lacks(python2 !== undefined, 'python2 is not installed', 'pickles of Python 2'))('Python 2', () => {
  it('str values of Python 2 decode to names, and Python 2 loads our pickles', async () => {
    const old = new PythonPeer(python2 ?? '');
    const sent = {
      op: 'CREATE',
      names: ['a', 'nämé', 'caf\uDCE9'],
      n: [1, -5, 2 ** 40, -(2n ** 70n)],
      t: pyTuple([1.5, true, null]),
    };
    expect(canonical((await old.loads(encodePickle(sent), 2)).value, false)).toEqual(canonical(describe(sent), false));
    for (const protocol of [0, 1, 2]) {
      const expression =
        "{'k': ['a\\n\\'\"\\\\', 'caf\\xe9', '\\xc3\\xa9', u'n\\xe4\\n\\\\u0041 \\ud800', -5, 2**40, -2**70, 1.5, True, (1,)], 'e': [OSError(2, 'No', 'f'), KeyError(1)]}";
      expect(decodeAll(await old.dumps({ t: 'eval', v: expression }, protocol))).toEqual([
        Object.assign(Object.create(null), {
          k: ['a\n\'"\\', 'caf\uDCE9', 'é', 'nä\n\\u0041 \uD800', -5, 2 ** 40, -(2n ** 70n), 1.5, true, pyTuple([1])],
          e: [new PyException('OSError', [2, 'No', 'f']), new PyException('KeyError', [1])],
        }),
      ]);
      const [stat] = decodeAll(await old.dumps({ t: 'eval', v: "os.stat('/')" }, protocol));
      expect((stat as PyStat).fields.mode & 0o170000).toBe(0o040000);
    }
    old.close();
  });
});
