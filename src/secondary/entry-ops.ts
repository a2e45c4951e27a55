// Applies one entry operation to the volume, as the stock secondary does. If the result already exists, that is success. If
// another entry is in the way, the failure describes it, so that the primary can resolve the conflict. Invariant: an
// operation never touches an entry with another gfid than its own. Improvements on stock: device nodes get their numbers,
// hard links of special files are made, and an errno of one entry never ends a call.

import { constants } from 'node:os';
import type { Log } from '../log.js';
import { errnoText } from '../native/libc.js';
import { makeFailure, type ParsedEntryOp, type IndexedFailure, type FailureDetails } from './entry.js';
import { attempt, gfidOrNull, statOrNull } from './lookup.js';
import { S_IFDIR, S_IFLNK, S_IFMT } from '../protocol/view.js';
import { removeDirectory } from './remove.js';
import type { SecondaryVolume, VolumeStat } from './volume.js';

const { EBUSY, EEXIST, EINVAL, EISDIR, ENODATA, ENOENT, ENOTEMPTY, ESTALE } = constants.errno;

export interface EntryContext {
  readonly volume: SecondaryVolume;
  /** Number of subvolumes of the primary. If there are several, another worker may have made a name that is in the way. */
  readonly distributionCount: number;
  readonly log: Log;
}

/**
 * @returns failures, usually none
 * @param earlierStat result of an earlier lookup of the inode with the gfid of the operation
 * @throws errors of the volume, including those that this operation did not cause
 */
export async function applyEntryOp(
  context: EntryContext,
  entry: ParsedEntryOp,
  earlierStat?: Promise<VolumeStat | null>,
): Promise<IndexedFailure[]> {
  const operation = new EntryOperation(context, entry, earlierStat);
  await operation.apply();
  return operation.failures;
}

class EntryOperation {
  readonly failures: IndexedFailure[] = [];
  readonly #volume: SecondaryVolume;
  readonly #context: EntryContext;
  readonly #op: ParsedEntryOp;
  readonly #earlierStat: Promise<VolumeStat | null> | undefined;

  constructor(context: EntryContext, entry: ParsedEntryOp, earlierStat: Promise<VolumeStat | null> | undefined) {
    this.#earlierStat = earlierStat;
    this.#context = context;
    this.#volume = context.volume;
    this.#op = entry;
  }

  async apply(): Promise<void> {
    switch (this.#op.op) {
      case 'UNLINK':
      case 'RMDIR':
        return this.#applyRemoval();
      case 'CREATE':
      case 'MKNOD':
        return this.#applyNode();
      case 'MKDIR':
        return this.#applyMkdir();
      case 'LINK':
        return this.#applyLink();
      case 'SYMLINK':
        return this.#applySymlink();
      case 'RENAME':
        return this.#applyRename();
    }
  }

