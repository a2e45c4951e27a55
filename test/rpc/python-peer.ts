// Client of the Python fixture of the codec tests, and descriptions of values with their Python types.

import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { PickleDecoder } from '../../src/rpc/pickle-decode.js';
import { PyFloat, PyTuple, type PyValue } from '../../src/rpc/pickle-values.js';

export interface Described {
  readonly t: string;
  readonly v?: unknown;
}

interface Answer {
  readonly pickle: string;
  readonly value: Described;
  readonly error?: string;
}

const SCRIPT = new URL('../fixtures/rpc/pickle-peer.py', import.meta.url).pathname;

export class PythonPeer {
  readonly #child: ChildProcessWithoutNullStreams;
  #received = Buffer.alloc(0);
  readonly #waiting: ((answer: Answer) => void)[] = [];

  constructor(interpreter: string) {
    this.#child = spawn(interpreter, [SCRIPT], { stdio: 'pipe' });
    this.#child.stdout.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      while (this.#received.length >= 4 && this.#received.length >= 4 + this.#received.readUInt32BE()) {
        const end = 4 + this.#received.readUInt32BE();
        const answer = JSON.parse(this.#received.toString('utf8', 4, end)) as Answer;
        this.#received = this.#received.subarray(end);
        this.#waiting.shift()?.(answer);
      }
    });
  }

  async dumps(value: Described, protocol: number, pure = false): Promise<Buffer> {
    const answer = await this.#ask({ build: value, protocol, pure });
    return Buffer.from(answer.pickle, 'base64');
  }

  async loads(pickle: Buffer, protocol: number): Promise<{ value: Described; pickle: Buffer }> {
    const answer = await this.#ask({ load: pickle.toString('base64'), protocol });
    return { value: answer.value, pickle: Buffer.from(answer.pickle, 'base64') };
  }

  close(): void {
    this.#child.stdin.end();
  }

  async #ask(request: object): Promise<Answer> {
    const body = Buffer.from(JSON.stringify(request));
    const header = Buffer.alloc(4);
    header.writeUInt32BE(body.length);
    this.#child.stdin.write(Buffer.concat([header, body]));
    const answer = await new Promise<Answer>((resolve) => this.#waiting.push(resolve));
    if (answer.error !== undefined) throw new Error(`python: ${answer.error}`);
    return answer;
  }
}

/** @returns the first of `names` that runs, undefined when none does */
export function findInterpreter(...names: string[]): string | undefined {
  return names.find((name) => spawnSync(name, ['-c', ''], { stdio: 'ignore' }).status === 0);
}

function float(value: number): Described {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return { t: 'float', v: bytes.toString('hex') };
}

function dict(pairs: readonly (readonly [PyValue, PyValue])[]): Described {
  return { t: 'dict', v: pairs.map(([key, value]) => [describe(key), describe(value)]) };
}

/** Describes `value` with the type that Python should load. */
export function describe(value: PyValue): Described {
  if (value === null) return { t: 'none' };
  if (typeof value === 'boolean') return { t: 'bool', v: value };
  if (typeof value === 'bigint') return { t: 'int', v: String(value) };
  if (typeof value === 'number')
    return Number.isInteger(value) && !Object.is(value, -0) ? { t: 'int', v: String(BigInt(value)) } : float(value);
  if (typeof value === 'string') return { t: 'str', v: [...value].map((char) => char.codePointAt(0)) };
  if (value instanceof PyFloat) return float(value.value);
  if (value instanceof Uint8Array) return { t: 'bytes', v: Buffer.from(value).toString('hex') };
  if (value instanceof PyTuple) return { t: 'tuple', v: value.map(describe) };
  if (Array.isArray(value)) return { t: 'list', v: (value as PyValue[]).map(describe) };
  if (value instanceof Map) return dict([...(value as ReadonlyMap<PyValue, PyValue>)]);
  return dict(Object.entries(value as Record<string, PyValue>));
}

/** Makes descriptions of equal values equal: sorts dicts and, with `intsForFloats`, turns floats without a fraction into ints,
 *  since decoded numbers do not keep that difference. */
export function canonical(described: Described, intsForFloats: boolean): Described {
  const { t, v } = described;
  if (t === 'float' && intsForFloats) {
    const value = Buffer.from(v as string, 'hex').readDoubleBE();
    return describe(value);
  }
  if (t === 'list' || t === 'tuple') return { t, v: (v as Described[]).map((item) => canonical(item, intsForFloats)) };
  if (t !== 'dict') return described;
  const pairs = (v as [Described, Described][]).map((pair) => pair.map((item) => canonical(item, intsForFloats)));
  return { t, v: pairs.map((pair) => JSON.stringify(pair)).sort() };
}

/** Decodes `bytes`, fed in pieces that end at `cuts`. */
export function decodeAll(bytes: Buffer, cuts: readonly number[] = []): PyValue[] {
  const decoder = new PickleDecoder();
  const values: PyValue[] = [];
  let start = 0;
  for (const end of [...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]) {
    values.push(...decoder.feed(bytes.subarray(start, end)));
    start = Math.max(start, end);
  }
  if (!decoder.isIdle) throw new Error('decoder is not idle at the end');
  return values;
}
