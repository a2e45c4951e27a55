// Limits on one pickle. A few bytes can ask for gigabytes: opcodes that make empty containers, and references to what
// was built before, which double the value at each level. References to text and calls are charged where they happen;
// references to containers when the value is complete, since until then a container can still grow.
// Measured: a stock primary's request of 50,000 renames with all their attributes is 14 MB and 2.7 million values; the
// names of a directory of a million files are a million values.

import { pickleError } from './pickle-text.js';
import { PyException, PyStat, isPyDict, type PyValue } from './pickle-values.js';

export interface PickleLimits {
  /** Size of one pickle, and of all text and bytes in its value, each as often as it is referred to. */
  readonly maxBytes: number;
  /** Nesting of containers. */
  readonly maxDepth: number;
  /** Values in a value, each as often as it is referred to, with a container as CONTAINER_VALUES more; marks and entries of
   *  the memo, too. */
  readonly maxValues: number;
}

/** Six times that request in values, 19 times in bytes. */
export const DEFAULT_LIMITS: PickleLimits = { maxBytes: 256 * 1024 * 1024, maxDepth: 100, maxValues: 16_000_000 };
/** An empty container takes as much memory as so many small values. */
export const CONTAINER_VALUES = 8;

/** The unused part of the limits while a pickle is decoded. */
export class PickleBudget {
  readonly #limits: PickleLimits;
  #values: number;
  #bytes: number;

  constructor(limits: PickleLimits) {
    this.#limits = limits;
    this.#values = limits.maxValues;
    this.#bytes = limits.maxBytes;
  }

  /** @throws GsyncdError 'peer' when there are too many */
  values(count: number): void {
    this.#values -= count;
    if (this.#values < 0) throw tooMany(this.#limits);
  }

  /** A value that is in the value once more. A container's contents are not counted. @throws GsyncdError 'peer' */
  again(value: PyValue): void {
    this.#bytes -= byteLength(value);
    if (this.#bytes < 0) throw tooLarge(this.#limits);
  }
}

/** Counts a finished value as if nothing in it were shared; what is shared is walked once.
 *  @param value without cycles, and no deeper than the limit
 *  @throws GsyncdError 'peer' when it is beyond `limits` */
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
    if (values > limits.maxValues) throw tooMany(limits);
    if (bytes > limits.maxBytes) throw tooLarge(limits);
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

/** A long integer counts as the longest. */
const BIGINT_BYTES = 1000;

function byteLength(value: PyValue): number {
  if (typeof value === 'string') return value.length;
  if (typeof value === 'bigint') return BIGINT_BYTES;
  return value instanceof Uint8Array ? value.byteLength : 0;
}

function tooMany({ maxValues }: PickleLimits): Error {
  return pickleError(`value: more than ${maxValues} items`);
}

function tooLarge({ maxBytes }: PickleLimits): Error {
  return pickleError(`value: larger than ${maxBytes} bytes`);
}
