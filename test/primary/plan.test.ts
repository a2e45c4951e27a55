// Planning, record by record: which operations, attributes and contents follow from a changelog and the primary's
// present state.

import { describe, expect, test } from 'vitest';
import type { ChangeRecord } from '../../src/changelog/record.js';
import { entryPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import {
  createUnderNewNames,
  expandNamesToCompare,
  emptyPlan,
  finishPlan,
  createdNames,
  planNeeds,
  planRecords,
  type Plan,
  type PlanOptions,
} from '../../src/primary/batch/plan.js';
import { S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, type ViewStat } from '../../src/protocol/view.js';

const A = '0000000a-0000-4000-8000-00000000000a' as Gfid;
const B = '0000000b-0000-4000-8000-00000000000b' as Gfid;
const FILE: ViewStat = { uid: 1, gid: 2, mode: S_IFREG | 0o644, atime: 3, mtime: 4, size: 5, nlink: 1 };
const DIR: ViewStat = { ...FILE, mode: S_IFDIR | 0o755 };
const SYMLINK: ViewStat = { ...FILE, mode: S_IFLNK | 0o777 };
const OPTIONS: PlanOptions = {
  entries: 'apply',
  deletes: 'apply',
  xattrs: 'sync',
  replay: 'impossible',
  data: 'written',
};

function entry(fop: string, gfid: Gfid, name: string, more: { mode?: number; newName?: string } = {}): ChangeRecord {
  const { mode, newName } = more;
  return {
    type: 'entry',
    gfid,
    fop,
    parent: ROOT_GFID,
    name,
    ...(mode === undefined ? {} : { mode, uid: 7, gid: 8 }),
    ...(newName === undefined ? {} : { newParent: ROOT_GFID, newName }),
  };
}

/** Every symlink has the target 'target'. The lookup of a 'refused' gfid failed. */
function plan(
  records: readonly ChangeRecord[],
  now: Record<Gfid, ViewStat | 'refused' | null> = {},
  options: Partial<PlanOptions> = {},
): Plan {
  const told = Object.entries(now) as [Gfid, ViewStat | 'refused' | null][];
  const stats = new Map(told.filter((item): item is [Gfid, ViewStat | null] => item[1] !== 'refused'));
  const troubles = new Map(told.filter(([, stat]) => stat === 'refused').map(([gfid]) => [gfid, 'EIO']));
  const links = new Map([...stats].filter(([, stat]) => stat === SYMLINK).map(([gfid]) => [gfid, 'target']));
  const made = emptyPlan();
  planRecords(
    made,
    records,
    { stats, symlinkTargets: links, lookupErrors: troubles, createdWithXattrs: new Set([B]) },
    { ...OPTIONS, ...options },
  );
  finishPlan(made, (gfid) => stats.get(gfid) === null);
  return made;
}

const at = (name: string): string => entryPath(ROOT_GFID, name);
const ops = (made: Plan): string[] =>
  made.entries.map(({ op, entry: from, entry1 }) => [op, from, entry1 ?? ''].join(' ').trim());

describe('planNeeds()', () => {
  test('asks for the gfids of all entry operations except creations', () => {
    const { stats, created } = planNeeds([
      entry('CREATE', A, 'a', { mode: S_IFREG }),
      entry('UNLINK', B, 'b'),
      { type: 'data', gfid: A },
    ]);
    expect([...stats]).toEqual([B]);
    expect([...created]).toEqual([A]);
  });
});

describe('planRecords()', () => {
  test('creates files by MKNOD, which gives an existing file the name', () => {
    const made = plan([entry('CREATE', A, 'a', { mode: S_IFREG | 0o600 })]);
    expect(made.entries).toEqual([{ op: 'MKNOD', gfid: A, entry: at('a'), mode: S_IFREG | 0o600, uid: 7, gid: 8 }]);
  });

  test('sends the attributes of a created directory, and its xattrs when it has any', () => {
    const made = plan([entry('MKDIR', A, 'a', { mode: S_IFDIR }), entry('MKDIR', B, 'b', { mode: S_IFDIR })]);
    expect([...made.metaGfids]).toEqual([
      [A, null],
      [B, null],
    ]);
    expect([...made.xattrGfids]).toEqual([B]);
  });

  // The secondary may create it in another directory, whose setgid bit gives it another group.
  test("sends a symlink's owner after every operation that may create it", () => {
    for (const record of [entry('SYMLINK', A, 's'), entry('RENAME', A, 's', { newName: 't' }), entry('LINK', A, 's')]) {
      expect([...plan([record], { [A]: SYMLINK }).metaGfids]).toEqual([[A, null]]);
    }
    expect([...plan([entry('UNLINK', A, 's')], { [A]: SYMLINK }).metaGfids]).toEqual([]);
  });

  test('creates symlinks by LINK, with their current target and owner', () => {
    const made = plan([entry('SYMLINK', A, 's')], { [A]: SYMLINK });
    expect(made.entries).toMatchObject([{ op: 'LINK', entry: at('s'), link: 'target', stat: { uid: 1, gid: 2 } }]);
  });

  test('leaves the name of a LINK or SYMLINK whose inode is gone to the comparison', () => {
    const made = plan([entry('LINK', A, 'l'), entry('SYMLINK', B, 's')], { [A]: null, [B]: null });
    expect(made.entries).toEqual([]);
    expect([...made.namesToCompare]).toEqual([at('l'), at('s')]);
  });

  test('compares the names of gfids whose lookup failed, and plans only operations that need no lookup', () => {
    const made = plan(
      [
        entry('RENAME', A, 'a', { newName: 'b' }),
        entry('LINK', A, 'l'),
        { type: 'data', gfid: A },
        entry('UNLINK', A, 'l'),
        entry('RMDIR', B, 'd'),
      ],
      { [A]: 'refused', [B]: 'refused' },
    );
    expect(ops(made)).toEqual([`RENAME ${at('a')} ${at('b')}`, `UNLINK ${at('l')}`]);
    expect([...made.namesToCompare]).toEqual([at('a'), at('b'), at('l'), at('d')]);
    expect([...made.dataGfids]).toEqual([[A, 'written']]);
    expect([...made.lookupErrors]).toEqual([[A, 'EIO']]);
  });

  test('plans the MKNOD of a tiering link file (mode 1000) as LINK', () => {
    const made = plan([entry('MKNOD', A, 'a', { mode: S_IFREG | 0o1000 })]);
    expect(ops(made)).toEqual([`LINK ${at('a')}`]);
    expect([...made.dataGfids]).toEqual([[A, 'linked']]);
  });

  test('creates a device node', () => {
    const made = plan([entry('MKNOD', A, 'tty', { mode: S_IFCHR | 0o600 })]);
    expect(ops(made)).toEqual([`MKNOD ${at('tty')}`]);
  });

  test('sends the content after a rename or link of a file, in case the secondary lacks it', () => {
    const made = plan([entry('RENAME', A, 'a', { newName: 'b' }), entry('LINK', B, 'l')], { [A]: FILE, [B]: FILE });
    expect([...made.dataGfids]).toEqual([
      [A, 'linked'],
      [B, 'linked'],
    ]);
    expect([...made.namesToCompare]).toEqual([]);
  });

  test('compares the names of a renamed directory, since a secondary that lacks it reports no error', () => {
    const made = plan([entry('RENAME', A, 'a', { newName: 'b' })], { [A]: DIR });
    expect(ops(made)).toEqual([`RENAME ${at('a')} ${at('b')}`]);
    expect([...made.namesToCompare]).toEqual([at('a'), at('b')]);
    expect(plan([entry('RENAME', A, 'a', { newName: 'b' })], { [A]: null }).namesToCompare.size).toBe(2);
  });

  test('drops the RMDIR of a directory that still exists, and compares its name', () => {
    const made = plan([entry('RMDIR', A, 'a')], { [A]: DIR });
    expect(made.entries).toEqual([]);
    expect([...made.namesToCompare]).toEqual([at('a')]);
    expect(ops(plan([entry('RMDIR', A, 'a')], { [A]: null }))).toEqual([`RMDIR ${at('a')}`]);
  });

  test('drops data ops for gfids unlinked later in the batch', () => {
    const made = plan([{ type: 'data', gfid: A }, { type: 'data', gfid: B }, entry('UNLINK', A, 'a')], { [A]: null });
    expect([...made.dataGfids.keys()]).toEqual([B]);
  });

  test('plans no UNLINK and no RMDIR when deletes are ignored', () => {
    expect(
      plan([entry('UNLINK', A, 'a'), entry('RMDIR', B, 'b')], { [A]: null, [B]: null }, { deletes: 'ignore' }).entries,
    ).toEqual([]);
  });

  test('plans the content of a written file once, as written also after a rename', () => {
    const made = plan(
      [entry('RENAME', A, 'a', { newName: 'b' }), { type: 'data', gfid: A }, { type: 'data', gfid: A }],
      { [A]: FILE },
    );
    expect([...made.dataGfids]).toEqual([[A, 'written']]);
  });

  test('drops the SETATTR of a file whose data is sent', () => {
    const setattr = (gfid: Gfid): ChangeRecord => ({ type: 'meta', gfid, fop: 'SETATTR' });
    const made = plan([setattr(A), setattr(B), { type: 'data', gfid: A }]);
    expect([...made.metaGfids]).toEqual([[B, null]]);
  });

  test('uses the attributes that a walk recorded', () => {
    const stat = { uid: 1, gid: 1, mode: S_IFDIR | 0o700, atime: 1, mtime: 1 };
    const made = plan([entry('MKDIR', A, 'a', { mode: S_IFDIR }), { type: 'meta', gfid: A, fop: 'SETATTR', stat }]);
    expect([...made.metaGfids]).toEqual([[A, stat]]);
  });

  test('drops the SETXATTR of a created inode without user xattrs, unless the batch may be a replay', () => {
    const xattrs = (gfid: Gfid, fop: string, options: Partial<PlanOptions> = {}): Gfid[] => [
      ...plan([entry('MKDIR', gfid, 'd', { mode: 0o040755 }), { type: 'meta', gfid, fop }], {}, options).xattrGfids,
    ];
    expect(xattrs(A, 'SETXATTR')).toEqual([]);
    expect(xattrs(A, 'SETXATTR', { replay: 'possible' })).toEqual([A]);
    expect(xattrs(A, 'REMOVEXATTR')).toEqual([A]);
    // plan() gives B xattrs.
    expect(xattrs(B, 'SETXATTR')).toEqual([B]);
  });

  test.each(['SETXATTR', 'FSETXATTR', 'REMOVEXATTR'])('syncs xattrs after %s, unless xattrs are ignored', (fop) => {
    const records: ChangeRecord[] = [{ type: 'meta', gfid: A, fop }];
    expect([...plan(records).xattrGfids]).toEqual([A]);
    expect([...plan(records, {}, { xattrs: 'ignore' }).xattrGfids]).toEqual([]);
  });

  test.each(['XATTROP', 'FXATTROP'])(
    'syncs the size of a sharded file after %s even when xattrs are ignored, or with its data',
    (fop) => {
      const record: ChangeRecord = { type: 'meta', gfid: A, fop };
      expect([...plan([record], {}, { xattrs: 'ignore' }).xattrGfids]).toEqual([A]);
      expect([...plan([record, { type: 'data', gfid: A }]).xattrGfids]).toEqual([]);
    },
  );

  test('compares the name of a removed shard, whose record may have the wrong gfid', () => {
    const parent = 'be318638-e8a0-4c6d-977d-7a937aa84806' as Gfid;
    const made = plan([{ type: 'entry', gfid: A, fop: 'UNLINK', parent, name: `${B}.7` }], { [A]: null });
    expect([...made.namesToCompare]).toEqual([entryPath(parent, `${B}.7`)]);
    expect([...plan([entry('UNLINK', A, 'a')], { [A]: null }).namesToCompare]).toEqual([]);
  });

  test('sends the xattrs of a new file with its data, and separately if one was removed', () => {
    const made = entry('CREATE', B, 'b', { mode: S_IFREG });
    const xattrs = (...more: ChangeRecord[]): string[] => [
      ...plan([made, { type: 'data', gfid: B }, ...more]).xattrGfids,
    ];
    expect(xattrs()).toEqual([]);
    expect(xattrs({ type: 'meta', gfid: B, fop: 'REMOVEXATTR' })).toEqual([B]);
  });

  test('plans no entry operations that were applied before, but the data that follows them', () => {
    const records = [
      entry('CREATE', A, 'a', { mode: S_IFREG }),
      entry('RENAME', A, 'a', { newName: 'b' }),
      entry('UNLINK', B, 'c'),
      { type: 'data', gfid: B } as const,
    ];
    const made = plan(records, { [A]: FILE }, { entries: 'applied-before' });
    expect(made.entries).toEqual([]);
    expect([...made.dataGfids]).toEqual([
      [A, 'linked'],
      [B, 'written'],
    ]);
  });

  test('plans data but no entry operations for a hot tier', () => {
    const made = plan(
      [entry('CREATE', A, 'a', { mode: S_IFREG }), { type: 'data', gfid: A }],
      {},
      { entries: 'hot-tier' },
    );
    expect(made.entries).toEqual([]);
    expect([...made.dataGfids.keys()]).toEqual([A]);
  });
});

describe('createUnderNewNames()', () => {
  const create = entry('CREATE', A, 'a.tmp', { mode: S_IFREG | 0o600 });
  const rename = entry('RENAME', A, 'a.tmp', { newName: 'a' });
  const merged = (records: readonly ChangeRecord[], now: Record<Gfid, ViewStat | null> = { [A]: FILE }): string[] => {
    const made = plan(records, now);
    createUnderNewNames(made);
    return ops(made);
  };

  test('drops the MKNOD of a file that is renamed later, and keeps its data in the plan', () => {
    expect(merged([create, rename])).toEqual([`RENAME ${at('a.tmp')} ${at('a')}`]);
    const made = plan([create, rename], { [A]: FILE });
    createUnderNewNames(made);
    expect([...made.dataGfids.keys(), ...made.newGfids]).toEqual([A, A]);
    expect(made.counts.get('CREATE')).toBe(1);
  });

  test('keeps creations that a rename cannot replace: of directories, and of files that are gone', () => {
    const mkdir = entry('MKDIR', A, 'a.tmp', { mode: S_IFDIR });
    expect(merged([mkdir, rename], { [A]: DIR })).toHaveLength(2);
    expect(merged([create, rename], { [A]: null })).toHaveLength(2);
  });

  test('keeps the creation when another operation precedes the rename, or another name is renamed', () => {
    expect(merged([create, entry('LINK', A, 'b'), rename])).toHaveLength(3);
    expect(merged([create, entry('RENAME', A, 'other', { newName: 'a' })])).toHaveLength(2);
    expect(merged([rename, create])).toHaveLength(2);
  });

  test('treats each file that had the same temporary name separately', () => {
    const second = [entry('CREATE', B, 'a.tmp', { mode: S_IFREG }), entry('RENAME', B, 'a.tmp', { newName: 'a' })];
    expect(merged([create, rename, ...second], { [A]: null, [B]: FILE })).toEqual([
      `MKNOD ${at('a.tmp')}`,
      `RENAME ${at('a.tmp')} ${at('a')}`,
      `RENAME ${at('a.tmp')} ${at('a')}`,
    ]);
  });
});

describe('expandNamesToCompare()', () => {
  test('adds all other names of the gfids that have a doubtful name', () => {
    const made = plan(
      [
        entry('CREATE', A, 'a', { mode: S_IFREG }),
        entry('RENAME', A, 'a', { newName: 'b' }),
        entry('CREATE', B, 'x', { mode: S_IFREG }),
      ],
      { [A]: FILE },
    );
    expect(expandNamesToCompare(made.entries, [at('b')])).toEqual(new Set([at('b'), at('a')]));
    expect(expandNamesToCompare(made.entries, [])).toEqual(new Set());
  });

  test('adds names that two gfids had, if one of them got or lost it by a rename or a link', () => {
    const made = plan([entry('RENAME', A, 'a', { newName: 'b' }), entry('RENAME', B, 'b', { newName: 'c' })], {
      [A]: FILE,
      [B]: FILE,
    });
    expect(expandNamesToCompare(made.entries, [])).toEqual(new Set([at('b'), at('a'), at('c')]));
    const recreated = plan([entry('UNLINK', A, 'a'), entry('CREATE', B, 'a', { mode: S_IFREG })], { [A]: null });
    expect(expandNamesToCompare(recreated.entries, [])).toEqual(new Set());
  });
});

test('namesGiven() returns the names that exist after all operations', () => {
  const made = plan(
    [
      entry('CREATE', A, 'a'),
      entry('RENAME', A, 'a', { newName: 'b' }),
      entry('CREATE', B, 'c'),
      entry('UNLINK', B, 'c'),
      entry('MKDIR', B, 'd'),
    ],
    { [A]: FILE },
  );
  expect(createdNames(made.entries)).toEqual(new Set([at('b'), at('d')]));
});
