// Python values of the RPC as JavaScript values. Decoded values are plain data without code, and dicts have no prototype.

/** A dict whose keys are all strings. Decoded ones have no prototype. */
export interface PyDict {
  readonly [key: string]: PyValue;
}

/**
 * Python to JavaScript: None is null, int is a number if safe and else a bigint, float a number. str is a string with lone
 * surrogates kept, bytes a Buffer, list an array, tuple a PyTuple. dict is a PyDict, or a Map if a key is not a string.
 * Byte strings of Python 2 become strings in the form of names.ts.
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

/** A tuple, made by pyTuple(). Its methods such as `map` and `slice` return plain arrays (lists). */
export class PyTuple extends Array<PyValue> {
  static override get [Symbol.species](): ArrayConstructor {
    return Array;
  }
}

export function pyTuple(items: readonly PyValue[]): PyTuple {
  return asTuple([...items]);
}

/** Turns `items` itself into a tuple, which takes less memory than building one item by item. */
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

/** An exception that the peer raised: its class name without a module, and its arguments. */
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

/** An empty dict without a prototype. Unlike results of Object.create(null), all of these share one hidden class, which
 *  saves memory: a batch has tens of thousands. */
export function newDict(): PyDict {
  return Object.setPrototypeOf({}, null) as PyDict;
}
