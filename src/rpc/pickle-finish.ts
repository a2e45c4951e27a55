// Last step of decoding: replaces dicts that have non-string keys by Maps, and refuses cycles and excessive nesting.
// Pickles can share and nest values at will. A cycle, or nesting deeper than the limit, would hang or overflow code that
// walks the value.

import { pickleError } from './pickle-text.js';
import { PyException, isPyDict, type PyDict, type PyValue } from './pickle-values.js';

const IN_PROGRESS = -1;
/** Containers with at most this many plain items are checked again at each visit instead of being stored. Most are that
 *  small. */
const MAX_UNTRACKED_ITEMS = 16;

export interface FinishOptions {
  /** Maximum nesting of containers. */
  readonly maxDepth: number;
  /** Dicts to replace, and their Maps. */
  readonly mapsByDict: ReadonlyMap<PyValue, Map<PyValue, PyValue>>;
}

/** @returns the finished value. @throws GsyncdError 'peer' for cycles and for nesting deeper than `maxDepth` */
export function finishValue(value: PyValue, options: FinishOptions): PyValue {
  if (!isContainer(value)) return value;
  const finisher = new ValueFinisher(options);
  finisher.visit(value, 1);
  return finisher.replacementOf(value);
}

type Container = PyValue[] | PyDict | PyException;

function isContainer(value: PyValue): value is Container {
  return (
    typeof value === 'object' &&
    value !== null &&
    (Array.isArray(value) || value instanceof PyException || isPyDict(value))
  );
}

class ValueFinisher {
  readonly #maxDepth: number;
  readonly #mapsByDict: FinishOptions['mapsByDict'];
  /** Nesting levels of a visited container, including itself; IN_PROGRESS during its visit. */
  readonly #heights = new Map<Container, number>();

  constructor({ maxDepth, mapsByDict }: FinishOptions) {
    this.#maxDepth = maxDepth;
    this.#mapsByDict = mapsByDict;
  }

  replacementOf(value: PyValue): PyValue {
    return this.#mapsByDict.size === 0 ? value : (this.#mapsByDict.get(value) ?? value);
  }

  /** Finishes the contents of `container`, which is at level `depth`. @returns its height */
  visit(container: Container, depth: number): number {
    const known = this.#heights.get(container);
    if (known === IN_PROGRESS) throw pickleError('value: refers to itself');
    if (depth + (known ?? 1) - 1 > this.#maxDepth) throw pickleError(`value: nested deeper than ${this.#maxDepth}`);
    if (known !== undefined) return known;
    const map = this.#mapsByDict.get(container);
    if (map === undefined && isSmallAndPlain(container)) return 1;
    this.#heights.set(container, IN_PROGRESS);
    let below = 0;
    if (map !== undefined) below = this.#visitMap(map, depth);
    else if (Array.isArray(container)) below = this.#visitItems(container, depth);
    else if (container instanceof PyException) below = this.#visitItems(container.args as PyValue[], depth);
    else below = this.#visitDict(container, depth);
    this.#heights.set(container, below + 1);
    return below + 1;
  }

  #visitItems(items: PyValue[], depth: number): number {
    let below = 0;
    for (let i = 0; i < items.length; i += 1) {
      const item = items[i] as PyValue;
      if (!isContainer(item)) continue;
      below = Math.max(below, this.visit(item, depth + 1));
      items[i] = this.replacementOf(item);
    }
    return below;
  }

  #visitDict(dict: Record<string, PyValue>, depth: number): number {
    let below = 0;
    for (const key in dict) {
      const item = dict[key] as PyValue;
      if (!isContainer(item)) continue;
      below = Math.max(below, this.visit(item, depth + 1));
      dict[key] = this.replacementOf(item);
    }
    return below;
  }

  #visitMap(map: Map<PyValue, PyValue>, depth: number): number {
    let below = 0;
    const entries = [...map];
    map.clear();
    for (const [key, item] of entries) {
      for (const part of [key, item]) if (isContainer(part)) below = Math.max(below, this.visit(part, depth + 1));
      map.set(this.replacementOf(key), this.replacementOf(item));
    }
    return below;
  }
}

/** Whether the container is small and contains no containers. */
function isSmallAndPlain(container: Container): boolean {
  if (container instanceof PyException) return false;
  if (Array.isArray(container)) return container.length <= MAX_UNTRACKED_ITEMS && !container.some(isContainer);
  let count = 0;
  for (const key in container)
    if (++count > MAX_UNTRACKED_ITEMS || isContainer(container[key] as PyValue)) return false;
  return true;
}