  async #applyRemoval(): Promise<void> {
    const { op, entry, gfid, inode } = this.#op;
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
    const removalErrno = await attempt(() => removeDirectory(volume, gfid, entry), [ENOTEMPTY, ESTALE, ENODATA]);
    if (removalErrno === null) return;
    this.#context.log.warn('Recursive remove failed', { gfid, entry, error: errnoText(removalErrno) });
    // Stock only logs this, and reports no failure.
    this.#addFailure(removalErrno);
  }

  async #applyNode(): Promise<void> {
    const { op, entry, mode, uid, gid } = this.#op;
    if ((await this.#statInode()) === null) return this.#createNode({ mode, uid, gid });
    // A brick records a hard link that self-heal makes as MKNOD.
    if (op === 'MKNOD') await this.#linkTo(entry);
  }

  async #applyMkdir(): Promise<void> {
    const { entry, gfid, parent, name, mode, uid, gid } = this.#op;
    const volume = this.#volume;
    const make = (): Promise<void> =>
      this.#createInode(() => volume.createDirectory(parent, name, { gfid, mode, uid, gid }));
    if ((await this.#statInode()) === null) return make();
    if (await this.#isOwnInodeAt(entry)) return;
    // The directory was renamed on the primary, and a crawl that knows only the new name reports it as new.
    this.#context.log.info('Special case: rename on mkdir', { gfid, entry });
    const place = await volume.directoryEntry(gfid);
    // A mount may show a removed directory for a second. The bricks have no path of it, so it is gone.
    if (place === null) return make();
    if (place !== entry) this.#addFailure(EEXIST, { nameMismatch: true, isDirectory: true, gfid, place });
  }

  async #applyLink(): Promise<void> {
    const { entry, name, parent, stat } = this.#op;
    if ((await this.#statInode()) !== null) return this.#linkTo(entry);
    if (stat === null) return this.#fail(ENOENT);
    await this.#linkOrCreate({ path: entry, parent, name });
  }

  async #applySymlink(): Promise<void> {
    const { entry, gfid } = this.#op;
    if ((await statOrNull(this.#volume, entry)) === null) return this.#createSymlink(this.#op);
    if ((await gfidOrNull(this.#volume, entry)) !== gfid) await this.#fail(EEXIST);
  }

  async #applyRename(): Promise<void> {
    const { entry, gfid, to } = this.#op;
    if (to === null) return this.#fail(EINVAL);
    const volume = this.#volume;
    if (!(await this.#isOwnInodeAt(entry))) return this.#applyRenameWithoutSource(to);
    const [oldStat, newStat] = [await statOrNull(volume, entry), await statOrNull(volume, to.path)];
    if (newStat === null || oldStat === null) return this.#move(to.path);
    if (oldStat.ino === newStat.ino) return this.#removeOldName();
    if ((await gfidOrNull(volume, to.path)) !== gfid && this.#context.distributionCount > 1)
      return this.#fail(EEXIST, true);
    await this.#move(to.path);
  }

  /** The old name does not exist: links or creates the inode at the new name, if the operation has enough attributes. */
  async #applyRenameWithoutSource(to: NonNullable<ParsedEntryOp['to']>): Promise<void> {
    const { gfid, stat, link } = this.#op;
    const volume = this.#volume;
    if (stat === null || (stat.mode & S_IFMT) === S_IFDIR) return;
    if ((stat.mode & S_IFMT) !== S_IFLNK) return this.#linkOrCreate(to);
    // A symlink cannot be created without its target. A later operation brings its later state.
    if (link === null) return;
    if ((await statOrNull(volume, to.path)) === null) return this.#createSymlink(to);
    if ((await gfidOrNull(volume, to.path)) !== gfid) await this.#fail(EEXIST, true);
  }

  async #move(to: string): Promise<void> {
    const { entry, gfid } = this.#op;
    if (!(await this.#isOwnInodeAt(entry))) {
      this.#context.log.error('RENAME ignored: source entry does not match with on-disk gfid', {
        source: entry,
        gfid,
        target: to,
      });
      return this.#fail(EEXIST);
    }
    const errno = await attempt(() => this.#volume.rename(entry, to), [ENOENT, EEXIST], [ESTALE, EBUSY]);
    // If two renames of the same names race on a distributed volume, GlusterFS may do only the first half of one: the link.
    if (errno === EEXIST && (await gfidOrNull(this.#volume, to)) === gfid) return this.#removeOldName();
    return this.#failIfErrno(errno);
  }

  /** Removes the old name of a rename whose names are already the same inode. */
  async #removeOldName(): Promise<void> {
    const { entry, entry1 } = this.#op;
    const volume = this.#volume;
    if ((await attempt(() => volume.unlink(entry), [ENOENT, ESTALE, EISDIR], [EBUSY])) !== EISDIR) return;
    if ((await attempt(() => volume.rmdir(entry), [ENOENT, ESTALE, ENOTEMPTY], [EBUSY])) !== ENOTEMPTY) return;
    this.#context.log.error('Directory Rename failed. Both Old and New directories exists', {
      old: entry,
      new: entry1 ?? '',
    });
  }

  async #linkTo(path: string): Promise<void> {
    const errno = await attempt(() => this.#volume.link(this.#op.inode, path), [ENOENT, EEXIST], [ESTALE]);
    // A brick that kept the gfid2path xattr of a removed name refuses to link it. Stock reports nothing then.
    if (errno === EEXIST && (await gfidOrNull(this.#volume, path)) === null)
      return this.#addFailure(errno, { dst: path !== this.#op.entry });
    if (errno !== null) await this.#failToCreate(errno, path !== this.#op.entry);
  }

  /** Creates an inode only if it is certainly absent: two inodes must never have the same gfid. */
  async #linkOrCreate(target: NonNullable<ParsedEntryOp['to']>): Promise<void> {
    if ((await statOrNull(this.#volume, this.#op.inode)) === null) return this.#createFromStat(target);
    return this.#linkTo(target.path);
  }

  /** Creates an inode with the type and owner that it has on the primary. Does nothing for directories. */
  async #createFromStat(target: Pick<ParsedEntryOp, 'parent' | 'name'>): Promise<void> {
    const { stat } = this.#op;
    const type = (stat?.mode ?? 0) & S_IFMT;
    if (stat === null || type === S_IFDIR) return;
    if (type === S_IFLNK) return this.#createSymlink(target);
    await this.#createNode({ mode: stat.mode, uid: 0, gid: 0 }, target);
  }

  async #createNode(
    attributes: { mode: number; uid: number; gid: number },
    target: Pick<ParsedEntryOp, 'parent' | 'name'> = this.#op,
  ): Promise<void> {
    const { gfid, rdev } = this.#op;
    await this.#createInode(
      () => this.#volume.createNode(target.parent, target.name, { gfid, rdev, ...attributes }),
      target,
    );
  }

  async #createSymlink(target: Pick<ParsedEntryOp, 'parent' | 'name'>): Promise<void> {
    const { gfid, link, stat } = this.#op;
    if (link === null || stat === null) return this.#fail(EINVAL);
    await this.#createInode(
      () =>
        this.#volume.createSymlink(target.parent, target.name, { gfid, mode: stat.mode, uid: 0, gid: 0, target: link }),
      target,
    );
  }

  /** Creates an inode, then changes its owner: the final owner may not be allowed to create it there. */
  async #createInode(call: () => Promise<void>, target: unknown = this.#op): Promise<void> {
    const { stat, inode, to } = this.#op;
    const errno = await attempt(call, [EEXIST, ENOENT, ESTALE], [ESTALE, EINVAL, EBUSY]);
    if (errno !== null) await this.#failToCreate(errno, target === to);
    if (stat === null || (stat.uid === 0 && stat.gid === 0)) return;
    await this.#failIfErrno(
      await attempt(() => this.#volume.chown(inode, stat.uid, stat.gid), [ENOENT], [ESTALE, EINVAL]),
    );
  }

  /** Attributes of the inode with the operation's gfid, before the operation. */
  #statInode(): Promise<VolumeStat | null> {
    return this.#earlierStat ?? statOrNull(this.#volume, this.#op.inode);
  }

  async #isOwnInodeAt(path: string): Promise<boolean> {
    return (await gfidOrNull(this.#volume, path)) === this.#op.gfid;
  }

  async #failIfErrno(errno: number | null): Promise<void> {
    if (errno !== null) await this.#fail(errno);
  }

  /** If the new name of a rename is taken, stock checks only the old name, and so often reports nothing. */
  async #failToCreate(errno: number, isNewName: boolean): Promise<void> {
    if (errno === EEXIST && isNewName) await this.#fail(errno, true);
    if (this.failures.length === 0) await this.#fail(errno);
  }

  /** A taken name is a failure only if it has another inode. The failure then describes that inode. */
  async #fail(errno: number, isNewName = false): Promise<void> {
    if (errno !== EEXIST && errno !== ESTALE) return this.#addFailure(errno, { dst: isNewName });
    const { entry, entry1, gfid } = this.#op;
    const at = isNewName ? (entry1 ?? entry) : entry;
    const holder = await gfidOrNull(this.#volume, at);
    if (holder === null || holder === gfid) return;
    const stat = await statOrNull(this.#volume, at);
    const isDirectory = stat !== null && (stat.mode & S_IFMT) === S_IFDIR;
    const place = isDirectory ? await this.#volume.directoryEntry(holder) : null;
    this.#addFailure(errno, { gfidMismatch: true, dst: isNewName, isDirectory, gfid: holder, place });
  }

  #addFailure(errno: number, details?: FailureDetails): void {
    this.failures.push(makeFailure(this.#op.dict, this.#op.index, errno, details));
  }
}
