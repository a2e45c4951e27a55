// Encodes JavaScript values as Python pickles of protocol 2, which Python 2 and 3 load. Byte arrays use an opcode of
// protocol 3, since only sides of this program send them. Containers are never shared inside one pickle: a stock secondary
// modifies the dicts that it receives, so operations that shared a stat would change each other. Only dict keys use the
// memo.

import { encodeSurrogatePass } from './pickle-text.js';
import { OP } from './pickle-opcodes.js';
import { PyException, PyFloat, PyStat, PyTuple, pyTuple, type PyValue } from './pickle-values.js';

const MAX_DEPTH = 500;
const MAX_KEYS = 256;
/** Up to this length, a loop is faster than a call of the encoder of Node. */
const MAX_LOOPED_CHARS = 128;
const CLASS_NAME = /^[A-Za-z][A-Za-z0-9_]{0,100}$/;

/**
 * Pickles `value`. Types: integral numbers and bigints become ints (but PyFloat and -0 floats), other numbers floats.
 * Strings become str with lone surrogates kept, byte arrays bytes in Python 3, arrays lists, PyTuples tuples. Maps and
 * plain objects become dicts, PyExceptions built-in exceptions, PyStats os.stat_results.
 * @param maxBytes approximate limit of the pickle: text is estimated at three bytes per character
 * @throws TypeError for other types (undefined, functions), cycles, and pickles larger than `maxBytes`
 */
export function encodePickle(value: PyValue, maxBytes = Infinity): Buffer {
  const writer = new PickleWriter(maxBytes);
  writer.write(value, 0);
  return writer.finish();
}

