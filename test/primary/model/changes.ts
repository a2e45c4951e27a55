// Random changes to a model volume, as values that fast-check can shrink: each names its objects by position in the
// tree as it is when the change is made, so that every part of a sequence is a sequence. What the tree refuses
// (EEXIST, ENOTEMPTY, …) is passed over.

import { entryPath, type Gfid } from '../../../src/protocol/gfid.js';
import { S_IFDIR, S_IFLNK, S_IFREG } from '../../../src/protocol/view.js';
import { FsError, kindOf, type Inode, type ModelVolume } from './volume.js';
import { fc } from '../../seeds.js';

const S_IFIFO = 0o010000;

export type Change =
  | { do: 'create' | 'mkdir' | 'mkfifo'; at: number; name: string; mode: number }
  | { do: 'symlink'; at: number; name: string; target: string }
  | { do: 'remove'; what: number }
  | { do: 'rename' | 'link'; what: number; at: number; name: string }
  | { do: 'renameOver'; what: number; over: number }
  | { do: 'swap'; what: number; with: number }
  | { do: 'recreate'; what: number; as: 'file' | 'dir' | 'symlink'; target: string }
  | { do: 'write'; what: number; content: string }
  | { do: 'writeKeepingTime'; what: number; content: string }
  | { do: 'chmod'; what: number; mode: number }
  | { do: 'chown'; what: number; uid: number; gid: number }
  | { do: 'utime'; what: number; mtime: number }
  | { do: 'setxattr'; what: number; value: string }
  | { do: 'rollover' };

export const UTF8_NAMES: readonly string[] = ['a', 'b', 'c', 'd', 'ä', 'x y', '%', 'n\nl'];
export const BYTE_NAMES: readonly string[] = [...UTF8_NAMES, '\udcff', 'a\udce4', '\udcfe \n'];

export function changeArb(names: readonly string[] = UTF8_NAMES): fc.Arbitrary<Change> {
  const name = fc.constantFrom(...names);
  const at = fc.nat({ max: 20 });
  const what = fc.nat({ max: 60 });
  const mode = fc.constantFrom(0o755, 0o700, 0o644, 0o600, 0o1777);
  const content = fc.constantFrom('', 'x', 'y', 'xx', 'yy', 'zzz');
  return fc.oneof(
    { weight: 8, arbitrary: fc.record({ do: fc.constant('create' as const), at, name, mode }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant('mkdir' as const), at, name, mode }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('mkfifo' as const), at, name, mode }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('symlink' as const), at, name, target: name }) },
    { weight: 7, arbitrary: fc.record({ do: fc.constant('remove' as const), what }) },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('rename' as const), what, at, name }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('link' as const), what, at, name }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('renameOver' as const), what, over: what }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('swap' as const), what, with: what }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('recreate' as const),
        what,
        as: fc.constantFrom('file' as const, 'dir' as const, 'symlink' as const),
        target: name,
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('write' as const), what, content }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('writeKeepingTime' as const), what, content }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('chmod' as const), what, mode }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant('chown' as const),
        what,
        uid: fc.nat({ max: 2 }),
        gid: fc.nat({ max: 2 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('utime' as const), what, mtime: fc.nat({ max: 5 }) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('setxattr' as const), what, value: content }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('rollover' as const) }) },
  );
}

/** Makes changes on one volume, with gfids from a separate range. */
export class Changer {
  readonly #volume: ModelVolume;
  readonly #rollover: () => void;
  #nextGfid: number;

  constructor(volume: ModelVolume, firstGfid: number, rollover: () => void = () => undefined) {
    this.#volume = volume;
    this.#nextGfid = firstGfid;
    this.#rollover = rollover;
  }

  make(change: Change): void {
    try {
      this.#make(change);
    } catch (error) {
      if (!(error instanceof FsError)) throw error;
    }
  }

