// Numbers in pickles: text lines of protocol 0, and binary long integers. Invariant: lengths are checked before any
// conversion in quadratic time.

import { pickleError } from './pickle-text.js';

/** Maximum of digits or bytes. No integer of the RPC is longer, and converting long ones takes quadratic time. */
const MAX_INT_CHARS = 1000;
const DECIMAL = /^[+-]?[0-9]+$/;
const FLOAT = /^[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?$/;

function toNumberIfSafe(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

/** Two's complement, little-endian. @throws GsyncdError 'peer' */
export function decodeLong(bytes: Buffer): number | bigint {
  if (bytes.length === 0) return 0;
  if (bytes.length > MAX_INT_CHARS) throw pickleError('int: too long');
  const hex = Buffer.from(bytes).reverse().toString('hex');
  return toNumberIfSafe(BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`)));
}

/** Parses a decimal line, with or without the final `L` of Python 2. @throws GsyncdError 'peer' */
export function parseIntLine(line: string): number | bigint {
  const digits = line.endsWith('L') ? line.slice(0, -1) : line;
  if (digits.length > MAX_INT_CHARS || !DECIMAL.test(digits)) throw pickleError('int: not a decimal number');
  return toNumberIfSafe(BigInt(digits));
}

/** Parses a memo index. @throws GsyncdError 'peer' */
export function parseIndexLine(line: string): number {
  const index = line.length <= 10 && DECIMAL.test(line) ? Number(line) : -1;
  if (index < 0) throw pickleError('memo: index is no number');
  return index;
}

/** Parses a Python `repr` of a float. @throws GsyncdError 'peer' */
export function parseFloatLine(line: string): number {
  if (line === 'nan' || line === '-nan') return Number.NaN;
  if (line === 'inf' || line === '-inf') return line === 'inf' ? Infinity : -Infinity;
  if (line.length > MAX_INT_CHARS || !FLOAT.test(line)) throw pickleError('float: not a number');
  return Number(line);
}

/** Parses a boolean of protocols 0 and 1, an int with a leading zero. @returns undefined for other ints */
export function parseBoolLine(buf: Buffer, start: number, end: number): boolean | undefined {
  if (end - start !== 2 || buf[start] !== 0x30) return undefined;
  return buf[start + 1] === 0x31;
}
