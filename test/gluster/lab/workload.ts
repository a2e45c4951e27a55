// A seeded random workload: file operations of every kind on names of every kind. The generator is pure: the same
// seed, options and counts give the same lists. It keeps a model of the tree, so that nearly every operation is valid
// when it is applied in order; apply.py passes over those that are not, which is what lets a list be shrunk.
// Paths are relative to the tree's root, in the string form of src/names.ts.

import { Random } from './random.js';

/** One operation. Sizes and offsets in bytes; contents follow from `seed`; ACL entries are [tag, perm, id or -1]. */
export type Operation =
  | { op: 'create'; path: string; size: number; seed: number; mode?: number }
  | { op: 'write'; path: string; offset: number; size: number; seed: number }
  | { op: 'append'; path: string; size: number; seed: number }
  | { op: 'truncate'; path: string; size: number }
  | { op: 'sparse'; path: string; offset: number; size: number; length: number; seed: number }
  | { op: 'mkdir'; path: string; mode?: number }
  | { op: 'rmdir' | 'unlink' | 'remove'; path: string }
  | { op: 'rename' | 'swap' | 'exchange' | 'link'; path: string; to: string }
  | { op: 'symlink'; path: string; target: string }
  | { op: 'mkfifo'; path: string; mode?: number }
  | { op: 'mknod'; path: string; major: number; minor: number; block?: boolean }
  | {
      op: 'recreate';
      path: string;
      as: 'file' | 'dir' | 'symlink' | 'fifo';
      size: number;
      seed: number;
      target: string;
    }
  | { op: 'chmod'; path: string; mode: number }
  | { op: 'chown'; path: string; uid: number; gid: number }
  | { op: 'utimes'; path: string; mtimeNs: number }
  | { op: 'setxattr'; path: string; name: string; value: string }
  | { op: 'removexattr'; path: string; name: string }
  | { op: 'acl'; path: string; entries: readonly (readonly [string, number, number])[]; default?: boolean }
  | { op: 'sleep'; ms: number };

export interface WorkloadOptions {
  readonly seed: number;
  /** Whether names and symlink targets may be invalid UTF-8, which a stock secondary cannot take. */
  readonly names: 'utf8' | 'bytes';
  /** Whether user xattrs and ACLs are set, which only the rsync engine carries. */
  readonly attributes: 'all' | 'plain';
  /** Whether device nodes are made, whose numbers a stock secondary does not keep. Default 'none'. */
  readonly devices?: 'none' | 'all';
  /** Whether directories change places with others, go over empty ones and into their own descendants' places, and
   *  names are exchanged at once, for which a mount of GlusterFS has no call. Default 'plain'. */
  readonly moves?: 'plain' | 'all';
  /** Directory under the root in which everything happens; it is created by the first list. */
  readonly top: string;
}

type Node = { kind: 'dir'; entries: Map<string, Node> } | { kind: 'file' | 'symlink' | 'fifo' | 'device' };
interface Place {
  readonly path: string;
  readonly name: string;
  readonly parent: Map<string, Node>;
  readonly node: Node;
}

/** Relative frequency of each kind of step. */
const WEIGHTS: readonly (readonly [Step, number])[] = [
  ['create', 18],
  ['write', 8],
  ['append', 8],
  ['truncate', 4],
  ['sparse', 2],
  ['mkdir', 9],
  ['rmdir', 3],
  ['unlink', 8],
  ['rename', 9],
  ['renameOver', 5],
  ['moveDir', 5],
  ['link', 5],
  ['symlink', 4],
  ['mkfifo', 1],
  ['swap', 3],
  ['recreate', 5],
  ['chmod', 4],
  ['chown', 3],
  ['utimes', 3],
  ['setxattr', 3],
  ['acl', 2],
  ['mknod', 2],
];
/** With all moves. */
const MOVES: readonly (readonly [Step, number])[] = [
  ['swapAny', 3],
  ['exchange', 4],
  ['moveDirOver', 4],
  ['invert', 4],
  ['thereAndBack', 3],
];
type Step =
  | 'swapAny'
  | 'exchange'
  | 'moveDirOver'
  | 'invert'
  | 'thereAndBack'
  | 'create'
  | 'write'
  | 'append'
  | 'truncate'
  | 'sparse'
  | 'mkdir'
  | 'rmdir'
  | 'unlink'
  | 'rename'
  | 'renameOver'
  | 'moveDir'
  | 'link'
  | 'symlink'
  | 'mkfifo'
  | 'swap'
  | 'recreate'
  | 'chmod'
  | 'chown'
  | 'utimes'
  | 'setxattr'
  | 'acl'
  | 'mknod';

