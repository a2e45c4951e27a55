// Calls with many items take turns; calls with few do not wait for them.

import { constants } from 'node:os';
import { expect, test } from 'vitest';
import { NativeError } from '../../src/native/libc.js';
import { gfidPath, type Gfid } from '../../src/protocol/gfid.js';
import { secondaryMethods } from '../../src/secondary/methods.js';
import type { SecondaryVolume, VolumeStat } from '../../src/secondary/volume.js';

const LOG = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined };

/** Calls of meta_ops that are running now. */
class Calls {
  readonly running = new Set<string>();
  mostAtOnce = 0;
  readonly #methods;
  #release: () => void = () => undefined;
  readonly #released = new Promise<void>((resolve) => (this.#release = resolve));

  constructor() {
    const lstat = async (path: string): Promise<VolumeStat> => {
      const call = path.at(-1) ?? '';
      this.running.add(call);
      this.mostAtOnce = Math.max(this.mostAtOnce, this.running.size);
      await this.#released;
      throw new NativeError('lstat', path, constants.errno.ENOENT);
    };
    const volume = { lstat } as unknown as SecondaryVolume;
    this.#methods = secondaryMethods({
      volume,
      distributionCount: 1,
      markSpace: 'trusted',
      log: LOG,
      signal: new AbortController().signal,
    });
  }

  /** Starts a call of `items` items. `name` is one hexadecimal digit. */
  async start(name: string, items: number): Promise<void> {
    const stat = { uid: 0, gid: 0, mode: 0o644, atime: 0, mtime: 0 };
    const list = Array.from({ length: items }, (_, i) => ({
      go: gfidPath(`${i.toString(16).padStart(8, '0')}-abcd-4000-8000-00000000000${name}` as Gfid),
      stat,
      op: 'META',
    }));
    await this.#methods.get('meta_ops')?.([list]);
    this.running.delete(name);
  }

  release(): void {
    this.#release();
  }
}

const someTurns = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 50));

test('of several calls with many items one runs at a time, and a call with few items runs beside it', async () => {
  const calls = new Calls();
  const all = [calls.start('a', 100), calls.start('b', 100), calls.start('c', 3)];
  await someTurns();
  expect([...calls.running].sort()).toEqual(['a', 'c']);
  calls.release();
  await Promise.all(all);
  expect(calls.mostAtOnce).toBe(2);
});
