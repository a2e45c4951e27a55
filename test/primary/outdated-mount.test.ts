// What a mount denies, although its volume has it, is on the failure list, and is reported to OutdatedMounts.

import { mkdtempSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { entryPath, gfidPath, ROOT_GFID, type Gfid } from '../../src/protocol/gfid.js';
import { syncXattrs } from '../../src/primary/batch/data-phase.js';
import { EntryPhase } from '../../src/primary/batch/entry-phase.js';
import { NO_SUCH_DIRECTORY } from '../../src/primary/transfer/rsync-transfer.js';
import type { BoxResult } from '../../src/queue/syncer.js';
import { S_IFDIR, S_IFREG } from '../../src/protocol/view.js';
import type { EntryFailure } from '../../src/protocol/secondary.js';
import { FailureList } from '../../src/status/failures.js';
import { ModelAgent } from './model/agent.js';
import { ModelTransfer } from './model/data.js';
import { modelDeps, nowS } from './model/deps.js';
import { ChangelogWriter } from './model/changelog.js';
import { ModelBrick, ModelMount } from './model/primary-side.js';
import { StockSecondary } from './model/stock-secondary.js';
import { ModelVolume } from './model/volume.js';

const [DIR, FILE, OTHER] = [2, 3, 4].map((n) => `0000000${n}-0000-4000-8000-00000000000${n}` as Gfid) as [
  Gfid,
  Gfid,
  Gfid,
];
const [NAME, OTHER_NAME] = [entryPath(DIR, 'file'), entryPath(ROOT_GFID, 'other')];

/** A file that the secondary lacks, in a directory for which its mount answers `errno`, and one in the root. */
async function setUp(errno: number) {
  const directory = mkdtempSync(join(tmpdir(), 'gsyncd-outdated-mount-'));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const [primary, secondaryVolume] = [new ModelVolume(() => 1), new ModelVolume(() => 1)];
  for (const volume of [primary, secondaryVolume])
    volume.create(entryPath(ROOT_GFID, 'dir'), { gfid: DIR, mode: S_IFDIR | 0o755 }, 'MKDIR');
  for (const [gfid, name] of [
    [FILE, NAME],
    [OTHER, OTHER_NAME],
  ] as const)
    primary.create(name, { gfid, mode: S_IFREG | 0o644 }, 'CREATE');
  const turn = (): Promise<void> => Promise.resolve();
  const changelog = new ChangelogWriter(primary, () => [1, 0]);
  let isFresh = false;
  let denials = 0;
  const secondary = new StockSecondary(secondaryVolume, { distCount: 1, turn });
  const entryOps = secondary.entryOps.bind(secondary);
  Object.assign(secondary, {
    entryOps: async (ops: Parameters<typeof entryOps>[0]): Promise<EntryFailure[]> => {
      const denied = ops.filter(({ entry }) => !isFresh && entry.startsWith(gfidPath(DIR)));
      const info = {
        gfidMismatch: false,
        nameMismatch: false,
        dst: false,
        secondaryIsDir: false,
        secondaryGfid: null,
        secondaryEntry: null,
      };
      return [
        ...(await entryOps(ops.filter((op) => !denied.includes(op)))),
        ...denied.map((op) => ({ op, errno, info })),
      ];
    },
  });
  const failures = await FailureList.load(directory);
  const deps = {
    ...modelDeps({
      volume: new ModelMount(primary, changelog, turn),
      brick: new ModelBrick(primary, changelog, turn),
      secondary,
      agent: new ModelAgent(changelog, { directory, nowS, changelogsPerScan: 1 }),
      failures,
      workingDir: directory,
      transfer: new ModelTransfer(primary, secondaryVolume, turn),
    }),
    outdatedMounts: { noteDenial: () => void (denials += 1), crawlDone: () => undefined },
  };
  return {
    primary,
    deps,
    compare: () => new EntryPhase(deps, 'apply').retry([NAME, OTHER_NAME]),
    remount: () => void (isFresh = true),
    denials: () => denials,
    there: (path: string) => secondaryVolume.find(path)?.gfid,
    listed: () =>
      failures
        .items()
        .filter(({ kind }) => kind === 'entry')
        .map(({ entry = '', reason }) => `${entry}: ${reason}`),
  };
}

test('a name in a directory that the mount no longer opens (ENOTSUP) is listed, and a fresh mount makes it equal', async () => {
  const { compare, denials, remount, there, listed } = await setUp(constants.errno.EOPNOTSUPP);
  await compare();
  expect([there(NAME), there(OTHER_NAME), listed(), denials()]).toEqual([undefined, OTHER, [`${NAME}: ENOTSUP`], 1]);
  remount();
  const { dataGfids } = await compare();
  expect([there(NAME), [...dataGfids], listed(), denials()]).toEqual([FILE, [FILE], [], 1]);
});

test('split-brain (EIO) is listed, and no denial', async () => {
  const { compare, denials, there, listed } = await setUp(constants.errno.EIO);
  await compare();
  expect([there(NAME), there(OTHER_NAME), denials()]).toEqual([undefined, OTHER, 0]);
  expect(listed()).toEqual([expect.stringMatching(/^.*\/file: EIO .*split-brain/)]);
});

test('the path of a directory is denied, unless the directory was renamed since', async () => {
  const { denials, deps, primary } = await setUp(constants.errno.EOPNOTSUPP);
  const entryPhase = new EntryPhase(deps, 'apply');
  const send = (gfids: readonly Gfid[]): Promise<BoxResult> =>
    Promise.resolve(
      new Map(gfids.map((gfid) => [gfid, { status: 'failed', reason: NO_SUCH_DIRECTORY, scope: 'item' } as const])),
    );
  const run = (): Promise<void> => syncXattrs(deps, { xattrGfids: new Set([DIR]) }, entryPhase, send);
  await run();
  expect(denials()).toBe(1);
  primary.rename(entryPath(ROOT_GFID, 'dir'), entryPath(ROOT_GFID, 'renamed'));
  await run();
  expect(denials()).toBe(1);
  expect(deps.failures.items()).toMatchObject([{ kind: 'xattrs', gfid: DIR, reason: NO_SUCH_DIRECTORY, tries: 2 }]);
});
