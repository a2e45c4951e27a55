// Builds a tree in the primary's directory, then makes changes of every kind. Seeded, so that a run can be repeated. Names
// are plain: the property tests cover hostile ones.

import { appendFileSync, chmodSync, existsSync, linkSync, mkdirSync, renameSync, rmSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const TREE = { directories: 40, filesEach: 25 };

export class DemoTree {
  readonly #root: string;
  #state: number;
  #serial = 0;
  readonly #dirs: string[] = [];
  #files: string[] = [];
  #operations = 0;

  constructor(root: string, seed: number) {
    this.#root = root;
    this.#state = seed >>> 0;
  }

  /** Number of changes since the tree was built. */
  get operations(): number {
    return this.#operations;
  }

  /** @returns number of names */
  build(): number {
    for (let d = 0; d < TREE.directories; d += 1) {
      const parent = this.#dirs[this.#int(this.#dirs.length + 1)];
      const dir = parent === undefined || d < 5 ? `directory ${d}` : `${parent}/directory ${d}`;
      mkdirSync(this.#at(dir));
      this.#dirs.push(dir);
      for (let f = 0; f < TREE.filesEach; f += 1) this.#create(dir);
    }
    const [first = ''] = this.#files;
    symlinkSync('directory 0', this.#at('a symlink'));
    linkSync(this.#at(first), this.#at('a hard link'));
    return this.#dirs.length + this.#files.length + 2;
  }

  /** Makes one random change. */
  change(): void {
    this.#operations += 1;
    const dir = this.#pick(this.#dirs);
    const kind = this.#int(12);
    if (kind <= 2 || this.#files.length < 10) return this.#create(dir);
    const at = this.#int(this.#files.length);
    const file = this.#files[at] ?? '';
    const path = this.#at(file);
    if (kind === 3) appendFileSync(path, this.#text(200));
    else if (kind === 4) writeFileSync(path, this.#text(5_000));
    else if (kind === 5) truncateSync(path, 10);
    else if (kind === 6) chmodSync(path, this.#pick([0o600, 0o640, 0o755]));
    else if (kind === 7) utimesSync(path, 1_000_000_000 + this.#int(500_000_000), 1_000_000_000 + this.#int(500_000_000));
    else if (kind === 8) this.#remove(at, path);
    else if (kind === 9) this.#move(at, path, dir);
    else if (kind === 10) this.#link(path, dir);
    else this.#moveDirectory();
  }

  #create(dir: string): void {
    const file = `${dir}/file ${this.#next()}`;
    writeFileSync(this.#at(file), this.#text(this.#pick([0, 100, 3_000, 40_000])));
    this.#files.push(file);
  }

  #remove(at: number, path: string): void {
    rmSync(path);
    this.#files.splice(at, 1);
  }

  #move(at: number, path: string, dir: string): void {
    const to = `${dir}/moved ${this.#next()}`;
    renameSync(path, this.#at(to));
    this.#files[at] = to;
  }

  #link(path: string, dir: string): void {
    const to = `${dir}/link ${this.#next()}`;
    linkSync(path, this.#at(to));
    this.#files.push(to);
  }

  /** Moves a directory at the top, with everything in it. */
  #moveDirectory(): void {
    const outer = this.#dirs.filter((dir) => !dir.includes('/'));
    const from = this.#pick(outer);
    const to = `directory moved ${this.#next()}`;
    if (!existsSync(this.#at(from))) return;
    renameSync(this.#at(from), this.#at(to));
    const moved = (path: string): string => (path === from || path.startsWith(`${from}/`) ? to + path.slice(from.length) : path);
    this.#files = this.#files.map(moved);
    this.#dirs.splice(0, this.#dirs.length, ...this.#dirs.map(moved));
  }

  #at(path: string): string {
    return join(this.#root, path);
  }

  #next(): number {
    this.#serial += 1;
    return this.#serial;
  }

  #text(bytes: number): string {
    return `${this.#int(1e9)}\n`.repeat(Math.ceil(bytes / 10)).slice(0, bytes);
  }

  #pick<T>(items: readonly T[]): T {
    return items[this.#int(items.length)] as T;
  }

  /** Uniform random integer below `below`. A linear congruential generator is good enough for a demo. */
  #int(below: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * below);
  }
}
