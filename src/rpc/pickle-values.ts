// The Python values that cross the wire, as JavaScript sees them. Decoded values are plain data: nothing in them runs, and
// dicts have no prototype.

/** A dict whose keys are all strings. Decoded ones have no prototype. */
export interface PyDict {
  readonly [key: string]: PyValue;
}

/**
 * Python to JavaScript: None null; int number when safe, else bigint; float number; str string with lone
 * surrogates kept; bytes Buffer; list array; tuple PyTuple; dict PyDict, or Map when a key is no
 * string. Python 2's byte strings arrive as strings in the form of names.ts.
 */
export type PyValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | PyFloat
  | PyTuple
  | PyException
  | PyStat
  | readonly PyValue[]
  | ReadonlyMap<PyValue, PyValue>
  | PyDict;

/** A tuple, made by `pyTuple`. What `map`, `slice` and the like return are plain arrays (lists). */
export class PyTuple extends Array<PyValue> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

/** The tuple of `items`. */
export function pyTuple(items: readonly PyValue[]): PyTuple {
  return asTuple([...items]);
}

/** `items` itself, as a tuple. It takes less memory than one that is built item by item. */
export function asTuple(items: PyValue[]): PyTuple {
  return Object.setPrototypeOf(items, PyTuple.prototype) as PyTuple;
}

/** A number that is sent as a float even when it is integral. Decoded floats are plain numbers. */
export class PyFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** An exception that the peer raised: the bare name of its class and its arguments. */
export class PyException {
  readonly className: string;
  readonly args: readonly PyValue[];

  constructor(className: string, args: readonly PyValue[]) {
    this.className = className;
    this.args = args;
  }
}

export interface PyStatFields {
  readonly mode: number;
  readonly ino: bigint;
  readonly dev: bigint;
  readonly nlink: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Seconds, with a fraction when the peer sent one. */
  readonly atime: number;
  readonly mtime: number;
  readonly ctime?: number;
}

/** An `os.stat_result`. */
export class PyStat {
  readonly fields: PyStatFields;

  constructor(fields: PyStatFields) {
    this.fields = fields;
  }
}

/** Whether `value` is a dict with string keys. */
export function isPyDict(value: PyValue | undefined): value is PyDict {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null || prototype === Object.prototype;
}

/** Whether `value` is an integral number: a Python int, or a float without a fraction. */
export function isPyInt(value: PyValue | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value);
}

/** An empty dict without a prototype and yet, unlike what Object.create(null) makes, of a shape that it shares with its
 *  like: a batch has tens of thousands. */
export function newDict(): PyDict {
  return Object.setPrototypeOf({}, null) as PyDict;
}
