// Applies one entry operation to the volume, as the stock secondary does. If the result already exists, that is success. If
// another entry is in the way, the failure describes it, so that the primary can resolve the conflict. Invariant: an
// operation never touches an entry with another gfid than its own. Improvements on stock: device nodes get their numbers,
// hard links of special files are made, and an errno of one entry never ends a call.

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
  /** Number of subvolumes of the primary. If there are several, another worker may have made a name that is in the way. */
  readonly distributionCount: number;
  readonly log: Log;
}

/**
 * @returns failures, usually none
 * @param known result of an earlier lookup of the inode with the gfid of the operation
 * @throws errors of the volume, including those that this operation did not cause
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
      // UNLINK of a directory succeeds without removing it: only a primary that resolves a conflict sends that.
      await attempt(() => volume.unlink(entry), [ENOENT, ESTALE, EISDIR], [EBUSY]);
      return;
    }
    const errno = await attempt(() => volume.rmdir(entry), [ENOENT, ESTALE, ENOTEMPTY], [EBUSY]);
    if (errno !== ENOTEMPTY) return;
    const known = [ENOTEMPTY, ESTALE, ENODATA];
    const left = await this.#orErrno(() => removeDirectory(volume, gfid, entry), known);
    if (left === null) return;
    this.#context.log.warn('Recursive remove failed', { gfid, entry, error: errnoText(left) });
    // Stock only logs this, and reports no failure.
    this.#push(left, {});
  }

  async #createNode(): Promise<void> {
    const { op, entry, mode, uid, gid } = this.#e;
    if ((await this.#inode()) === null) return this.#newNode({ mode, uid, gid });
    // A brick records a hard link that self-heal makes as MKNOD.
    if (op === 'MKNOD') await this.#linkTo(entry);
  }

  async #makeDirectory(): Promise<void> {
    const { entry, gfid, parent, name, mode, uid, gid } = this.#e;
    const volume = this.#volume;
    const make = (): Promise<void> => this.#create(() => volume.createDirectory(parent, name, { gfid, mode, uid, gid }));
    if ((await this.#inode()) === null) return make();
    if (await this.#holds(entry)) return;
    // The directory was renamed on the primary, and a crawl that knows only the new name reports it as new.
    this.#context.log.info('Special case: rename on mkdir', { gfid, entry });
    const place = await volume.directoryEntry(gfid);
    // A mount may show a removed directory for a second. The bricks have no path of it, so it is gone.
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

  /** The old name does not exist: links or creates the inode at the new name, if the operation has enough attributes. */
  async #renameWithoutSource(to: NonNullable<Entry['to']>): Promise<void> {
    const { gfid, stat, link } = this.#e;
    const volume = this.#volume;
    if (stat === null || (stat.mode & S_IFMT) === S_IFDIR) return;
    if ((stat.mode & S_IFMT) !== S_IFLNK) return this.#linkOrMake(to);
    // A symlink cannot be created without its target. A later operation brings its later state.
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
    // If two renames of the same names race on a distributed volume, GlusterFS may do only the first half of one: the link.
    if (errno === EEXIST && (await gfidOrNull(this.#volume, to)) === gfid) return this.#dropSource();
    return this.#report(errno);
  }

  /** Removes the old name of a rename whose names are already the same inode. */
  async #dropSource(): Promise<void> {
    const { entry, entry1 } = this.#e;
    const volume = this.#volume;
    if ((await attempt(() => volume.unlink(entry), [ENOENT, ESTALE, EISDIR], [EBUSY])) !== EISDIR) return;
    if ((await attempt(() => volume.rmdir(entry), [ENOENT, ESTALE, ENOTEMPTY], [EBUSY])) !== ENOTEMPTY) return;
    this.#context.log.error('Directory Rename failed. Both Old and New directories exists', { old: entry, new: entry1 ?? '' });
  }

  async #linkTo(path: string): Promise<void> {
    const errno = await attempt(() => this.#volume.link(this.#e.inode, path), [ENOENT, EEXIST], [ESTALE]);
    // A brick that kept the gfid2path xattr of a removed name refuses to link it. Stock reports nothing then.
    if (errno === EEXIST && (await gfidOrNull(this.#volume, path)) === null) return this.#push(errno, { dst: path !== this.#e.entry });
    if (errno !== null) await this.#failToMake(errno, path !== this.#e.entry);
  }

  /** Creates an inode only if it is certainly absent: two inodes must never have the same gfid. */
  async #linkOrMake(at: NonNullable<Entry['to']>): Promise<void> {
    if ((await statOrNull(this.#volume, this.#e.inode)) === null) return this.#newOf(at);
    return this.#linkTo(at.path);
  }

  /** Creates an inode with the type and owner that it has on the primary. Does nothing for directories. */
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

  /** Creates an inode, then changes its owner: the final owner may not be allowed to create it there. */
  async #create(call: () => Promise<void>, at: unknown = this.#e): Promise<void> {
    const { stat, inode, to } = this.#e;
    const errno = await attempt(call, [EEXIST, ENOENT, ESTALE], [ESTALE, EINVAL, EBUSY]);
    if (errno !== null) await this.#failToMake(errno, at === to);
    if (stat === null || (stat.uid === 0 && stat.gid === 0)) return;
    await this.#report(await attempt(() => this.#volume.chown(inode, stat.uid, stat.gid), [ENOENT], [ESTALE, EINVAL]));
  }

  /** Attributes of the inode with the operation's gfid, before the operation. */
  #inode(): Promise<VolumeStat | null> {
    return this.#known ?? statOrNull(this.#volume, this.#e.inode);
  }

  async #holds(path: string): Promise<boolean> {
    return (await gfidOrNull(this.#volume, path)) === this.#e.gfid;
  }

  async #report(errno: number | null): Promise<void> {
    if (errno !== null) await this.#fail(errno);
  }

  /** If the new name of a rename is taken, stock checks only the old name, and so often reports nothing. */
  async #failToMake(errno: number, isNewName: boolean): Promise<void> {
    if (errno === EEXIST && isNewName) await this.#fail(errno, true);
    if (this.failures.length === 0) await this.#fail(errno);
  }

  /** A taken name is a failure only if it has another inode. The failure then describes that inode. */
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
