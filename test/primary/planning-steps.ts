// The steps between a changelog's text and the operations on the secondary, over 100,000 records of an ordinary volume's
// mix, for the benchmarks plan.bench.ts and test/gluster/bench.ts.

import type { ChangeRecord } from '../../src/changelog/record.js';
import { formatRecords, parseText } from '../../src/changelog/text.js';
import { ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import {
  expandNamesToCompare,
  emptyPlan,
  finishPlan,
  planNeeds,
  planRecords,
  type PlanFacts,
} from '../../src/primary/batch/plan.js';
import { planWaves } from '../../src/protocol/lanes.js';
import { S_IFDIR, S_IFREG } from '../../src/protocol/view.js';

export const PLANNED_RECORDS = 100_000;
const gfid = (n: number): Gfid =>
  `${n.toString(16).padStart(8, '0')}-1234-4000-8000-${(n * 7919).toString(16).padStart(12, '0')}` as Gfid;

/** A mix as an ordinary volume's: mostly files created and written, some renames, links, removals, attributes. */
function changelogRecords(): { records: ChangeRecord[]; facts: PlanFacts } {
  const records: ChangeRecord[] = [];
  const stats = new Map<Gfid, (ReturnType<PlanFacts['stats']['get']> & object) | null>();
  for (let n = 0; records.length < PLANNED_RECORDS; n++) {
    const [parent, name, id] = [n % 50 === 0 ? ROOT_GFID : gfid(n - (n % 50)), `file number ${n}.txt`, gfid(n)];
    if (n % 50 === 0) {
      records.push({ type: 'entry', gfid: id, fop: 'MKDIR', parent, name, mode: S_IFDIR | 0o755, uid: 0, gid: 0 });
      continue;
    }
    records.push(
      { type: 'entry', gfid: id, fop: 'CREATE', parent, name, mode: S_IFREG | 0o644, uid: 0, gid: 0 },
      { type: 'data', gfid: id },
    );
    if (n % 3 === 0) records.push({ type: 'meta', gfid: id, fop: 'SETATTR' });
    if (n % 5 === 0)
      records.push({
        type: 'entry',
        gfid: id,
        fop: 'RENAME',
        parent,
        name,
        newParent: parent,
        newName: `renamed ${n}`,
      });
    else if (n % 7 === 0) records.push({ type: 'entry', gfid: id, fop: 'UNLINK', parent, name });
    else if (n % 11 === 0) records.push({ type: 'entry', gfid: id, fop: 'LINK', parent, name: `another ${n}` });
    stats.set(
      id,
      n % 7 === 0 ? null : { uid: 0, gid: 0, mode: S_IFREG | 0o644, atime: 1, mtime: 1, size: 10, nlink: 1 },
    );
  }
  return {
    records: records.slice(0, PLANNED_RECORDS),
    facts: { stats, symlinkTargets: new Map(), lookupErrors: new Map(), createdWithXattrs: new Set() },
  };
}

/** Each step handles all records once. */
export function planningSteps(): Record<string, () => void> {
  const { records, facts } = changelogRecords();
  const text = formatRecords(records);
  const planned = emptyPlan();
  planRecords(planned, records, facts, {
    entries: 'apply',
    deletes: 'apply',
    xattrs: 'sync',
    replay: 'impossible',
    data: 'written',
  });
  return {
    parseText: () => void parseText(text),
    'planNeeds to doubtfulNames': () => {
      planNeeds(records);
      const plan = emptyPlan();
      planRecords(plan, records, facts, {
        entries: 'apply',
        deletes: 'apply',
        xattrs: 'sync',
        replay: 'impossible',
        data: 'written',
      });
      finishPlan(plan, (id) => facts.stats.get(id) === null);
      expandNamesToCompare(plan.entries, plan.namesToCompare);
    },
    planWaves: () => void planWaves(planned.entries, 3),
  };
}
