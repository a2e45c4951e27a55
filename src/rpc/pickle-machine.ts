// Stack machine that executes a pickle, one opcode with its complete operand at a time. Invariant: it builds plain data
// only. A global is only a name from the allow-list until a call opcode turns it into data, and cannot be a part of a value.

import { PickleGlobal, parseGlobalLines, resolveGlobal } from './pickle-globals.js';
import { CONTAINER_VALUES, PickleBudget, checkExpanded, isContainer, type PickleLimits } from './pickle-limits.js';
import { parseBoolLine, parseFloatLine, parseIndexLine, parseIntLine, decodeLong } from './pickle-numbers.js';
import { OP } from './pickle-opcodes.js';
import { finishValue } from './pickle-finish.js';
import { decodeQuoted, decodeRawUnicode, decodeSurrogatePass, pickleError } from './pickle-text.js';
import { PyException, PyTuple, asTuple, isPyDict, newDict, type PyDict, type PyValue } from './pickle-values.js';
import { fsDecode } from '../names.js';

type Item = PyValue | PickleGlobal;

/** Shared: otherwise each byte of input could allocate a tuple. */
const EMPTY_TUPLE = Object.freeze(new PyTuple());

export class PickleMachine {
  readonly #limits: PickleLimits;
  #budget: PickleBudget;
  /** Whether the value may hold a container more than once. */
  #hasSharedContainers = false;
  #stack: Item[] = [];
  /** Stack heights of the pickle marks. */
  #marks: number[] = [];
  /** Picklers number their memo entries from 0 upwards. `#sparse` holds entries that do not follow that order. */
  #memo: Item[] = [];
  #sparseMemo = new Map<number, Item>();
  /** Dicts with a key that is not a string, and the Maps that replace them. */
  #mapsByDict = new Map<PyValue, Map<PyValue, PyValue>>();
  #result: PyValue | undefined;

  constructor(limits: PickleLimits) {
    this.#limits = limits;
    this.#budget = new PickleBudget(limits);
  }

  /** Returns the value of the finished pickle, and resets the machine for the next one. */
  take(): PyValue {
    const result = this.#result ?? null;
    this.#stack = [];
    this.#marks = [];
    this.#memo = [];
    this.#sparseMemo = new Map();
    this.#mapsByDict = new Map();
    this.#budget = new PickleBudget(this.#limits);
    this.#hasSharedContainers = false;
    this.#result = undefined;
    return result;
  }

