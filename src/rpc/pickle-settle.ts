// The last step of decoding: dicts, which are Maps while they are built, become what callers read, and the value
// is checked to be finite. Pickles can share and nest values at will; a cycle, or nesting deeper than the
// limit, would hang or overflow whoever walks the value. Used by the decoder's machine only.

import { pickleError } from './pickle-text.js';
import { PyException, type PyValue } from './pickle-values.js';

const OPEN = -1;

/** The finished form of a built value. @throws GsyncdError 'peer' for cycles and for depth beyond `maxDepth` */
export function settle(value: PyValue, maxDepth: number): PyValue {
  if (!isContainer(value)) return value;
  const settler = new Settler(maxDepth);
  settler.visit(value, 1);
  return settler.settled(value);
}

type Container = PyValue[] | Map<PyValue, PyValue> | PyException;

function isContainer(value: PyValue): value is Container {
  return typeof value === 'object' && (Array.isArray(value) || value instanceof Map || value instanceof PyException);
}

class Settler {
  readonly #maxDepth: number;
  /** Levels of containers at and below one that was visited; OPEN while it is being visited. */
  readonly #heights = new Map<Container, number>();
  readonly #dicts = new Map<PyValue, PyValue>();

  constructor(maxDepth: number) {
    this.#maxDepth = maxDepth;
  }

  settled(value: PyValue): PyValue {
    return value instanceof Map ? (this.#dicts.get(value) ?? value) : value;
  }

  /** Settles what is below `container`, which stands at `depth`. @returns its height */
  visit(container: Container, depth: number): number {
    const known = this.#heights.get(container);
    if (known === OPEN) throw pickleError('value: refers to itself');
    if (depth + (known ?? 1) - 1 > this.#maxDepth) throw pickleError(`value: nested deeper than ${this.#maxDepth}`);
    if (known !== undefined) return known;
    this.#heights.set(container, OPEN);
    let below = 0;
    if (container instanceof Map) below = this.#dict(container, depth);
    else below = this.#items(Array.isArray(container) ? container : (container.args as PyValue[]), depth);
    this.#heights.set(container, below + 1);
    return below + 1;
  }

  #items(items: PyValue[], depth: number): number {
    let below = 0;
    for (let i = 0; i < items.length; i += 1) {
      const item = items[i] as PyValue;
      if (!isContainer(item)) continue;
      below = Math.max(below, this.visit(item, depth + 1));
      items[i] = this.settled(item);
    }
    return below;
  }

  #dict(map: Map<PyValue, PyValue>, depth: number): number {
    let below = 0;
    let plain = true;
    for (const [key, item] of map) {
      if (typeof key !== 'string') plain = false;
      if (isContainer(key)) below = Math.max(below, this.visit(key, depth + 1));
      if (isContainer(item)) below = Math.max(below, this.visit(item, depth + 1));
    }
    if (plain) {
      const dict = Object.create(null) as Record<string, PyValue>;
      for (const [key, item] of map as ReadonlyMap<string, PyValue>) dict[key] = this.settled(item);
      this.#dicts.set(map, dict);
    } else {
      const copy = new Map<PyValue, PyValue>();
      for (const [key, item] of map) copy.set(this.settled(key), this.settled(item));
      this.#dicts.set(map, copy);
    }
    return below;
  }
}