export class Workload {
  readonly #random: Random;
  readonly #options: WorkloadOptions;
  readonly #weights: typeof WEIGHTS;
  readonly #root = new Map<string, Node>();
  #started = false;
  #counter = 0;

  constructor(options: WorkloadOptions) {
    this.#random = new Random(options.seed);
    this.#options = options;
    this.#weights = options.moves === 'all' ? [...WEIGHTS, ...MOVES] : WEIGHTS;
  }

  /** The next `count` operations, and what the last of them needs more, continuing from the tree that the lists before left. */
  next(count: number): Operation[] {
    const out: Operation[] = [];
    if (!this.#started) {
      this.#started = true;
      out.push({ op: 'mkdir', path: this.#options.top });
    }
    while (out.length < count) {
      const done = this.#step(this.#chooseStep());
      if (done !== undefined) out.push(...(Array.isArray(done) ? done : [done]));
    }
    return out;
  }

  #chooseStep(): Step {
    let at = this.#random.int(this.#weights.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [step, weight] of this.#weights) {
      if (at < weight) return step;
      at -= weight;
    }
    return 'create';
  }

  #step(step: Step): Operation | Operation[] | undefined {
    const random = this.#random;
    switch (step) {
      case 'create': {
        const at = this.#freshPlace('file');
        const mode = random.int(4) === 0 ? random.pick([0o600, 0o444, 0o755, 0o4755, 0o666]) : undefined;
        return { op: 'create', path: at, ...this.#data(random.pick([0, 1, 100, 4096, 70_000])), ...(mode && { mode }) };
      }
      case 'write':
        return this.#onPlace('file', (p) => ({
          op: 'write',
          path: p.path,
          offset: random.int(9000),
          ...this.#data(500),
        }));
      case 'append':
        return this.#onPlace('file', (p) => ({
          op: 'append',
          path: p.path,
          ...this.#data(random.pick([1, 300, 5000])),
        }));
      case 'truncate':
        return this.#onPlace('file', (p) => ({
          op: 'truncate',
          path: p.path,
          size: random.pick([0, 10, 3000, 20_000]),
        }));
      case 'sparse':
        return {
          op: 'sparse',
          path: this.#freshPlace('file'),
          offset: 1 + random.int(500_000),
          length: 1_000_000,
          ...this.#data(64),
        };
      case 'mkdir':
        return { op: 'mkdir', path: this.#freshPlace('dir'), mode: random.pick([0o755, 0o700, 0o2775, 0o1777]) };
      case 'rmdir':
        return this.#onPlace('empty', (p) => {
          p.parent.delete(p.name);
          return { op: 'rmdir', path: p.path };
        });
      case 'unlink':
        return this.#onPlace('leaf', (p) => {
          p.parent.delete(p.name);
          return { op: 'unlink', path: p.path };
        });
      case 'rename':
        return this.#onPlace('leaf', (p) => this.#moveTo(p, this.#pickDir()));
      case 'renameOver':
        return this.#onPlace('leaf', (p) => this.#renameOver(p));
      case 'moveDir':
        return this.#onPlace('dir', (p) => {
          const into = this.#pickDir();
          return isInside(into, p) ? undefined : this.#moveTo(p, into);
        });
      case 'link':
        return this.#onPlace('file', (p) => {
          const into = this.#pickDir();
          const name = this.#freshName(into.entries);
          into.entries.set(name, p.node);
          return { op: 'link', path: p.path, to: `${into.path}/${name}` };
        });
      case 'symlink':
        return { op: 'symlink', path: this.#freshPlace('symlink'), target: this.#target() };
      case 'mkfifo':
        return { op: 'mkfifo', path: this.#freshPlace('fifo') };
      case 'mknod':
        if (this.#options.devices !== 'all') return undefined;
        return {
          op: 'mknod',
          path: this.#freshPlace('device'),
          major: random.pick([1, 7, 300]),
          minor: random.pick([0, 3, 255, 70_000]),
          block: random.int(2) === 0,
        };
      case 'swap':
        return this.#onPlace('leaf', (a) =>
          this.#onPlace('leaf', (b) => {
            if (a.path === b.path) return undefined;
            a.parent.set(a.name, b.node);
            b.parent.set(b.name, a.node);
            return { op: 'swap', path: a.path, to: b.path };
          }),
        );
      case 'swapAny':
      case 'exchange':
        return this.#onPlace('dir', (a) =>
          this.#onPlace(random.pick(['dir', 'any']), (b) => {
            if (isInside(a, b) || isInside(b, a)) return undefined;
            a.parent.set(a.name, b.node);
            b.parent.set(b.name, a.node);
            return { op: step === 'exchange' ? 'exchange' : 'swap', path: a.path, to: b.path };
          }),
        );
      case 'moveDirOver':
        return this.#onPlace('dir', (from) =>
          this.#onPlace('empty', (over) => (isInside(over, from) ? undefined : this.#takePlace(from, over))),
        );
      case 'invert':
        // Moves a directory above its parent, and the parent into it.
        return this.#onPlace('dir', (below) => {
          const above = this.#places().find(({ node }) => node.kind === 'dir' && node.entries === below.parent);
          if (above === undefined || below.node.kind !== 'dir') return undefined;
          const out = this.#moveTo(below, { path: parentOf(above.path), entries: above.parent });
          return [out, this.#moveTo(above, { path: out.to, entries: below.node.entries })];
        });
      case 'thereAndBack':
        return this.#onPlace('dir', (moved) =>
          this.#onPlace('dir', (into) => {
            if (isInside(into, moved) || into.node.kind !== 'dir') return undefined;
            const to = `${into.path}/${this.#freshName(into.node.entries)}`;
            return [
              { op: 'rename', path: moved.path, to },
              { op: 'rename', path: to, to: moved.path },
            ];
          }),
        );
      case 'recreate':
        return this.#onPlace('any', (p) => {
          const as = random.pick(['file', 'dir', 'symlink', 'fifo'] as const);
          p.parent.set(p.name, as === 'dir' ? { kind: 'dir', entries: new Map() } : { kind: as });
          return {
            op: 'recreate',
            path: p.path,
            as,
            ...this.#data(random.pick([0, 200, 9000])),
            target: this.#target(),
          };
        });
      case 'chmod':
        return this.#onPlace('plain', (p) => ({
          op: 'chmod',
          path: p.path,
          mode: random.pick(p.node.kind === 'dir' ? [0o755, 0o711, 0o2770, 0o1777] : [0o600, 0o640, 0o444, 0o6755]),
        }));
      case 'chown':
        return this.#onPlace('any', (p) => ({
          op: 'chown',
          path: p.path,
          uid: random.pick([0, 1, 1000, 65534]),
          gid: random.pick([0, 100, 1000]),
        }));
      case 'utimes':
        return this.#onPlace('file', (p) => ({
          op: 'utimes',
          path: p.path,
          mtimeNs: (1_000_000_000 + random.int(600_000_000)) * 1e9,
        }));
      case 'setxattr':
        return this.#attributeStep();
      case 'acl':
        if (this.#options.attributes === 'plain') return undefined;
        return this.#onPlace('plain', (p) => ({
          op: 'acl',
          path: p.path,
          entries: this.#acl(),
          ...(p.node.kind === 'dir' && random.int(2) === 0 && { default: true }),
        }));
    }
  }

  #attributeStep(): Operation | undefined {
    if (this.#options.attributes === 'plain') return undefined;
    const name = `user.${this.#random.pick(['a', 'comment', 'ünï'])}`;
    return this.#onPlace('plain', (p) =>
      this.#random.int(5) === 0
        ? { op: 'removexattr', path: p.path, name }
        : { op: 'setxattr', path: p.path, name, value: 'v'.repeat(this.#random.int(60)) + String(this.#counter++) },
    );
  }

  #renameOver(from: Place): Operation | undefined {
    return this.#onPlace('leaf', (over) => {
      // rename(2) does nothing between two names of one inode; the model would drop a name that stays.
      return over.node === from.node ? undefined : this.#takePlace(from, over);
    });
  }

  #takePlace(from: Place, over: Place): Operation {
    from.parent.delete(from.name);
    over.parent.set(over.name, from.node);
    return { op: 'rename', path: from.path, to: over.path };
  }

  #moveTo(from: Place, into: { path: string; entries: Map<string, Node> }): Operation & { to: string } {
    const name = this.#freshName(into.entries);
    from.parent.delete(from.name);
    into.entries.set(name, from.node);
    return { op: 'rename', path: from.path, to: `${into.path}/${name}` };
  }

  #acl(): [string, number, number][] {
    const random = this.#random;
    return [
      ['user_obj', 7, -1],
      ['user', random.int(8), random.pick([1000, 1001])],
      ['group_obj', random.int(8), -1],
      ['mask', 7, -1],
      ['other', random.int(8), -1],
    ];
  }

  #data(size: number): { size: number; seed: number } {
    return { size, seed: this.#random.int(1_000_000) };
  }

  #pickDir(): { path: string; entries: Map<string, Node> } {
    const dirs: { path: string; entries: Map<string, Node> }[] = [{ path: this.#options.top, entries: this.#root }];
    for (const place of this.#places()) {
      if (place.node.kind === 'dir' && place.path.length < 600)
        dirs.push({ path: place.path, entries: place.node.entries });
    }
    return this.#random.pick(dirs);
  }

  #freshPlace(kind: Node['kind']): string {
    const into = this.#pickDir();
    const name = this.#freshName(into.entries);
    into.entries.set(name, kind === 'dir' ? { kind, entries: new Map() } : { kind });
    return `${into.path}/${name}`;
  }

  #onPlace<R>(
    which: 'any' | 'file' | 'dir' | 'empty' | 'leaf' | 'plain',
    act: (place: Place) => R | undefined,
  ): R | undefined {
    const fits = this.#places().filter(({ node }) => {
      switch (which) {
        case 'any':
          return true;
        case 'leaf':
          return node.kind !== 'dir';
        case 'plain':
          return node.kind === 'dir' || node.kind === 'file';
        case 'empty':
          return node.kind === 'dir' && node.entries.size === 0;
        case 'file':
        case 'dir':
          return node.kind === which;
      }
    });
    return fits.length === 0 ? undefined : act(this.#random.pick(fits));
  }

  #places(): Place[] {
    const out: Place[] = [];
    const walk = (path: string, entries: Map<string, Node>): void => {
      for (const [name, node] of entries) {
        const place = { path: `${path}/${name}`, name, parent: entries, node };
        out.push(place);
        if (node.kind === 'dir') walk(place.path, node.entries);
      }
    };
    walk(this.#options.top, this.#root);
    return out;
  }

  #target(): string {
    const targets = ['nowhere', '../x', '/etc/passwd', 'a b\nc', 'ä%20', 't'.repeat(250)];
    if (this.#options.names === 'bytes') targets.push('bad\uDCFF');
    return this.#random.pick(targets);
  }

  /** A name that `entries` does not have; freed names come back often, which is where replication gets hard. */
  #freshName(entries: Map<string, Node>): string {
    const random = this.#random;
    for (;;) {
      const n = random.int(40);
      const kinds = [
        `f${n}`,
        `f${n}`,
        `f${n}`,
        `a b ${n}`,
        `per%cent%20${n}`,
        `line\n${n}`,
        `ünï-文字-${n}`,
        `-dash ${n}`,
        ` lead${n}`,
        `*?[${n}]\\`,
      ];
      if (random.int(12) === 0) kinds.push('L'.repeat(252) + String(n % 10).padStart(3, '0'));
      if (this.#options.names === 'bytes') kinds.push(`raw\uDCFF\uDC80${n}`);
      const name = random.pick(kinds);
      if (!entries.has(name)) return name;
      if (entries.size > 100) return `n${this.#counter++}`;
    }
  }
}

/** Whether `path` is `dir` or below it. */
function isInside({ path }: Pick<Place, 'path'>, dir: Place): boolean {
  return `${path}/`.startsWith(`${dir.path}/`);
}

function parentOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
