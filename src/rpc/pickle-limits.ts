// Limits on one pickle. A few bytes can demand gigabytes: by opcodes that make empty containers, and by memo references,
// which double the value at each level. References to text, and calls, are charged at once. References to containers are
// charged when the value is complete, since a container can grow until then.
//
// Measured: a request of a stock primary with 50,000 renames and all attributes has 14 MB and 2.7 million values. The names
// of a directory with a million files are a million values.

import { pickleError } from './pickle-text.js';
import { PyException, PyStat, isPyDict, type PyValue } from './pickle-values.js';

export interface PickleLimits {
  /** Size of one pickle, and of all text and bytes in its value. Shared parts are charged for each reference. */
  readonly maxBytes: number;
  /** Maximum nesting of containers. */
  readonly maxDepth: number;
  /** Number of values. Shared parts are charged for each reference, and a container as CONTAINER_VALUES more. Pickle marks
   *  and memo entries are included. */
  readonly maxValues: number;
}

/** Compared to the request above: six times its values, and 19 times its bytes. */
export const DEFAULT_LIMITS: PickleLimits = { maxBytes: 256 * 1024 * 1024, maxDepth: 100, maxValues: 16_000_000 };
/** An empty container needs as much memory as this many small values. */
export const CONTAINER_VALUES = 8;

/** Remaining part of the limits while a pickle is decoded. */
export class PickleBudget {
  readonly #limits: PickleLimits;
  #values: number;
  #bytes: number;

  constructor(limits: PickleLimits) {
    this.#limits = limits;
    this.#values = limits.maxValues;
    this.#bytes = limits.maxBytes;
  }

  /** Charges `count` values. @throws GsyncdError 'peer' if there are too many */
  chargeValues(count: number): void {
    this.#values -= count;
    if (this.#values < 0) throw tooManyValuesError(this.#limits);
  }

  /** Charges one more reference to `value`, without the contents of a container. @throws GsyncdError 'peer' */
  chargeReference(value: PyValue): void {
    this.#bytes -= byteLength(value);
    if (this.#bytes < 0) throw tooLargeError(this.#limits);
  }
}

/** Checks the expanded size of a finished value, but walks shared parts only once.
 *  @param value without cycles, and not nested deeper than the limit
 *  @throws GsyncdError 'peer' if it exceeds `limits` */
export function checkExpanded(value: PyValue, limits: PickleLimits): void {
  const known = new Map<PyValue, readonly [values: number, bytes: number]>();
  const visit = (container: PyValue): readonly [number, number] => {
    const before = known.get(container);
    if (before !== undefined) return before;
    let values = 1 + CONTAINER_VALUES;
    let bytes = 0;
    for (const part of partsOf(container)) {
      const [more, moreBytes] = isContainer(part) ? visit(part) : [1, byteLength(part)];
      values += more;
      bytes += moreBytes;
    }
    if (values > limits.maxValues) throw tooManyValuesError(limits);
    if (bytes > limits.maxBytes) throw tooLargeError(limits);
    known.set(container, [values, bytes]);
    return [values, bytes];
  };
  if (isContainer(value)) visit(value);
}

export function isContainer(value: PyValue): boolean {
  return typeof value === 'object' && value !== null && !(value instanceof Uint8Array) && !(value instanceof PyStat);
}

function* partsOf(container: PyValue): Iterable<PyValue> {
  if (container instanceof PyException) yield* container.args;
  else if (Array.isArray(container)) yield* container as readonly PyValue[];
  else if (container instanceof Map) for (const pair of container as ReadonlyMap<PyValue, PyValue>) yield* pair;
  else if (isPyDict(container)) for (const key in container) yield* [key, container[key] as PyValue];
}

/** Upper bound of the length of an integer (MAX_INT_CHARS in pickle-numbers.ts). */
const BIGINT_BYTES = 1000;

function byteLength(value: PyValue): number {
  if (typeof value === 'string') return value.length;
  if (typeof value === 'bigint') return BIGINT_BYTES;
  return value instanceof Uint8Array ? value.byteLength : 0;
}

function tooManyValuesError({ maxValues }: PickleLimits): Error {
  return pickleError(`value: more than ${maxValues} items`);
}

function tooLargeError({ maxBytes }: PickleLimits): Error {
  return pickleError(`value: larger than ${maxBytes} bytes`);
}
