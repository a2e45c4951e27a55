// Names that the secondary's mount can no longer look up are compared through a fresh mount.

import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { entryPath, gfidPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { EntryPhase } from '../../src/primary/batch/entry-phase.js';
import { S_IFDIR, S_IFREG } from '../../src/protocol/view.js';
import type { EntryFailure, Secondary } from '../../src/protocol/secondary.js';
import { FailureList } from '../../src/status/failures.js';
import { ModelAgent } from './model/agent.js';
import { ModelTransfer } from './model/data.js';
import { modelDeps, nowS } from './model/deps.js';
import { ChangelogWriter } from './model/changelog.js';
import { ModelBrick, ModelMount } from './model/primary-side.js';
import { StockSecondary } from './model/stock-secondary.js';
import { ModelVolume } from './model/volume.js';

const [DIR, FILE, OTHER] = [2, 3, 4].map((n) => `0000000${n}-0000-4000-8000-00000000000${n}` as Gfid) as [Gfid, Gfid, Gfid];
const NAME = entryPath(DIR, 'file');

/** A file that the secondary lacks, in a directory for which its mount answers `errno` and a fresh mount `freshErrno`. */
async function setUp(errno: number, freshErrno: number | null) {
  const directory = mkdtempSync(join(tmpdir(), 'gsyncd-fresh-view-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [primary, secondaryVolume] = [new ModelVolume(() => 1), new ModelVolume(() => 1)];
  for (const volume of [primary, secondaryVolume]) volume.create(entryPath(ROOT_GFID, 'dir'), { gfid: DIR, mode: S_IFDIR | 0o755 }, 'MKDIR');
  for (const [gfid, name] of [[FILE, NAME], [OTHER, entryPath(ROOT_GFID, 'other')]] as const) primary.create(name, { gfid, mode: S_IFREG | 0o644 }, 'CREATE');
  const turn = (): Promise<void> => Promise.resolve();
  const changelog = new ChangelogWriter(primary, () => [1, 0]);
  const volume = new ModelMount(primary, changelog, turn);
  const through = (failing: number | null): Secondary => {
    const secondary = new StockSecondary(secondaryVolume, { distCount: 1, turn });
    const entryOps = secondary.entryOps.bind(secondary);
    return Object.assign(secondary, {
      entryOps: async (ops: Parameters<typeof entryOps>[0]): Promise<EntryFailure[]> => {
        const denied = ops.filter(({ entry }) => failing !== null && entry.startsWith(gfidPath(DIR)));
        const info = { gfidMismatch: false, nameMismatch: false, dst: false, secondaryIsDir: false, secondaryGfid: null, secondaryEntry: null };
        return [...(await entryOps(ops.filter((op) => !denied.includes(op)))), ...denied.map((op) => ({ op, errno: failing ?? 0, info }))];
      },
    });
  };
  let [opened, closed] = [0, 0];
  const failures = await FailureList.load(directory);
  const deps = {
    ...modelDeps({
      volume,
      brick: new ModelBrick(primary, changelog, turn),
      secondary: through(errno),
      agent: new ModelAgent(changelog, { directory, nowS, changelogsPerScan: 1 }),
      failures,
      workingDir: directory,
      transfer: new ModelTransfer(primary, secondaryVolume, turn),
    }),
    openFreshView: () => {
      opened++;
      const view = { volume, secondary: through(freshErrno), rsync: { syncDirectories: () => Promise.reject(new Error('unused')) } };
      return Promise.resolve({ ...view, close: () => Promise.resolve(void closed++) });
    },
  };
  const result = await new EntryPhase(deps, 'apply').retry([NAME, entryPath(ROOT_GFID, 'other')]);
  const listed = failures.items().filter(({ kind }) => kind === 'entry').map(({ entry = '', reason }) => `${entry}: ${reason}`);
  return { there: (path: string) => secondaryVolume.find(path)?.gfid, result, listed, views: { opened, closed } };
}

test('a directory that the mount no longer opens (ENOTSUP) is compared through a fresh mount', async () => {
  const { there, result, listed, views } = await setUp(constants.errno.EOPNOTSUPP, null);
  expect([there(NAME), there(entryPath(ROOT_GFID, 'other')), [...result.dataGfids]]).toEqual([FILE, OTHER, [OTHER, FILE]]);
  expect(listed).toEqual([]);
  expect(views).toEqual({ opened: 1, closed: 1 });
});

test('a name that the fresh mount cannot look up either goes to the failure list', async () => {
  const { there, listed, views } = await setUp(constants.errno.EOPNOTSUPP, constants.errno.EOPNOTSUPP);
  expect(there(NAME)).toBe(undefined);
  expect(listed).toEqual([`${NAME}: ENOTSUP`]);
  expect(views).toEqual({ opened: 1, closed: 1 });
});

test('split-brain (EIO) opens no fresh mount and goes to the failure list', async () => {
  const { there, listed, views } = await setUp(constants.errno.EIO, null);
  expect([there(NAME), there(entryPath(ROOT_GFID, 'other'))]).toEqual([undefined, OTHER]);
  expect(listed).toEqual([expect.stringMatching(/^.*\/file: EIO .*split-brain/)]);
  expect(views).toEqual({ opened: 0, closed: 0 });
});