class PickleWriter {
  #buffer = Buffer.allocUnsafe(4096);
  #pos = 2;
  readonly #keys = new Map<string, number>();
  readonly #maxBytes: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#buffer[0] = OP.PROTO;
    this.#buffer[1] = 2;
  }

  finish(): Buffer {
    this.#byte(OP.STOP);
    return this.#buffer.subarray(0, this.#pos);
  }

  write(value: PyValue, depth: number): void {
    switch (typeof value) {
      case 'string':
        return this.#text(value);
      case 'number':
        return this.#number(value);
      case 'boolean':
        return this.#byte(value ? OP.NEWTRUE : OP.NEWFALSE);
      case 'bigint':
        return this.#bigint(value);
      case 'object':
        return value === null ? this.#byte(OP.NONE) : this.#object(value, depth + 1);
      case 'undefined':
      case 'function':
      case 'symbol':
      default:
        throw new TypeError(`encode pickle: ${typeof value}: not a Python value`);
    }
  }

  #object(value: object & PyValue, depth: number): void {
    if (depth > MAX_DEPTH) throw new TypeError('encode pickle: value: nested too deep');
    if (value instanceof PyTuple) return this.#tuple(value, depth);
    if (Array.isArray(value)) {
      this.#bytes2(OP.EMPTY_LIST, OP.MARK);
      for (const item of value as readonly PyValue[]) this.write(item, depth);
      return this.#byte(OP.APPENDS);
    }
    if (value instanceof Uint8Array) return this.#bytes(value);
    if (value instanceof PyFloat) return this.#float(value.value);
    if (value instanceof PyException) return this.#exception(value, depth);
    if (value instanceof PyStat) return this.#stat(value, depth);
    this.#bytes2(OP.EMPTY_DICT, OP.MARK);
    if (value instanceof Map) {
      for (const [key, item] of value as ReadonlyMap<PyValue, PyValue>) {
        this.write(key, depth);
        this.write(item, depth);
      }
    } else {
      const dict = value as Readonly<Record<string, PyValue>>;
      for (const key of Object.keys(dict)) {
        this.#dictKey(key);
        this.write(dict[key] as PyValue, depth);
      }
    }
    this.#byte(OP.SETITEMS);
  }

  #tuple(items: PyTuple, depth: number): void {
    const isShort = items.length <= 3;
    if (!isShort) this.#byte(OP.MARK);
    for (let i = 0; i < items.length; i += 1) this.write(items[i] as PyValue, depth);
    if (!isShort) this.#byte(OP.TUPLE);
    else this.#byte(items.length === 0 ? OP.EMPTY_TUPLE : OP.TUPLE1 + items.length - 1);
  }

  #dictKey(key: string): void {
    const known = this.#keys.get(key);
    if (known !== undefined) return this.#bytes2(OP.BINGET, known);
    this.#text(key);
    if (this.#keys.size === MAX_KEYS) return;
    this.#bytes2(OP.BINPUT, this.#keys.size);
    this.#keys.set(key, this.#keys.size);
  }

  #text(text: string): void {
    const { length } = text;
    this.#reserve(5 + length * 3);
    const buf = this.#buffer;
    const start = this.#pos + 5;
    let bytes = 0;
    if (length <= MAX_LOOPED_CHARS) {
      for (; bytes < length; bytes += 1) {
        const code = text.charCodeAt(bytes);
        if (code > 0x7f) break;
        buf[start + bytes] = code;
      }
    }
    if (bytes < length)
      bytes = text.isWellFormed() ? buf.write(text, start, 'utf8') : encodeSurrogatePass(text).copy(buf, start);
    buf[this.#pos] = OP.BINUNICODE;
    buf.writeUInt32LE(bytes, this.#pos + 1);
    this.#pos = start + bytes;
  }

  #number(value: number): void {
    if (!Number.isInteger(value) || Object.is(value, -0)) return this.#float(value);
    if (value < -0x80000000 || value > 0x7fffffff) return this.#bigint(BigInt(value));
    if (value >= 0 && value <= 0xff) return this.#bytes2(OP.BININT1, value);
    this.#reserve(5);
    if (value >= 0 && value <= 0xffff) {
      this.#buffer[this.#pos] = OP.BININT2;
      this.#pos = this.#buffer.writeUInt16LE(value, this.#pos + 1);
      return;
    }
    this.#buffer[this.#pos] = OP.BININT;
    this.#pos = this.#buffer.writeInt32LE(value, this.#pos + 1);
  }

  #float(value: number): void {
    this.#reserve(9);
    this.#buffer[this.#pos] = OP.BINFLOAT;
    this.#pos = this.#buffer.writeDoubleBE(value, this.#pos + 1);
  }

  /** Two's complement, little-endian, with room for the sign. */
  #bigint(value: bigint): void {
    if (value >= -0x80000000n && value <= 0x7fffffffn) return this.#number(Number(value));
    const magnitude = value < 0n ? -value - 1n : value;
    const length = (magnitude.toString(16).length >> 1) + 1;
    const bytes = Buffer.from(
      BigInt.asUintN(length * 8, value)
        .toString(16)
        .padStart(length * 2, '0'),
      'hex',
    ).reverse();
    this.#reserve(5 + length);
    if (length <= 0xff) this.#bytes2(OP.LONG1, length);
    else {
      this.#buffer[this.#pos] = OP.LONG4;
      this.#pos = this.#buffer.writeUInt32LE(length, this.#pos + 1);
    }
    this.#pos += bytes.copy(this.#buffer, this.#pos);
  }

  #bytes(value: Uint8Array): void {
    this.#reserve(5 + value.length);
    this.#buffer[this.#pos] = OP.BINBYTES;
    this.#buffer.writeUInt32LE(value.length, this.#pos + 1);
    this.#buffer.set(value, this.#pos + 5);
    this.#pos += 5 + value.length;
  }

  /** Uses the module of built-in exceptions of Python 2: in protocol 2, Python 3 maps it to its own. */
  #exception(value: PyException, depth: number): void {
    if (!CLASS_NAME.test(value.className)) throw new TypeError('encode pickle: exception: no class name');
    this.#global(`exceptions\n${value.className}\n`);
    this.#tuple(pyTuple(value.args), depth);
    this.#byte(OP.REDUCE);
  }

  /** As Python pickles it: ten integers, then the precise times by name. */
  #stat({ fields }: PyStat, depth: number): void {
    const { mode, ino, dev, nlink, uid, gid, size, atime, mtime, ctime } = fields;
    this.#global('os\nstat_result\n');
    const wholeSeconds = [atime, mtime, ctime ?? mtime].map((time) => Math.floor(time));
    this.#tuple(pyTuple([mode, ino, dev, nlink, uid, gid, size, ...wholeSeconds]), depth);
    this.write(
      { st_atime: new PyFloat(atime), st_mtime: new PyFloat(mtime), st_ctime: new PyFloat(ctime ?? mtime) },
      depth,
    );
    this.#bytes2(OP.TUPLE2, OP.REDUCE);
  }

  #global(lines: string): void {
    this.#byte(OP.GLOBAL);
    this.#reserve(lines.length);
    this.#pos += this.#buffer.write(lines, this.#pos, 'latin1');
  }

  #byte(byte: number): void {
    this.#reserve(1);
    this.#buffer[this.#pos] = byte;
    this.#pos += 1;
  }

  #bytes2(first: number, second: number): void {
    this.#reserve(2);
    this.#buffer[this.#pos] = first;
    this.#buffer[this.#pos + 1] = second;
    this.#pos += 2;
  }

  #reserve(bytes: number): void {
    const needed = this.#pos + bytes;
    if (needed <= this.#buffer.length) return;
    if (needed > this.#maxBytes) throw new TypeError(`encode pickle: value: larger than ${this.#maxBytes} bytes`);
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(grown, 0, 0, this.#pos);
    this.#buffer = grown;
  }
}
