// Turns records and lookups into entry, meta and data operations. Pure: planNeeds() collects the lookups that a batch needs,
// the caller answers them concurrently and passes the answers in (PlanFacts). Port of process_change(), for changelog,
// history and xsync changelogs alike. Invariant: entry operations keep the order of the records. Each data gfid and each meta
// gfid is in a batch's plan once, however many changelogs name it.

import type { ChangeRecord } from '../../changelog/record.js';
import { entryPath, gfidPath, type Gfid } from '../../protocol/gfid.js';
import type { EntryOp, EntryOpName, OpStat } from '../../protocol/secondary.js';
import { fileKind, S_ISVTX, toOpStat, type ViewStat } from '../../protocol/view.js';

/** gfid of `.shard`, equal on every volume. If several reads of a hole create the same shard at once, GlusterFS 10 may record
 *  its removal with another gfid than its creation. The secondary then removes nothing. */
const SHARD_DIRECTORY_GFID = 'be318638-e8a0-4c6d-977d-7a937aa84806';

export interface PlanOptions {
  /** 'applied-before': the changelog's time is at or before entry_stime, so its entry operations were applied. */
  readonly entries: 'apply' | 'applied-before' | 'hot-tier';
  readonly deletes: 'apply' | 'ignore';
  /** Whether changed xattrs and ACLs are synced. */
  readonly xattrs: 'sync' | 'ignore';
  /** Whether an earlier worker may have applied some of these changes already, and was then interrupted. */
  readonly replay: 'possible' | 'impossible';
  /** Meaning of a data record. In a changelog the content was written. In a crawl's file the file is newer than the last
   *  sync, and the secondary may have it already. */
  readonly data: DataCause;
  /** Inodes that earlier batches created since the last rollover. */
  readonly created?: ReadonlySet<Gfid>;
}

/** Gfids to look up for one batch. */
export interface PlanNeeds {
  readonly stats: Set<Gfid>;
  /** Gfids that were created. No record has the xattrs that they inherited. */
  readonly created: Set<Gfid>;
}

/** Answers to the lookups: each gfid's attributes now (null: gone), and the targets of symlinks. */
export interface PlanFacts {
  readonly stats: ReadonlyMap<Gfid, ViewStat | null>;
  readonly symlinkTargets: ReadonlyMap<Gfid, string | null>;
  /** Gfids whose lookup fails on the primary, with the reason. They have no stat. */
  readonly lookupErrors: ReadonlyMap<Gfid, string>;
  /** Created gfids that have user xattrs or an ACL. */
  readonly createdWithXattrs: ReadonlySet<Gfid>;
}

/** Why a file is in the plan: its content was written, a crawl found it changed, or a rename or link may have created it. In
 *  the last two cases equal size and time mean equal content. */
export type DataCause = 'written' | 'walked' | 'linked';

