// The stack machine that a pickle is a program for: one opcode with its complete operand at a time. Used by
// PickleDecoder, which frames the opcodes. Invariant: it builds plain data only; a global stays a name from
// the allow-list until REDUCE turns it into data, and can stand nowhere inside a value.

import { PickleGlobal, resolveGlobal } from './pickle-globals.js';
import { floatFrom, indexFrom, intFrom, longFrom } from './pickle-numbers.js';
import { OP } from './pickle-opcodes.js';
import { settle } from './pickle-settle.js';
import { decodeQuoted, decodeRawUnicode, decodeSurrogatePass, pickleError } from './pickle-text.js';
import { PyException, PyTuple, isPyDict, pyTuple, type PyDict, type PyValue } from './pickle-values.js';
import { fsDecode } from '../names.js';

export interface MachineLimits {
  readonly maxDepth: number;
  /** Memo entries, and stack entries. */
  readonly maxItems: number;
}

type Item = PyValue | PickleGlobal;

export class PickleMachine {
  readonly #limits: MachineLimits;
  #stack: Item[] = [];
  /** Stack heights at which a mark stands. */
  #marks: number[] = [];
  /** Picklers number what they memoize from 0 on; `#sparse` has what does not follow. */
  #memo: Item[] = [];
  #sparse = new Map<number, Item>();
  /** Dicts that were given a key that is no string, and what stands for them. */
  #turned = new Map<PyValue, Map<PyValue, PyValue>>();
  #result: PyValue | undefined;

  constructor(limits: MachineLimits) {
    this.#limits = limits;
  }

  /** The value of the pickle that just stopped; resets the machine for the next one. */
  take(): PyValue {
    const result = this.#result ?? null;
    this.#stack = [];
    this.#marks = [];
    this.#memo = [];
    this.#sparse = new Map();
    this.#turned = new Map();
    this.#result = undefined;
    return result;
  }

  /**
   * Executes one opcode whose operand (without length field or final newline) is `buf[start, end)`.
   * @returns whether it was STOP: `take` then gives the value
   * @throws GsyncdError 'peer' for whatever no pickler writes
   */
  execute(op: number, buf: Buffer, start: number, end: number): boolean {
    switch (op) {
      case OP.BINUNICODE:
      case OP.SHORT_BINUNICODE:
      case OP.BINUNICODE8:
        this.#push(decodeSurrogatePass(buf, start, end));
        break;
      case OP.BINPUT:
        this.#memoize(buf.readUInt8(start));
        break;
      case OP.LONG_BINPUT:
        this.#memoize(buf.readUInt32LE(start));
        break;
      case OP.MEMOIZE:
        this.#memoize(this.#memo.length + this.#sparse.size);
        break;
      case OP.BINGET:
        this.#recall(buf.readUInt8(start));
        break;
      case OP.LONG_BINGET:
        this.#recall(buf.readUInt32LE(start));
        break;
      case OP.BININT1:
        this.#push(buf.readUInt8(start));
        break;
      case OP.BININT2:
        this.#push(buf.readUInt16LE(start));
        break;
      case OP.BININT:
        this.#push(buf.readInt32LE(start));
        break;
      case OP.BINFLOAT:
        this.#push(buf.readDoubleBE(start));
        break;
      case OP.NONE:
        this.#push(null);
        break;
      case OP.NEWTRUE:
      case OP.NEWFALSE:
        this.#push(op === OP.NEWTRUE);
        break;
      case OP.MARK:
        this.#marks.push(this.#stack.length);
        this.#bound(this.#marks.length);
        break;
      case OP.EMPTY_TUPLE:
        this.#push(new PyTuple());
        break;
      case OP.EMPTY_LIST:
        this.#push([]);
        break;
      case OP.EMPTY_DICT:
        this.#push(newDict());
        break;
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        this.#push(pyTuple(this.#popMany(op - OP.TUPLE1 + 1)));
        break;
      case OP.TUPLE:
        this.#push(pyTuple(this.#popMarked()));
        break;
      case OP.LIST:
        this.#push(this.#popMarked());
        break;
      case OP.DICT:
        {
          const dict = newDict();
          this.#setItems(dict, this.#popMarked());
          this.#push(dict);
        }
        break;
      case OP.APPEND:
        this.#appendTo(this.#popMany(1));
        break;
      case OP.APPENDS:
        this.#appendTo(this.#popMarked());
        break;
      case OP.SETITEM:
        this.#setOn(this.#popMany(2));
        break;
      case OP.SETITEMS:
        this.#setOn(this.#popMarked());
        break;
      case OP.STOP:
        this.#result = settle(this.#pop(), { maxDepth: this.#limits.maxDepth, turned: this.#turned });
        if (this.#stack.length > 0 || this.#marks.length > 0) throw pickleError('stop: values left over');
        return true;
      default:
        this.#rare(op, buf, start, end);
    }
    return false;
  }

  #rare(op: number, buf: Buffer, start: number, end: number): void {
    switch (op) {
      case OP.PROTO:
        if (buf.readUInt8(start) > 5) throw pickleError(`protocol ${buf.readUInt8(start)}: unknown`);
        break;
      case OP.FRAME:
        break;
      case OP.LONG1:
      case OP.LONG4:
        this.#push(longFrom(buf.subarray(start, end)));
        break;
      case OP.BINBYTES:
      case OP.SHORT_BINBYTES:
      case OP.BINBYTES8:
        this.#push(Buffer.from(buf.subarray(start, end)));
        break;
      case OP.BINSTRING:
      case OP.SHORT_BINSTRING:
        this.#push(fsDecode(buf.subarray(start, end)));
        break;
      case OP.STRING:
        this.#push(fsDecode(decodeQuoted(buf.toString('latin1', start, end))));
        break;
      case OP.UNICODE:
        this.#push(decodeRawUnicode(buf.toString('latin1', start, end)));
        break;
      case OP.INT:
        this.#push(boolFrom(buf, start, end) ?? intFrom(buf.toString('latin1', start, end)));
        break;
      case OP.LONG:
        this.#push(intFrom(buf.toString('latin1', start, end)));
        break;
      case OP.FLOAT:
        this.#push(floatFrom(buf.toString('latin1', start, end)));
        break;
      case OP.GET:
        this.#recall(indexFrom(buf.toString('latin1', start, end)));
        break;
      case OP.PUT:
        this.#memoize(indexFrom(buf.toString('latin1', start, end)));
        break;
      case OP.POP:
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#popItem();
        break;
      case OP.POP_MARK:
        this.#popMarked();
        break;
      case OP.DUP:
        this.#push(this.#top());
        break;
      case OP.GLOBAL:
        this.#push(globalFrom(buf.toString('utf8', start, end)));
        break;
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw pickleError('global: name is no str');
        this.#push(resolveGlobal(module, name));
        break;
      }
      case OP.REDUCE:
      case OP.NEWOBJ: {
        const args = this.#pop();
        if (!(args instanceof PyTuple)) throw pickleError('call: arguments are no tuple');
        this.#call(this.#popItem(), args);
        break;
      }
      case OP.INST: {
        const args = this.#popMarked();
        this.#call(globalFrom(buf.toString('utf8', start, end)), args);
        break;
      }
      case OP.OBJ: {
        const height = this.#marks.at(-1) ?? -1;
        const callee = this.#stack[height];
        if (callee === undefined) throw pickleError('call: no class');
        this.#stack.splice(height, 1);
        this.#call(callee, this.#popMarked());
        break;
      }
      case OP.BUILD:
        this.#pop();
        if (!(this.#top() instanceof PyException)) throw pickleError('build: not an exception');
        break;
      default:
        throw pickleError(`opcode 0x${op.toString(16)}: unknown`);
    }
  }

  #call(callee: Item, args: readonly PyValue[]): void {
    if (!(callee instanceof PickleGlobal)) throw pickleError('call: not a global');
    this.#push(callee.call(args));
  }

