// records + lookups -> entry, meta and data operations. Pure: the lookups a batch needs are collected first
// (planNeeds), answered by the caller side by side, and handed in (PlanFacts). Port of the reference's
// process_change(); used by batch.ts for changelog, history and xsync changelogs alike.
// Invariant: entry operations keep the order of the records; every data gfid and every meta gfid stands once
// per batch, however many changelogs name it.

import type { ChangeRecord } from '../../changelog/record.js';
import { entryPath, gfidPath, type Gfid } from '../../protocol/gfid.js';
import type { EntryOp, EntryOpName, OpStat } from '../../protocol/secondary.js';
import { fileKind, toOpStat, type ViewStat } from '../../protocol/view.js';

const STICKY = 0o1000;
/** `.shard` of every volume. Where several reads of a hole make the same shard at once, GlusterFS 10 may record its removal
 *  with another gfid than its creation, and a secondary removes nothing then. */
const SHARD_DIRECTORY = 'be318638-e8a0-4c6d-977d-7a937aa84806';

export interface PlanOptions {
  /** The changelog's namespace was applied before (its time is at or before entry_stime). */
  readonly entries: 'apply' | 'applied-before' | 'hot-tier';
  readonly deletes: 'apply' | 'ignore';
  /** Whether changed xattrs and ACLs are synced. */
  readonly xattrs: 'sync' | 'ignore';
  /** Whether the secondary may have had these changes before, from a worker that did not get to their end. */
  readonly replay: 'possible' | 'impossible';
  /** What a data record means: in a changelog the content was written; in the file of a walk the file is newer
   *  than the last sync, and may be there already. */
  readonly data: DataCause;
}

/** Lookups of one batch. */
export interface PlanNeeds {
  readonly stats: Set<Gfid>;
  /** Created: what they inherited is in no record. */
  readonly created: Set<Gfid>;
}

/** Their answers: what each gfid is now (null: gone), and targets of those that are symlinks. */
export interface PlanFacts {
  readonly stats: ReadonlyMap<Gfid, ViewStat | null>;
  readonly links: ReadonlyMap<Gfid, string | null>;
  /** Gfids whose lookup fails on the primary, with the reason; they have no stat. */
  readonly troubles: ReadonlyMap<Gfid, string>;
  /** Those of the created that have user xattrs or an ACL. */
  readonly withXattrs: ReadonlySet<Gfid>;
}

/** How a data gfid came into the plan: its content was written; or a walk found it changed; or a rename or a link may
 *  have created it. In the last two cases equal size and time mean equal content. */
export type DataCause = 'written' | 'walked' | 'linked';