/** Log line of the planning. */
export interface PlanNote {
  readonly level: 'debug' | 'info' | 'warn';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Plan {
  readonly entries: EntryOp[];
  /** Attributes to set; null: read them when they are applied. */
  readonly metaGfids: Map<Gfid, OpStat | null>;
  readonly dataGfids: Map<Gfid, DataCause>;
  /** Gfids whose xattrs and ACLs must be sent after the data. */
  readonly xattrGfids: Set<Gfid>;
  /** Gfids whose data transfer also sends the xattrs and ACLs, since none was removed. */
  readonly xattrsWithData: Set<Gfid>;
  /** Files whose content the secondary cannot have: they were created in this batch, or this is a first sync. */
  readonly newGfids: Set<Gfid>;
  /** Names whose operations could not be planned exactly. They are compared after the entry operations. */
  readonly namesToCompare: Set<string>;
  /** Gfids whose lookup failed, with the reason. A later lookup decides whether their content or attributes must be sent. */
  readonly lookupErrors: Map<Gfid, string>;
  readonly counts: Map<string, number>;
  readonly notes: PlanNote[];
}

const CREATES: ReadonlySet<string> = new Set(['CREATE', 'MKNOD', 'MKDIR']);
const REMOVES: ReadonlySet<string> = new Set(['UNLINK', 'RMDIR']);
const XATTR_FOPS: ReadonlySet<string> = new Set(['SETXATTR', 'FSETXATTR', 'REMOVEXATTR', 'FREMOVEXATTR']);
/** The changelog xlator records these only when they change the size of a sharded file (xlators/features/changelog, 10 to
 *  devel). */
const SHARD_SIZE_FOPS: ReadonlySet<string> = new Set(['XATTROP', 'FXATTROP']);

/** Whether an operation removes the name that its record begins with. */
export function isNameRemoval(fop: string): boolean {
  return fop === 'RENAME' || REMOVES.has(fop);
}

/** Gfids that must be looked up before planRecords() can plan these records.
 *  @param earlier inodes that earlier batches created since the last rollover */
export function planNeeds(records: Iterable<ChangeRecord>, earlier?: ReadonlySet<Gfid>): PlanNeeds {
  const stats = new Set<Gfid>();
  const created = new Set<Gfid>();
  for (const record of records) {
    if (record.type === 'entry') (CREATES.has(record.fop) ? created : stats).add(record.gfid);
    else if (record.type === 'meta' && XATTR_FOPS.has(record.fop) && earlier?.has(record.gfid) === true)
      created.add(record.gfid);
  }
  return { stats, created };
}

export function emptyPlan(): Plan {
  return {
    entries: [],
    metaGfids: new Map(),
    dataGfids: new Map(),
    xattrGfids: new Set(),
    xattrsWithData: new Set(),
    newGfids: new Set(),
    namesToCompare: new Set(),
    lookupErrors: new Map(),
    counts: new Map(),
    notes: [],
  };
}

/** Adds the operations of one changelog's records to `plan`. The changelogs of a batch must be added in order. */
export function planRecords(plan: Plan, records: Iterable<ChangeRecord>, facts: PlanFacts, options: PlanOptions): void {
  for (const record of records) {
    if (record.type === 'data') addData(plan, record.gfid, options.data);
    else if (record.type === 'meta') planMeta(plan, record, facts, options);
    else planEntry(plan, record, facts, options);
  }
}

/** Counts a record once. The reference counts it again at each retry of its batch. */
function countFop(plan: Plan, fop: string): void {
  plan.counts.set(fop, (plan.counts.get(fop) ?? 0) + 1);
}

function addData(plan: Plan, gfid: Gfid, cause: DataCause): void {
  if (cause === 'written' || !plan.dataGfids.has(gfid)) plan.dataGfids.set(gfid, cause);
}

function planMeta(plan: Plan, record: ChangeRecord & { type: 'meta' }, facts: PlanFacts, options: PlanOptions): void {
  // The reference counts FSETXATTR as SETXATTR and handles XATTROP, but ignores removals of xattrs.
  countFop(plan, record.fop === 'FSETXATTR' ? 'SETXATTR' : record.fop);
  if (record.fop === 'SETATTR' || record.fop === 'FSETATTR') {
    // The reference tests for five fields, but an xsync crawl's record has seven. So it never used these attributes.
    if (record.stat !== undefined || !plan.metaGfids.has(record.gfid))
      plan.metaGfids.set(record.gfid, record.stat ?? null);
  } else if (SHARD_SIZE_FOPS.has(record.fop)) plan.xattrsWithData.add(record.gfid);
  else if (XATTR_FOPS.has(record.fop) && options.xattrs === 'sync' && !isInternalXattr(plan, record, facts, options))
    plan.xattrGfids.add(record.gfid);
}

/** Whether the record is about GlusterFS's own xattr, which each new directory gets on a distributed volume. */
function isInternalXattr(
  { newGfids }: Plan,
  { gfid, fop }: ChangeRecord & { type: 'meta' },
  { createdWithXattrs }: PlanFacts,
  { replay, created }: PlanOptions,
): boolean {
  const isNew = newGfids.has(gfid) || created?.has(gfid) === true;
  return replay === 'impossible' && isNew && !fop.includes('REMOVE') && !createdWithXattrs.has(gfid);
}

function planEntry(plan: Plan, record: ChangeRecord & { type: 'entry' }, facts: PlanFacts, options: PlanOptions): void {
  if (options.entries === 'hot-tier') {
    plan.notes.push({ level: 'debug', message: 'skip ENTRY op if hot tier brick', fields: { op: record.fop } });
    return;
  }
  const { gfid, fop } = record;
  const stat = facts.stats.get(gfid) ?? null;
  const lookupError = facts.lookupErrors.get(gfid); // the names of its renames and links are compared, as if it were gone
  if (lookupError !== undefined && !CREATES.has(fop) && !REMOVES.has(fop)) plan.lookupErrors.set(gfid, lookupError);
  const shouldApply = options.entries === 'apply';
  // The changelog has the creator's ids. On the primary, a set-gid directory or a default ACL may have changed them. Any
  // operation on a symlink may create it, and in another directory than on the primary.
  const mayCreate = CREATES.has(fop) || (stat !== null && fileKind(stat.mode) === 'symlink' && !REMOVES.has(fop));
  if (mayCreate && !plan.metaGfids.has(gfid)) plan.metaGfids.set(gfid, null);
  if (CREATES.has(fop) && facts.createdWithXattrs.has(gfid)) plan.xattrsWithData.add(gfid);
  if (!shouldApply && !REMOVES.has(fop) && fop !== 'MKNOD') {
    // If the file was missing, the operation created it, empty.
    if ((fop === 'RENAME' || fop === 'LINK') && stat !== null && fileKind(stat.mode) === 'file')
      addData(plan, gfid, 'linked');
    return;
  }
  countFop(plan, fop);
  const entry = entryPath(record.parent, record.name);

  if (REMOVES.has(fop))
    planRemove(
      plan,
      record,
      entry,
      lookupError === undefined ? stat : 'unknown',
      shouldApply && options.deletes === 'apply',
    );
  else if (CREATES.has(fop)) planCreate(plan, record, fop as EntryOpName, entry, shouldApply);
  else if (fop === 'RENAME') planRename(plan, record, entry, stat, facts.symlinkTargets.get(gfid) ?? null);
  else if ((fop === 'LINK' || fop === 'SYMLINK') && lookupError !== undefined) plan.namesToCompare.add(entry);
  else if (fop === 'LINK' || fop === 'SYMLINK')
    planLink(plan, gfid, entry, stat, facts.symlinkTargets.get(gfid) ?? null);
  else plan.notes.push({ level: 'warn', message: 'ignoring op', fields: { gfid, type: fop } });
}

function planRemove(
  plan: Plan,
  { gfid, fop, parent }: ChangeRecord & { type: 'entry' },
  entry: string,
  stat: ViewStat | 'unknown' | null,
  shouldApply: boolean,
): void {
  if (stat === null) plan.dataGfids.delete(gfid); // unlinked later; the changelog may be old
  if (fop === 'RMDIR' && stat !== null) {
    if (stat !== 'unknown')
      plan.notes.push({
        level: 'info',
        message: 'Ignoring rmdir. Directory present in primary',
        fields: { gfid, pgfid_bname: entry },
      });
    if (shouldApply) plan.namesToCompare.add(entry);
    return;
  }
  if (shouldApply && parent === SHARD_DIRECTORY_GFID) plan.namesToCompare.add(entry);
  if (shouldApply) plan.entries.push({ op: fop as EntryOpName, gfid, entry });
}

function planCreate(
  plan: Plan,
  record: ChangeRecord & { type: 'entry' },
  op: EntryOpName,
  entry: string,
  shouldApply: boolean,
): void {
  const { gfid, mode = 0, uid = 0, gid = 0 } = record;
  if (op === 'MKNOD' && (mode & S_ISVTX) !== 0 && fileKind(mode) === 'file') {
    // A tier or a rebalance that moves a file to this brick records MKNOD with the sticky bit. The file exists already, or
    // LINK creates it. Its attributes come with the data.
    if (shouldApply)
      plan.entries.push({ op: 'LINK', gfid, entry, stat: { uid, gid, mode, atime: 0, mtime: 0 }, link: null });
    addData(plan, gfid, 'linked');
    return;
  }
  if (!shouldApply) return;
  // If the peer has the gfid already under a later name, it silently ignores CREATE, but MKNOD adds the name.
  plan.newGfids.add(gfid);
  plan.entries.push({ op: op === 'CREATE' ? 'MKNOD' : op, gfid, entry, mode, uid, gid });
}

function planRename(
  plan: Plan,
  record: ChangeRecord & { type: 'entry' },
  entry: string,
  stat: ViewStat | null,
  link: string | null,
): void {
  const { gfid, newParent, newName } = record;
  if (newParent === undefined || newName === undefined) {
    plan.notes.push({ level: 'warn', message: 'ignoring op', fields: { gfid, type: 'RENAME' } });
    return;
  }
  const entry1 = entryPath(newParent, newName);
  plan.entries.push({ op: 'RENAME', gfid, entry, entry1, stat: stat === null ? null : toOpStat(stat), link });
  // A secondary without the source silently ignores such a rename.
  if (stat === null || fileKind(stat.mode) !== 'file') {
    plan.namesToCompare.add(entry);
    plan.namesToCompare.add(entry1);
  }
  // If the source is missing, the rename creates the target, empty. So the content must follow.
  if (stat !== null && fileKind(stat.mode) === 'file') addData(plan, gfid, 'linked');
}

/** Sends SYMLINK as LINK. LINK also creates a missing symlink. In a replay the symlink may have its later name already: then
 *  LINK adds a name, but SYMLINK raises. */
function planLink(plan: Plan, gfid: Gfid, entry: string, stat: ViewStat | null, link: string | null): void {
  const kind = stat === null ? null : fileKind(stat.mode);
  if (stat === null || (kind === 'symlink' && link === null)) {
    plan.notes.push({
      level: 'debug',
      message: 'Ignoring entry, purged in the interim',
      fields: { file: entry, gfid },
    });
    plan.namesToCompare.add(entry);
    return;
  }
  plan.entries.push({ op: 'LINK', gfid, entry, stat: toOpStat(stat), link: kind === 'symlink' ? link : null });
  if (kind === 'file') addData(plan, gfid, 'linked');
  else if (kind !== 'symlink') plan.namesToCompare.add(entry); // a stock peer creates no special file from LINK
}

/** Drops the data of gfids that are gone, and the attributes of files whose data transfer sets them. If the times were set
 *  first, rsync would take the content for equal. */
export function finishPlan(plan: Plan, isUnlinked: (gfid: Gfid) => boolean): void {
  for (const gfid of plan.dataGfids.keys()) {
    if (isUnlinked(gfid)) {
      plan.notes.push({
        level: 'debug',
        message: 'ignoring data, since file purged interim',
        fields: { file: gfidPath(gfid) },
      });
      plan.dataGfids.delete(gfid);
    }
  }
  for (const gfid of plan.metaGfids.keys()) if (plan.dataGfids.has(gfid)) plan.metaGfids.delete(gfid);
  for (const gfid of plan.xattrsWithData) if (!plan.dataGfids.has(gfid)) plan.xattrGfids.add(gfid);
}

/** Drops the creation of a file that is renamed next. The rename finds no source and so creates the file under its new name,
 *  in one step instead of two. */
export function createUnderNewNames({ entries }: Plan): void {
  const created = new Map<Gfid, EntryOp>();
  const dropped = new Set<EntryOp>();
  for (const op of entries) {
    const creation = created.get(op.gfid);
    if (
      creation !== undefined &&
      op.op === 'RENAME' &&
      op.entry === creation.entry &&
      fileKind(op.stat?.mode ?? 0) === 'file'
    )
      dropped.add(creation);
    created.delete(op.gfid);
    if (op.op === 'MKNOD' && fileKind(op.mode ?? 0) === 'file') created.set(op.gfid, op);
  }
  if (dropped.size > 0) entries.splice(0, entries.length, ...entries.filter((op) => !dropped.has(op)));
}

/** Extends a set of names to compare. Every name of a gfid that had such a name must be compared, too. So must a name that
 *  several gfids had within the batch, if a rename or a link was among the operations. After a replay the wrong gfid may have
 *  that name. */
export function expandNamesToCompare(entries: readonly EntryOp[], seeds: Iterable<string>): Set<string> {
  const names = new Set<string>(seeds);
  const byName = new Map<string, EntryOp[]>();
  const byGfid = new Map<Gfid, EntryOp[]>();
  for (const op of entries) {
    pushTo(byGfid, op.gfid, op);
    pushTo(byName, op.entry, op);
    if (op.entry1 !== undefined) pushTo(byName, op.entry1, op);
  }
  for (const [name, ops] of byName) {
    if (
      ops.length > 1 &&
      ops.some((op) => op.gfid !== ops[0]?.gfid) &&
      ops.some((op) => op.op === 'RENAME' || op.op === 'LINK')
    )
      names.add(name);
  }
  const visitedGfids = new Set<Gfid>();
  for (const name of names) {
    // Iterating a Set includes elements that are added meanwhile, so this is the closure.
    for (const op of byName.get(name) ?? []) {
      if (visitedGfids.has(op.gfid)) continue;
      visitedGfids.add(op.gfid);
      for (const other of byGfid.get(op.gfid) ?? []) {
        names.add(other.entry);
        if (other.entry1 !== undefined) names.add(other.entry1);
      }
    }
  }
  return names;
}

/** Names that exist after the operations. */
export function createdNames(entries: readonly EntryOp[]): Set<string> {
  const names = new Set<string>();
  for (const { op, entry, entry1 } of entries) {
    if (isNameRemoval(op)) names.delete(entry);
    else names.add(entry);
    if (entry1 !== undefined) names.add(entry1);
  }
  return names;
}

function pushTo<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
