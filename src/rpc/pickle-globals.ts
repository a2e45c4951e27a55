// Allow-list of the names that a pickle may refer to. A pickle can name any callable of Python. Here each allowed name maps
// to a function that builds plain data, and every other name is an error.

import { pickleError } from './pickle-text.js';
import { PyException, PyStat, PyTuple, isPyDict, isPyInt, type PyStatFields, type PyValue } from './pickle-values.js';

/** An allowed name that is not called yet. `call` turns its arguments into data. */
export class PickleGlobal {
  readonly name: string;
  readonly call: (args: readonly PyValue[]) => PyValue;

  constructor(name: string, call: (args: readonly PyValue[]) => PyValue) {
    this.name = name;
    this.call = call;
  }
}

const BUILTINS: ReadonlySet<string> = new Set(['builtins', '__builtin__', 'exceptions']);
const BUILTIN_EXCEPTIONS: ReadonlySet<string> = new Set([
  'BaseException',
  'KeyboardInterrupt',
  'SystemExit',
  'GeneratorExit',
  'StopIteration',
  'StopAsyncIteration',
  'Warning',
  'BytesWarning',
  'DeprecationWarning',
  'FutureWarning',
  'ImportWarning',
  'PendingDeprecationWarning',
  'ResourceWarning',
  'RuntimeWarning',
  'SyntaxWarning',
  'UnicodeWarning',
  'UserWarning',
]);
/** Exceptions that a stock gsyncd may raise, but whose names do not end in Error or Exception. */
const OTHER_EXCEPTIONS: ReadonlySet<string> = new Set([
  'struct.error',
  'socket.error',
  'socket.timeout',
  'select.error',
  'subprocess.TimeoutExpired',
]);
/** The type, and the constructor names that Python 2 and 3 pickle. */
const STAT_RESULTS: ReadonlySet<string> = new Set(['os.stat_result', 'posix.stat_result', 'os._make_stat_result']);
const BEYOND_LATIN1 = /[^\u0000-\u00ff]/;
const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_.]{0,200}$/;

/** @returns the global `module.name`. @throws GsyncdError 'peer' with its name if it is not allowed */
export function resolveGlobal(module: string, name: string): PickleGlobal {
  const fullName = `${module}.${name}`;
  if (fullName === '_codecs.encode') return new PickleGlobal(fullName, encodeLatin1);
  if (STAT_RESULTS.has(fullName)) return new PickleGlobal(fullName, (args) => new PyStat(statFields(args)));
  if (BUILTINS.has(module) && name === 'bytes') return new PickleGlobal(fullName, emptyBytes);
  if (IDENTIFIER.test(module) && IDENTIFIER.test(name) && isException(module, name)) {
    const className = name.slice(name.lastIndexOf('.') + 1);
    return new PickleGlobal(fullName, (args) => new PyException(className, args.slice()));
  }
  throw pickleError(`global ${escapeText(fullName)}: not allowed`);
}

/** @returns the global in the two lines of a GLOBAL opcode. @throws GsyncdError 'peer' as resolveGlobal() does */
export function parseGlobalLines(lines: string): PickleGlobal {
  const newline = lines.indexOf('\n');
  return resolveGlobal(lines.slice(0, newline), lines.slice(newline + 1));
}

function isException(module: string, name: string): boolean {
  if (name.endsWith('Error') || name.endsWith('Exception')) return true;
  if (OTHER_EXCEPTIONS.has(`${module}.${name}`)) return true;
  return BUILTINS.has(module) && BUILTIN_EXCEPTIONS.has(name);
}

function escapeText(text: string): string {
  return JSON.stringify(text.slice(0, 200)).slice(1, -1);
}

/** Decodes bytes as Python 3 pickles them before protocol 3: a str of code points below 256. */
function encodeLatin1(args: readonly PyValue[]): Buffer {
  const [text, encoding] = args;
  const isLatin1 = encoding === 'latin1' || encoding === 'latin-1' || encoding === 'iso-8859-1';
  if (args.length !== 2 || typeof text !== 'string' || !isLatin1)
    throw pickleError('global _codecs.encode: unexpected arguments');
  if (BEYOND_LATIN1.test(text)) throw pickleError('global _codecs.encode: not Latin-1');
  return Buffer.from(text, 'latin1');
}

/** Python 3 pickles empty bytes as `bytes()` before protocol 3. Arguments are refused, since one could be a size. */
function emptyBytes(args: readonly PyValue[]): Buffer {
  if (args.length > 0) throw pickleError('global bytes: unexpected arguments');
  return Buffer.alloc(0);
}

/** Parses ten integers in the order of `struct stat`, and a dict with precise times. */
function statFields(args: readonly PyValue[]): PyStatFields {
  const [visible, named] = args;
  if (!(visible instanceof PyTuple) || visible.length < 10) throw pickleError('stat_result: not ten fields');
  const integerAt = (index: number): bigint => {
    const value = visible[index];
    if (typeof value === 'bigint') return value;
    if (isPyInt(value)) return BigInt(value);
    throw pickleError('stat_result: field is no integer');
  };
  const time = (key: string, index: number): number => {
    const precise = isPyDict(named) ? named[key] : undefined;
    return typeof precise === 'number' ? precise : Number(integerAt(index));
  };
  return {
    mode: Number(integerAt(0)),
    ino: integerAt(1),
    dev: integerAt(2),
    nlink: Number(integerAt(3)),
    uid: Number(integerAt(4)),
    gid: Number(integerAt(5)),
    size: Number(integerAt(6)),
    atime: time('st_atime', 7),
    mtime: time('st_mtime', 8),
  };
}