  /**
   * Executes one opcode. Its operand, without length field and final newline, is `buf[start, end)`.
   * @returns true for STOP: take() then returns the value
   * @throws GsyncdError 'peer' for input that no pickler writes
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
        this.#memoize(this.#memo.length + this.#sparseMemo.size);
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
        this.#budget.chargeValues(1);
        break;
      case OP.EMPTY_TUPLE:
        this.#pushContainer(EMPTY_TUPLE);
        break;
      case OP.EMPTY_LIST:
        this.#pushContainer([]);
        break;
      case OP.EMPTY_DICT:
        this.#pushContainer(newDict());
        break;
      case OP.TUPLE1:
      case OP.TUPLE2:
      case OP.TUPLE3:
        this.#pushContainer(asTuple(this.#popMany(op - OP.TUPLE1 + 1)));
        break;
      case OP.TUPLE:
        this.#pushContainer(asTuple(this.#popMarked()));
        break;
      case OP.LIST:
        this.#pushContainer(this.#popMarked());
        break;
      case OP.DICT:
        {
          const dict = newDict();
          this.#setItems(dict, this.#popMarked());
          this.#pushContainer(dict);
        }
        break;
      case OP.APPEND:
        this.#appendToTop(this.#popMany(1));
        break;
      case OP.APPENDS:
        this.#appendToTop(this.#popMarked());
        break;
      case OP.SETITEM:
        this.#setItemsOnTop(this.#popMany(2));
        break;
      case OP.SETITEMS:
        this.#setItemsOnTop(this.#popMarked());
        break;
      case OP.STOP:
        this.#result = finishValue(this.#pop(), { maxDepth: this.#limits.maxDepth, mapsByDict: this.#mapsByDict });
        if (this.#stack.length > 0 || this.#marks.length > 0) throw pickleError('stop: values left over');
        if (this.#hasSharedContainers) checkExpanded(this.#result, this.#limits);
        return true;
      default:
        this.#executeRare(op, buf, start, end);
    }
    return false;
  }

  #executeRare(op: number, buf: Buffer, start: number, end: number): void {
    switch (op) {
      case OP.PROTO:
        if (buf.readUInt8(start) > 5) throw pickleError(`protocol ${buf.readUInt8(start)}: unknown`);
        break;
      case OP.FRAME:
        break;
      case OP.LONG1:
      case OP.LONG4:
        this.#push(decodeLong(buf.subarray(start, end)));
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
        this.#push(parseBoolLine(buf, start, end) ?? parseIntLine(buf.toString('latin1', start, end)));
        break;
      case OP.LONG:
        this.#push(parseIntLine(buf.toString('latin1', start, end)));
        break;
      case OP.FLOAT:
        this.#push(parseFloatLine(buf.toString('latin1', start, end)));
        break;
      case OP.GET:
        this.#recall(parseIndexLine(buf.toString('latin1', start, end)));
        break;
      case OP.PUT:
        this.#memoize(parseIndexLine(buf.toString('latin1', start, end)));
        break;
      case OP.POP:
        if (this.#marks.at(-1) === this.#stack.length) this.#marks.pop();
        else this.#popItem();
        break;
      case OP.POP_MARK:
        this.#popMarked();
        break;
      case OP.DUP:
        this.#pushReference(this.#top());
        break;
      case OP.GLOBAL:
        this.#pushGlobal(parseGlobalLines(buf.toString('utf8', start, end)));
        break;
      case OP.STACK_GLOBAL: {
        const [module, name] = this.#popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw pickleError('global: name is no str');
        this.#pushGlobal(resolveGlobal(module, name));
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
        this.#call(parseGlobalLines(buf.toString('utf8', start, end)), args);
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
    // The called function may copy its arguments.
    this.#budget.chargeValues(args.length);
    for (let i = 0; i < args.length; i += 1) this.#budget.chargeReference(args[i] as PyValue);
    this.#pushContainer(callee.call(args));
  }

  #push(item: Item): void {
    this.#budget.chargeValues(1);
    this.#stack.push(item);
  }

  #pushGlobal(item: PickleGlobal): void {
    this.#budget.chargeValues(3 * CONTAINER_VALUES);
    this.#push(item);
  }

  #pushContainer(item: PyValue): void {
    this.#budget.chargeValues(CONTAINER_VALUES);
    this.#push(item);
  }

  #pushReference(item: Item): void {
    if (!(item instanceof PickleGlobal)) {
      this.#budget.chargeReference(item);
      this.#hasSharedContainers ||= isContainer(item);
    }
    this.#push(item);
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
    this.#budget.chargeValues(1);
    if (index <= this.#memo.length) {
      this.#memo[index] = this.#top();
      if (this.#sparseMemo.size > 0) this.#sparseMemo.delete(index);
    } else {
      this.#budget.chargeValues(CONTAINER_VALUES);
      this.#sparseMemo.set(index, this.#top());
    }
  }

  #recall(index: number): void {
    const item = index < this.#memo.length ? this.#memo[index] : this.#sparseMemo.get(index);
    if (item === undefined) throw pickleError(`memo ${index}: missing`);
    this.#pushReference(item);
  }

  #appendToTop(items: readonly PyValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list) || list instanceof PyTuple) throw pickleError('append: not a list');
    for (const item of items) (list as PyValue[]).push(item);
  }

  #setItemsOnTop(items: readonly PyValue[]): void {
    const dict = this.#top();
    if (dict instanceof PickleGlobal || !isPyDict(dict)) throw pickleError('set item: not a dict');
    this.#setItems(dict, items);
  }

  #setItems(dict: PyDict, items: readonly PyValue[]): void {
    if (items.length % 2 !== 0) throw pickleError('dict: key without value');
    let map = this.#mapsByDict.get(dict);
    for (let i = 0; i < items.length; i += 2) {
      const [key, item] = [items[i] as PyValue, items[i + 1] as PyValue];
      if (map === undefined && typeof key !== 'string') {
        map = new Map<PyValue, PyValue>(Object.entries(dict));
        this.#mapsByDict.set(dict, map);
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