/** Something that happened while planning, for the log. */
export interface PlanNote {
  readonly level: 'debug' | 'info' | 'warn';
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export interface Plan {
  readonly entries: EntryOp[];
  /** null: read the attributes when they are applied. */
  readonly metaGfids: Map<Gfid, OpStat | null>;
  readonly dataGfids: Map<Gfid, DataCause>;
  /** Whose xattrs and ACLs have to follow the data. */
  readonly xattrs: Set<Gfid>;
  /** Gfids whose xattrs and ACLs come with their data, since none was removed. */
  readonly xattrsWithData: Set<Gfid>;
  /** Whose content the secondary cannot have: they were created in this batch, or this is a first sync. */
  readonly fresh: Set<Gfid>;
  /** Names whose operations could not be planned exactly: to be compared after the entries are applied. */
  readonly doubtful: Set<string>;
  /** Whose content or attributes may have to follow, which only a later look can tell, and why. */
  readonly unknown: Map<Gfid, string>;
  readonly counts: Map<string, number>;
  readonly notes: PlanNote[];
}

const CREATES: ReadonlySet<string> = new Set(['CREATE', 'MKNOD', 'MKDIR']);
const REMOVES: ReadonlySet<string> = new Set(['UNLINK', 'RMDIR']);
const XATTR_FOPS: ReadonlySet<string> = new Set(['SETXATTR', 'FSETXATTR', 'REMOVEXATTR', 'FREMOVEXATTR']);
/** The changelog records them only where they change the size of a sharded file: xlators/features/changelog, 10 to devel. */
const SHARD_SIZE_FOPS: ReadonlySet<string> = new Set(['XATTROP', 'FXATTROP']);

/** Whether an operation takes the name away that its record begins with. */
export function takesAway(fop: string): boolean {
  return fop === 'RENAME' || REMOVES.has(fop);
}

/** Which gfids must be looked up before `planBatch` can work on these records. */
export function planNeeds(records: Iterable<ChangeRecord>): PlanNeeds {
  const stats = new Set<Gfid>();
  const created = new Set<Gfid>();
  for (const record of records) {
    if (record.type === 'entry') (CREATES.has(record.fop) ? created : stats).add(record.gfid);
  }
  return { stats, created };
}

export function emptyPlan(): Plan {
  return {
    entries: [],
    metaGfids: new Map(),
    dataGfids: new Map(),
    xattrs: new Set(),
    xattrsWithData: new Set(),
    fresh: new Set(),
    doubtful: new Set(),
    unknown: new Map(),
    counts: new Map(),
    notes: [],
  };
}

/** Adds the operations of one changelog's records to `plan`. Changelogs of a batch are added in order. */
export function planRecords(plan: Plan, records: Iterable<ChangeRecord>, facts: PlanFacts, options: PlanOptions): void {
  for (const record of records) {
    if (record.type === 'data') addData(plan, record.gfid, options.data);
    else if (record.type === 'meta') planMeta(plan, record, facts, options);
    else planEntry(plan, record, facts, options);
  }
}

/** A record counts once: the reference counts it again with each retry of its batch. */
function count(plan: Plan, fop: string): void {
  plan.counts.set(fop, (plan.counts.get(fop) ?? 0) + 1);
}

function addData(plan: Plan, gfid: Gfid, cause: DataCause): void {
  if (cause === 'written' || !plan.dataGfids.has(gfid)) plan.dataGfids.set(gfid, cause);
}

function planMeta(plan: Plan, record: ChangeRecord & { type: 'meta' }, facts: PlanFacts, options: PlanOptions): void {
  // The reference counts FSETXATTR as SETXATTR and looks at XATTROP, but never at the removal of an xattr.
  count(plan, record.fop === 'FSETXATTR' ? 'SETXATTR' : record.fop);
  if (record.fop === 'SETATTR' || record.fop === 'FSETATTR') {
    // The reference tests for five fields where the record of an xsync crawl has seven, and so never used them.
    if (record.stat !== undefined || !plan.metaGfids.has(record.gfid)) plan.metaGfids.set(record.gfid, record.stat ?? null);
  } else if (SHARD_SIZE_FOPS.has(record.fop)) plan.xattrsWithData.add(record.gfid);
  else if (XATTR_FOPS.has(record.fop) && options.xattrs === 'sync' && !isOwnXattr(plan, record, facts, options)) plan.xattrs.add(record.gfid);
}

/** On a distributed volume each new directory gets an xattr of GlusterFS's own. */
function isOwnXattr({ fresh }: Plan, { gfid, fop }: ChangeRecord & { type: 'meta' }, { withXattrs }: PlanFacts, { replay }: PlanOptions): boolean {
  return replay === 'impossible' && fresh.has(gfid) && !fop.includes('REMOVE') && !withXattrs.has(gfid);
}

function planEntry(plan: Plan, record: ChangeRecord & { type: 'entry' }, facts: PlanFacts, options: PlanOptions): void {
  if (options.entries === 'hot-tier') {
    plan.notes.push({ level: 'debug', message: 'skip ENTRY op if hot tier brick', fields: { op: record.fop } });
    return;
  }
  const { gfid, fop } = record;
  const stat = facts.stats.get(gfid) ?? null;
  const trouble = facts.troubles.get(gfid); // the names of its renames and links are compared, as of what is gone
  if (trouble !== undefined && !CREATES.has(fop) && !REMOVES.has(fop)) plan.unknown.set(gfid, trouble);
  const apply = options.entries === 'apply';
  // The changelog has the creator's ids; what a set-gid directory or a default ACL made of them is on the primary. A
  // symlink may be made by any of its operations, in another directory than it was there.
  const mayMake = CREATES.has(fop) || (stat !== null && fileKind(stat.mode) === 'symlink' && !REMOVES.has(fop));
  if (mayMake && !plan.metaGfids.has(gfid)) plan.metaGfids.set(gfid, null);
  if (CREATES.has(fop) && facts.withXattrs.has(gfid)) plan.xattrsWithData.add(gfid);
  if (!apply && !REMOVES.has(fop) && fop !== 'MKNOD') {
    // Where its file was missing, the operation created it, empty.
    if ((fop === 'RENAME' || fop === 'LINK') && stat !== null && fileKind(stat.mode) === 'file') addData(plan, gfid, 'linked');
    return;
  }
  count(plan, fop);
  const entry = entryPath(record.parent, record.name);

  if (REMOVES.has(fop)) planRemove(plan, record, entry, trouble === undefined ? stat : 'unknown', apply && options.deletes === 'apply');
  else if (CREATES.has(fop)) planCreate(plan, record, fop as EntryOpName, entry, apply);
  else if (fop === 'RENAME') planRename(plan, record, entry, stat, facts.links.get(gfid) ?? null);
  else if ((fop === 'LINK' || fop === 'SYMLINK') && trouble !== undefined) plan.doubtful.add(entry);
  else if (fop === 'LINK' || fop === 'SYMLINK') planLink(plan, gfid, entry, stat, facts.links.get(gfid) ?? null);
  else plan.notes.push({ level: 'warn', message: 'ignoring op', fields: { gfid, type: fop } });
}

function planRemove(plan: Plan, { gfid, fop, parent }: ChangeRecord & { type: 'entry' }, entry: string, stat: ViewStat | 'unknown' | null, apply: boolean): void {
  if (stat === null) plan.dataGfids.delete(gfid); // unlinked meanwhile; the changelog may be historical
  if (fop === 'RMDIR' && stat !== null) {
    if (stat !== 'unknown') plan.notes.push({ level: 'info', message: 'Ignoring rmdir. Directory present in primary', fields: { gfid, pgfid_bname: entry } });
    if (apply) plan.doubtful.add(entry);
    return;
  }
  if (apply && parent === SHARD_DIRECTORY) plan.doubtful.add(entry);
  if (apply) plan.entries.push({ op: fop as EntryOpName, gfid, entry });
}

function planCreate(plan: Plan, record: ChangeRecord & { type: 'entry' }, op: EntryOpName, entry: string, apply: boolean): void {
  const { gfid, mode = 0, uid = 0, gid = 0 } = record;
  if (op === 'MKNOD' && (mode & STICKY) !== 0 && fileKind(mode) === 'file') {
    // A file that moved here with a tier or a rebalance is recorded as MKNOD with the sticky bit: it exists
    // elsewhere already, or is created if it does not. Its attributes come with the data.
    if (apply) plan.entries.push({ op: 'LINK', gfid, entry, stat: { uid, gid, mode, atime: 0, mtime: 0 }, link: null });
    addData(plan, gfid, 'linked');
    return;
  }
  if (!apply) return;
  // A peer that has the gfid already, under a later name, drops CREATE without a word, but gives a MKNOD its name.
  plan.fresh.add(gfid);
  plan.entries.push({ op: op === 'CREATE' ? 'MKNOD' : op, gfid, entry, mode, uid, gid });
}

function planRename(plan: Plan, record: ChangeRecord & { type: 'entry' }, entry: string, stat: ViewStat | null, link: string | null): void {
  const { gfid, newParent, newName } = record;
  if (newParent === undefined || newName === undefined) {
    plan.notes.push({ level: 'warn', message: 'ignoring op', fields: { gfid, type: 'RENAME' } });
    return;
  }
  const entry1 = entryPath(newParent, newName);
  plan.entries.push({ op: 'RENAME', gfid, entry, entry1, stat: stat === null ? null : toOpStat(stat), link });
  // A secondary that lacks the source ignores such a rename without a word.
  if (stat === null || fileKind(stat.mode) !== 'file') {
    plan.doubtful.add(entry);
    plan.doubtful.add(entry1);
  }
  // Where the source is missing the target is created, empty: the content has to follow.
  if (stat !== null && fileKind(stat.mode) === 'file') addData(plan, gfid, 'linked');
}

/** SYMLINK goes out as LINK, which creates a symlink that the peer lacks all the same, and gives it one more name
 *  where SYMLINK raises: in a replay the symlink may have its later name already. */
function planLink(plan: Plan, gfid: Gfid, entry: string, stat: ViewStat | null, link: string | null): void {
  const kind = stat === null ? null : fileKind(stat.mode);
  if (stat === null || (kind === 'symlink' && link === null)) {
    plan.notes.push({ level: 'debug', message: 'Ignoring entry, purged in the interim', fields: { file: entry, gfid } });
    plan.doubtful.add(entry);
    return;
  }
  plan.entries.push({ op: 'LINK', gfid, entry, stat: toOpStat(stat), link: kind === 'symlink' ? link : null });
  if (kind === 'file') addData(plan, gfid, 'linked');
  else if (kind !== 'symlink') plan.doubtful.add(entry); // a stock peer creates no special file from LINK
}

/** Drops what the facts say is gone or is carried by another operation: data of vanished gfids, attributes
 *  of files whose data transfer sets them (setting times first would make rsync think the content equal). */
export function finishPlan(plan: Plan, isUnlinked: (gfid: Gfid) => boolean): void {
  for (const gfid of plan.dataGfids.keys()) {
    if (isUnlinked(gfid)) {
      plan.notes.push({ level: 'debug', message: 'ignoring data, since file purged interim', fields: { file: gfidPath(gfid) } });
      plan.dataGfids.delete(gfid);
    }
  }
  for (const gfid of plan.metaGfids.keys()) if (plan.dataGfids.has(gfid)) plan.metaGfids.delete(gfid);
  for (const gfid of plan.xattrsWithData) if (!plan.dataGfids.has(gfid)) plan.xattrs.add(gfid);
}

/** Drops the creation of files that are renamed next: a rename whose source is missing makes the file under its new name, in
 *  one step instead of two. */
export function createUnderNewNames({ entries }: Plan): void {
  const created = new Map<Gfid, EntryOp>();
  const dropped = new Set<EntryOp>();
  for (const op of entries) {
    const first = created.get(op.gfid);
    if (first !== undefined && op.op === 'RENAME' && op.entry === first.entry && fileKind(op.stat?.mode ?? 0) === 'file') dropped.add(first);
    created.delete(op.gfid);
    if (op.op === 'MKNOD' && fileKind(op.mode ?? 0) === 'file') created.set(op.gfid, op);
  }
  if (dropped.size > 0) entries.splice(0, entries.length, ...entries.filter((op) => !dropped.has(op)));
}

/** Closes a set of names over shared gfids and names: whatever was done to a doubtful name's gfids, or to the
 *  names these had, is doubtful too. Also adds names that more than one gfid held within the batch, when a
 *  rename or a link was among the operations: a replay may have left them to the wrong one. */
export function doubtfulNames(entries: readonly EntryOp[], seeds: Iterable<string>): Set<string> {
  const names = new Set<string>(seeds);
  const byName = new Map<string, EntryOp[]>();
  const byGfid = new Map<Gfid, EntryOp[]>();
  for (const op of entries) {
    push(byGfid, op.gfid, op);
    push(byName, op.entry, op);
    if (op.entry1 !== undefined) push(byName, op.entry1, op);
  }
  for (const [name, ops] of byName) {
    if (ops.length > 1 && ops.some((op) => op.gfid !== ops[0]?.gfid) && ops.some((op) => op.op === 'RENAME' || op.op === 'LINK')) names.add(name);
  }
  const gfidsDone = new Set<Gfid>();
  for (const name of names) {
    // A Set iterates over what is added meanwhile: this is the closure.
    for (const op of byName.get(name) ?? []) {
      if (gfidsDone.has(op.gfid)) continue;
      gfidsDone.add(op.gfid);
      for (const other of byGfid.get(op.gfid) ?? []) {
        names.add(other.entry);
        if (other.entry1 !== undefined) names.add(other.entry1);
      }
    }
  }
  return names;
}

/** Names that the operations leave in place. */
export function namesGiven(entries: readonly EntryOp[]): Set<string> {
  const names = new Set<string>();
  for (const { op, entry, entry1 } of entries) {
    if (takesAway(op)) names.delete(entry);
    else names.add(entry);
    if (entry1 !== undefined) names.add(entry1);
  }
  return names;
}

function push<K, V>(map: Map<K, V[]>, key: K, value: V): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
