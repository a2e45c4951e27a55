// Builds a tree in the primary's directory, then makes changes of every kind. Seeded, so that a run can be repeated. Names
// are plain: the property tests cover hostile ones.

import {
  appendFileSync,
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const TREE_SIZE = { directories: 40, filesEach: 25 };

export class DemoTree {
  readonly #root: string;
  #randomState: number;
  #lastNumber = 0;
  readonly #dirs: string[] = [];
  #files: string[] = [];
  #changeCount = 0;

  constructor(root: string, seed: number) {
    this.#root = root;
    this.#randomState = seed >>> 0;
  }

  /** Number of changes since the tree was built. */
  get changeCount(): number {
    return this.#changeCount;
  }

  /** @returns number of names */
  build(): number {
    for (let d = 0; d < TREE_SIZE.directories; d += 1) {
      const parent = this.#dirs[this.#randomInt(this.#dirs.length + 1)];
      const dir = parent === undefined || d < 5 ? `directory ${d}` : `${parent}/directory ${d}`;
      mkdirSync(this.#path(dir));
      this.#dirs.push(dir);
      for (let f = 0; f < TREE_SIZE.filesEach; f += 1) this.#create(dir);
    }
    const [first = ''] = this.#files;
    symlinkSync('directory 0', this.#path('a symlink'));
    linkSync(this.#path(first), this.#path('a hard link'));
    return this.#dirs.length + this.#files.length + 2;
  }

  /** Makes one random change. */
  change(): void {
    this.#changeCount += 1;
    const dir = this.#pick(this.#dirs);
    const kind = this.#randomInt(12);
    if (kind <= 2 || this.#files.length < 10) return this.#create(dir);
    const index = this.#randomInt(this.#files.length);
    const file = this.#files[index] ?? '';
    const path = this.#path(file);
    if (kind === 3) appendFileSync(path, this.#randomText(200));
    else if (kind === 4) writeFileSync(path, this.#randomText(5_000));
    else if (kind === 5) truncateSync(path, 10);
    else if (kind === 6) chmodSync(path, this.#pick([0o600, 0o640, 0o755]));
    else if (kind === 7)
      utimesSync(path, 1_000_000_000 + this.#randomInt(500_000_000), 1_000_000_000 + this.#randomInt(500_000_000));
    else if (kind === 8) this.#remove(index, path);
    else if (kind === 9) this.#move(index, path, dir);
    else if (kind === 10) this.#link(path, dir);
    else this.#moveDirectory();
  }

  #create(dir: string): void {
    const file = `${dir}/file ${this.#nextNumber()}`;
    writeFileSync(this.#path(file), this.#randomText(this.#pick([0, 100, 3_000, 40_000])));
    this.#files.push(file);
  }

  #remove(index: number, path: string): void {
    rmSync(path);
    this.#files.splice(index, 1);
  }

  #move(index: number, path: string, dir: string): void {
    const target = `${dir}/moved ${this.#nextNumber()}`;
    renameSync(path, this.#path(target));
    this.#files[index] = target;
  }

  #link(path: string, dir: string): void {
    const target = `${dir}/link ${this.#nextNumber()}`;
    linkSync(path, this.#path(target));
    this.#files.push(target);
  }

  /** Moves a directory at the top, with everything in it. */
  #moveDirectory(): void {
    const outer = this.#dirs.filter((dir) => !dir.includes('/'));
    const from = this.#pick(outer);
    const target = `directory moved ${this.#nextNumber()}`;
    if (!existsSync(this.#path(from))) return;
    renameSync(this.#path(from), this.#path(target));
    const moved = (path: string): string =>
      path === from || path.startsWith(`${from}/`) ? target + path.slice(from.length) : path;
    this.#files = this.#files.map(moved);
    this.#dirs.splice(0, this.#dirs.length, ...this.#dirs.map(moved));
  }

  #path(path: string): string {
    return join(this.#root, path);
  }

  #nextNumber(): number {
    this.#lastNumber += 1;
    return this.#lastNumber;
  }

  #randomText(bytes: number): string {
    return `${this.#randomInt(1e9)}\n`.repeat(Math.ceil(bytes / 10)).slice(0, bytes);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#randomInt(items.length)] as T;
  }

  /** Uniform random integer below `below`. A linear congruential generator is good enough for a demo. */
  #randomInt(limit: number): number {
    this.#randomState = (Math.imul(this.#randomState, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#randomState / 2 ** 32) * limit);
  }
}