  #make(change: Change): void {
    const volume = this.#volume;
    switch (change.do) {
      case 'create':
        volume.create(
          this.#free(change.at, change.name),
          { gfid: this.#gfid(), mode: S_IFREG | change.mode },
          'CREATE',
        );
        return;
      case 'mkdir':
        volume.create(this.#free(change.at, change.name), { gfid: this.#gfid(), mode: S_IFDIR | change.mode }, 'MKDIR');
        return;
      case 'mkfifo':
        volume.create(this.#free(change.at, change.name), { gfid: this.#gfid(), mode: S_IFIFO | change.mode }, 'MKNOD');
        return;
      case 'symlink':
        volume.create(
          this.#free(change.at, change.name),
          { gfid: this.#gfid(), mode: S_IFLNK, target: change.target },
          'SYMLINK',
        );
        return;
      case 'remove':
        return this.#remove(this.#name(change.what));
      case 'rename':
        return volume.rename(this.#name(change.what), this.#free(change.at, change.name));
      case 'link':
        return volume.link(this.#name(change.what), this.#free(change.at, change.name));
      case 'renameOver':
        return volume.rename(this.#name(change.what), this.#name(change.over));
      case 'swap': {
        const [a, b] = [this.#name(change.what), this.#name(change.with)];
        const aside = this.#free(0, 'swapping');
        volume.rename(a, aside);
        try {
          volume.rename(b, a);
        } catch (error) {
          volume.rename(aside, a);
          throw error;
        }
        volume.rename(aside, b);
        return;
      }
      case 'recreate': {
        const path = this.#name(change.what);
        this.#remove(path);
        const type = { file: S_IFREG, dir: S_IFDIR, symlink: S_IFLNK }[change.as];
        const fop = { file: 'CREATE', dir: 'MKDIR', symlink: 'SYMLINK' } as const;
        volume.create(path, { gfid: this.#gfid(), mode: type | 0o755, target: change.target }, fop[change.as]);
        return;
      }
      case 'write':
        return volume.write(this.#name(change.what), change.content);
      case 'writeKeepingTime': {
        const path = this.#name(change.what);
        const { mtime } = volume.at(path);
        volume.write(path, change.content);
        return volume.setAttributes(path, { mtime });
      }
      case 'chmod':
        return volume.setAttributes(this.#name(change.what), { mode: change.mode });
      case 'chown':
        return volume.setAttributes(this.#name(change.what), { uid: change.uid, gid: change.gid });
      case 'utime':
        return volume.setAttributes(this.#name(change.what), { mtime: change.mtime });
      case 'setxattr': {
        const path = this.#name(change.what);
        const kind = kindOf(volume.at(path));
        if (kind === 'file' || kind === 'dir') volume.setXattr(path, change.value);
        return;
      }
      case 'rollover':
        return this.#rollover();
    }
  }

  #gfid(): Gfid {
    const n = (this.#nextGfid++).toString(16);
    return `${n.padStart(8, '0')}-0000-4000-8000-${n.padStart(12, '0')}` as Gfid;
  }

  #dirs(): Inode[] {
    return [...this.#volume.inodes.values()].filter((inode) => inode.entries !== null);
  }

  /** A name in one of the directories; the root comes up as often as all others together. */
  #free(at: number, name: string): string {
    const dirs = this.#dirs();
    const dir = at % 2 === 0 ? this.#volume.root : (dirs[(at >> 1) % dirs.length] ?? this.#volume.root);
    return entryPath(dir.gfid, name);
  }

  #name(what: number): string {
    const names = this.#dirs().flatMap((dir) =>
      [...(dir.entries?.keys() ?? [])].map((name) => entryPath(dir.gfid, name)),
    );
    const name = names[what % Math.max(1, names.length)];
    if (name === undefined) throw new FsError('ENOENT', 'the tree is empty');
    return name;
  }

  /** Removes a name, a directory with all it holds, as rm -r does. */
  #remove(path: string): void {
    const inode = this.#volume.at(path);
    if (inode.entries === null) return this.#volume.unlink(path);
    for (const name of [...inode.entries.keys()]) this.#remove(entryPath(inode.gfid, name));
    this.#volume.rmdir(path);
  }
}
