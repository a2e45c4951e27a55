// Does one namespace operation on the volume, as the stock secondary does: what is already as it should be is success, what is
// in the way is a failure that says what it is, so that the primary can resolve the conflict. Invariant: an operation never
// touches an entry whose gfid is not the operation's own. What is better than stock: nodes get their device numbers, hard
// links of other types than files and symlinks are made, and no errno of one entry ends a call.

import { constants } from 'node:os';
import type { Log } from '../log.js';
import { errnoText } from '../native/libc.js';
import { failure, type Entry, type Failure, type Found } from './entry.js';
import { attempt, gfidOrNull, statOrNull } from './lookup.js';
import { removeDirectory } from './remove.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EBUSY, EEXIST, EINVAL, EISDIR, ENODATA, ENOENT, ENOTEMPTY, ESTALE } = constants.errno;
const S_IFMT = 0o170000;
const S_IFDIR = 0o040000;
const S_IFLNK = 0o120000;

export interface EntryContext {
  readonly volume: SecondaryVolume;
  /** Subvolumes of the primary: with several, a name in the way may be another worker's doing. */
  readonly distributionCount: number;
  readonly log: Log;
}

/**
 * @returns failures, usually none. @throws errors of the volume that no operation is to blame for, too
 * @param known what is to be found under the operation's gfid, when somebody has looked
 */
export async function applyEntry(context: EntryContext, entry: Entry, known?: Promise<VolumeStat | null>): Promise<Failure[]> {
  const work = new EntryWork(context, entry, known);
  await work.apply();
  return work.failures;
}

class EntryWork {
  readonly failures: Failure[] = [];
  readonly #volume: SecondaryVolume;
  readonly #context: EntryContext;
  readonly #e: Entry;
  readonly #known: Promise<VolumeStat | null> | undefined;

  constructor(context: EntryContext, entry: Entry, known: Promise<VolumeStat | null> | undefined) {
    this.#known = known;
    this.#context = context;
    this.#volume = context.volume;
    this.#e = entry;
  }

  async apply(): Promise<void> {
    switch (this.#e.op) {
      case 'UNLINK':
      case 'RMDIR':
        return this.#remove();
      case 'CREATE':
      case 'MKNOD':
        return this.#createNode();
      case 'MKDIR':
        return this.#makeDirectory();
      case 'LINK':
        return this.#link();
      case 'SYMLINK':
        return this.#symlink();
      case 'RENAME':
        return this.#rename();
    }
  }