  #bound(count: number): void {
    if (count > this.#limits.maxItems) throw pickleError(`value: more than ${this.#limits.maxItems} items`);
  }

  #push(item: Item): void {
    this.#stack.push(item);
    this.#bound(this.#stack.length);
  }

  #top(): Item {
    const item = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.at(-1) : undefined;
    if (item === undefined) throw pickleError('stack: empty');
    return item;
  }

  #popItem(): Item {
    const item = this.#top();
    this.#stack.pop();
    return item;
  }

  #pop(): PyValue {
    return asValue(this.#popItem());
  }

  #popMany(count: number): PyValue[] {
    const height = this.#stack.length - count;
    if (height < (this.#marks.at(-1) ?? 0)) throw pickleError('stack: empty');
    return this.#stack.splice(height, count).map(asValue);
  }

  #popMarked(): PyValue[] {
    const height = this.#marks.pop();
    if (height === undefined) throw pickleError('mark: missing');
    return this.#stack.splice(height).map(asValue);
  }

  #memoize(index: number): void {
    if (index <= this.#memo.length) {
      this.#memo[index] = this.#top();
      if (this.#sparse.size > 0) this.#sparse.delete(index);
    } else {
      this.#sparse.set(index, this.#top());
    }
    this.#bound(this.#memo.length + this.#sparse.size);
  }

  #recall(index: number): void {
    const item = index < this.#memo.length ? this.#memo[index] : this.#sparse.get(index);
    if (item === undefined) throw pickleError(`memo ${index}: missing`);
    this.#push(item);
  }

  #appendTo(items: readonly PyValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list) || list instanceof PyTuple) throw pickleError('append: not a list');
    for (const item of items) (list as PyValue[]).push(item);
  }

  #setOn(items: readonly PyValue[]): void {
    const dict = this.#top();
    if (dict instanceof PickleGlobal || !isPyDict(dict)) throw pickleError('set item: not a dict');
    this.#setItems(dict, items);
  }

  #setItems(dict: PyDict, items: readonly PyValue[]): void {
    if (items.length % 2 !== 0) throw pickleError('dict: key without value');
    let map = this.#turned.get(dict);
    for (let i = 0; i < items.length; i += 2) {
      const [key, item] = [items[i] as PyValue, items[i + 1] as PyValue];
      if (map === undefined && typeof key !== 'string') {
        map = new Map<PyValue, PyValue>(Object.entries(dict));
        this.#turned.set(dict, map);
      }
      if (map !== undefined) map.set(key, item);
      else (dict as Record<string, PyValue>)[key as string] = item;
    }
  }
}

function asValue(item: Item): PyValue {
  if (item instanceof PickleGlobal) throw pickleError(`global ${item.name}: not called`);
  return item;
}

/** Without a prototype, and yet, unlike what Object.create(null) makes, of a shape that it shares with its like: a
 *  batch has tens of thousands. */
function newDict(): PyDict {
  return Object.setPrototypeOf({}, null) as PyDict;
}

/** How protocols 0 and 1 spell booleans: ints with a leading zero. */
function boolFrom(buf: Buffer, start: number, end: number): boolean | undefined {
  if (end - start !== 2 || buf[start] !== 0x30) return undefined;
  return buf[start + 1] === 0x31;
}

function globalFrom(lines: string): PickleGlobal {
  const newline = lines.indexOf('\n');
  return resolveGlobal(lines.slice(0, newline), lines.slice(newline + 1));
}