  async #remove(): Promise<void> {
    const { op, entry, gfid, inode } = this.#e;
    const volume = this.#volume;
    const holder = await gfidOrNull(volume, entry);
    if (holder === null) return;
    if (holder !== gfid) return (await statOrNull(volume, inode)) === null ? undefined : this.#fail(EEXIST);
    if (op === 'UNLINK') {
      // A directory is left alone: only a primary that clears a conflict asks for that.
      await attempt(() => volume.unlink(entry), [ENOENT, ESTALE, EISDIR], [EBUSY]);
      return;
    }
    const errno = await attempt(() => volume.rmdir(entry), [ENOENT, ESTALE, ENOTEMPTY], [EBUSY]);
    if (errno !== ENOTEMPTY) return;
    const known = [ENOTEMPTY, ESTALE, ENODATA];
    const left = await this.#orErrno(() => removeDirectory(volume, gfid, entry), known);
    if (left === null) return;
    this.#context.log.warn('Recursive remove failed', { gfid, entry, error: errnoText(left) });
    // Stock leaves it at that.
    this.#push(left, {});
  }

  async #createNode(): Promise<void> {
    const { op, entry, mode, uid, gid } = this.#e;
    if ((await this.#inode()) === null) return this.#newNode({ mode, uid, gid });
    // A hard link that self-heal made is recorded as MKNOD.
    if (op === 'MKNOD') await this.#linkTo(entry);
  }

  async #makeDirectory(): Promise<void> {
    const { entry, gfid, parent, name, mode, uid, gid } = this.#e;
    const volume = this.#volume;
    const make = (): Promise<void> => this.#create(() => volume.createDirectory(parent, name, { gfid, mode, uid, gid }));
    if ((await this.#inode()) === null) return make();
    if (await this.#holds(entry)) return;
    // It was renamed on the primary, and a crawl that knows only the new name reports it as new.
    this.#context.log.info('Special case: rename on mkdir', { gfid, entry });
    const place = await volume.directoryEntry(gfid);
    // A mount may show a removed directory for a second: the bricks know better.
    if (place === null) return make();
    if (place !== entry) this.#push(EEXIST, { nameMismatch: true, isDirectory: true, gfid, place });
  }

  async #link(): Promise<void> {
    const { entry, name, parent, stat } = this.#e;
    if ((await this.#inode()) !== null) return this.#linkTo(entry);
    if (stat === null) return this.#fail(ENOENT);
    await this.#linkOrMake({ path: entry, parent, name });
  }

  async #symlink(): Promise<void> {
    const { entry, gfid } = this.#e;
    if ((await statOrNull(this.#volume, entry)) === null) return this.#newSymlink(this.#e);
    if ((await gfidOrNull(this.#volume, entry)) !== gfid) await this.#fail(EEXIST);
  }

  async #rename(): Promise<void> {
    const { entry, gfid, to } = this.#e;
    if (to === null) return this.#fail(EINVAL);
    const volume = this.#volume;
    if (!(await this.#holds(entry))) return this.#renameWithoutSource(to);
    const [from, at] = [await statOrNull(volume, entry), await statOrNull(volume, to.path)];
    if (at === null || from === null) return this.#move(to.path);
    if (from.ino === at.ino) return this.#dropSource();
    if ((await gfidOrNull(volume, to.path)) !== gfid && this.#context.distributionCount > 1) return this.#fail(EEXIST, true);
    await this.#move(to.path);
  }

  /** The old name is not there: what is to be at the new one is made there, as far as it is known. */
  async #renameWithoutSource(to: NonNullable<Entry['to']>): Promise<void> {
    const { gfid, stat, link } = this.#e;
    const volume = this.#volume;
    if (stat === null || (stat.mode & S_IFMT) === S_IFDIR) return;
    if ((stat.mode & S_IFMT) !== S_IFLNK) return this.#linkOrMake(to);
    // Without its target it cannot be made; then a later operation says what became of it.
    if (link === null) return;
    if ((await statOrNull(volume, to.path)) === null) return this.#newSymlink(to);
    if ((await gfidOrNull(volume, to.path)) !== gfid) await this.#fail(EEXIST, true);
  }

  async #move(to: string): Promise<void> {
    const { entry, gfid } = this.#e;
    if (!(await this.#holds(entry))) {
      this.#context.log.error('RENAME ignored: source entry does not match with on-disk gfid', { source: entry, gfid, target: to });
      return this.#fail(EEXIST);
    }
    const errno = await attempt(() => this.#volume.rename(entry, to), [ENOENT, EEXIST], [ESTALE, EBUSY]);
    // When two renames of the same names meet on a distributed volume, only the first half of one may be done: a link.
    if (errno === EEXIST && (await gfidOrNull(this.#volume, to)) === gfid) return this.#dropSource();
    return this.#report(errno);
  }

  /** Both names are the same inode already. */
  async #dropSource(): Promise<void> {
    const { entry, entry1 } = this.#e;
    const volume = this.#volume;
    if ((await attempt(() => volume.unlink(entry), [ENOENT, ESTALE, EISDIR], [EBUSY])) !== EISDIR) return;
    if ((await attempt(() => volume.rmdir(entry), [ENOENT, ESTALE, ENOTEMPTY], [EBUSY])) !== ENOTEMPTY) return;
    this.#context.log.error('Directory Rename failed. Both Old and New directories exists', { old: entry, new: entry1 ?? '' });
  }

  async #linkTo(path: string): Promise<void> {
    const errno = await attempt(() => this.#volume.link(this.#e.inode, path), [ENOENT, EEXIST], [ESTALE]);
    // A brick that kept a mark of a name that is gone refuses to link it. Stock says nothing then.
    if (errno === EEXIST && (await gfidOrNull(this.#volume, path)) === null) return this.#push(errno, { dst: path !== this.#e.entry });
    if (errno !== null) await this.#failToMake(errno, path !== this.#e.entry);
  }

  /** A second inode of one gfid must not come about: its absence has to be sure. */
  async #linkOrMake(at: NonNullable<Entry['to']>): Promise<void> {
    if ((await statOrNull(this.#volume, this.#e.inode)) === null) return this.#newOf(at);
    return this.#linkTo(at.path);
  }

  /** An inode with the type and owner that the primary's has. */
  async #newOf(at: Pick<Entry, 'parent' | 'name'>): Promise<void> {
    const { stat } = this.#e;
    const type = (stat?.mode ?? 0) & S_IFMT;
    if (stat === null || type === S_IFDIR) return;
    if (type === S_IFLNK) return this.#newSymlink(at);
    await this.#newNode({ mode: stat.mode, uid: 0, gid: 0 }, at);
  }

  async #newNode(made: { mode: number; uid: number; gid: number }, at: Pick<Entry, 'parent' | 'name'> = this.#e): Promise<void> {
    const { gfid, rdev } = this.#e;
    await this.#create(() => this.#volume.createNode(at.parent, at.name, { gfid, rdev, ...made }), at);
  }

  async #newSymlink(at: Pick<Entry, 'parent' | 'name'>): Promise<void> {
    const { gfid, link, stat } = this.#e;
    if (link === null || stat === null) return this.#fail(EINVAL);
    await this.#create(() => this.#volume.createSymlink(at.parent, at.name, { gfid, mode: stat.mode, uid: 0, gid: 0, target: link }), at);
  }

  /** Makes an inode as root and gives it away afterwards: its owner may lack the right to make it there. */
  async #create(call: () => Promise<void>, at: unknown = this.#e): Promise<void> {
    const { stat, inode, to } = this.#e;
    const errno = await attempt(call, [EEXIST, ENOENT, ESTALE], [ESTALE, EINVAL, EBUSY]);
    if (errno !== null) await this.#failToMake(errno, at === to);
    if (stat === null || (stat.uid === 0 && stat.gid === 0)) return;
    await this.#report(await attempt(() => this.#volume.chown(inode, stat.uid, stat.gid), [ENOENT], [ESTALE, EINVAL]));
  }

  /** The inode of the operation's gfid, before the operation. */
  #inode(): Promise<VolumeStat | null> {
    return this.#known ?? statOrNull(this.#volume, this.#e.inode);
  }

  async #holds(path: string): Promise<boolean> {
    return (await gfidOrNull(this.#volume, path)) === this.#e.gfid;
  }

  async #report(errno: number | null): Promise<void> {
    if (errno !== null) await this.#fail(errno);
  }

  /** Stock looks only at the old name of a rename for what is in the way of the new one, and often says nothing then. */
  async #failToMake(errno: number, isNewName: boolean): Promise<void> {
    if (errno === EEXIST && isNewName) await this.#fail(errno, true);
    if (this.failures.length === 0) await this.#fail(errno);
  }

  /** A name in the way is a failure only when it holds another inode, and then it says which. */
  async #fail(errno: number, dst = false): Promise<void> {
    if (errno !== EEXIST && errno !== ESTALE) return this.#push(errno, { dst });
    const { entry, entry1, gfid } = this.#e;
    const at = dst ? (entry1 ?? entry) : entry;
    const holder = await gfidOrNull(this.#volume, at);
    if (holder === null || holder === gfid) return;
    const st = await statOrNull(this.#volume, at);
    const isDirectory = st !== null && (st.mode & S_IFMT) === S_IFDIR;
    const place = isDirectory ? await this.#volume.directoryEntry(holder) : null;
    this.#push(errno, { gfidMismatch: true, dst, isDirectory, gfid: holder, place });
  }

  #push(errno: number, found: Found): void {
    this.failures.push(failure(this.#e.dict, this.#e.index, errno, found));
  }

  async #orErrno(call: () => Promise<void>, errnos: readonly number[]): Promise<number | null> {
    return attempt(call, errnos);
  }
}
