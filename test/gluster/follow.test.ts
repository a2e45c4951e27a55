// Changes arrive while their changelog is still open. No rollover happens until the test asks for it.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LabOptions } from './lab/lab.js';
import { NIGHTLY } from './lab/nightly.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const ROLLOVER_S = 3;
type Layout = Pick<LabOptions, 'gsyncd' | 'bricks' | 'secondary' | 'brickDisks'> & { engine: 'rsync' | 'tarssh' };
const LAYOUTS: Readonly<Record<string, Layout>> = {
  'own secondary, one brick, rsync': { gsyncd: 'ours', engine: 'rsync' },
  ...(NIGHTLY && {
    'own secondary of 2 x 2 XFS bricks, tarssh': {
      gsyncd: 'ours',
      engine: 'tarssh',
      bricks: 2,
      secondary: { bricks: 4, layout: 'pairs' },
      brickDisks: 'xfs',
    },
    'own secondary of 2+1 bricks, rsync': {
      gsyncd: 'ours',
      engine: 'rsync',
      bricks: 2,
      secondary: { bricks: 3, layout: 'disperse' },
    },
    'stock secondary, one brick, rsync': { gsyncd: 'stock', engine: 'rsync' },
    'stock secondary, one brick, tarssh': { gsyncd: 'stock', engine: 'tarssh' },
  }),
};

describe.each(Object.entries(LAYOUTS))('%s', (_name, { engine, ...layout }) => {
  const lab = useLab({
    ...layout,
    rolloverSeconds: ROLLOVER_S,
    config: { 'secondary-access-mount': 'true', 'sync-method': engine },
  });

  // Written directly: the stock daemon, where it is installed, does not know the option.
  beforeAll(async () => {
    await lab().sh(`sed -i '/^\\[vars\\]/a follow-open-changelog = true' ${lab().sessionDir}/gsyncd.conf`, '/');
  });

  const start = (): WorkerHandle[] => lab().bricks.map((_, brick) => lab().startWorker({ brick }));

  /** Waits until a command, run on the secondary, prints `expected`. */
  async function arrives(command: string, expected: string): Promise<void> {
    await lab().until(
      `${command}: ${expected}`,
      async () => (await lab().sh(`${command} 2>/dev/null || true`, lab().secondary)).trim() === expected,
      20_000,
    );
  }

  /** Starts workers, waits until they follow the open changelogs, and stops rollovers.
   *  @returns a check that there was none since */
  async function follow(): Promise<{ workers: WorkerHandle[]; expectNoRollover: () => Promise<void> }> {
    const workers = start();
    for (const name of ['first', 'second']) {
      // The first changelog that closes after the worker's start is read as a whole.
      await lab().sh(`for i in {1..8}; do date +%N >${name}$i; done`);
      await lab().waitConverged(60_000);
      await sleep(2 * ROLLOVER_S * 1000);
    }
    await lab().gluster(['volume', 'set', 'gv0', 'changelog.rollover-time', '3600']);
    // The rollover that was due comes first.
    await sleep(2 * ROLLOVER_S * 1000);
    const indexSizes = (): Promise<string> =>
      lab().sh(
        `stat -c %s ${lab()
          .bricks.map((brick) => `${brick}/.glusterfs/changelogs/htime/*`)
          .join(' ')}`,
        '/',
      );
    const before = await indexSizes();
    return { workers, expectNoRollover: async () => expect(await indexSizes()).toBe(before) };
  }

  async function rollOver(): Promise<void> {
    await lab().gluster(['volume', 'set', 'gv0', 'changelog.rollover-time', String(ROLLOVER_S)]);
  }

  test('every kind of change arrives before the rollover', async () => {
    await lab().sh('mkdir d; echo old >d/log; echo x >d/gone; echo y >d/name; mkdir d/empty');
    const { workers, expectNoRollover } = await follow();

    await lab().sh('echo new >d/new');
    await arrives('cat d/new', 'new');
    await lab().sh('echo more >>d/log');
    await arrives('cat d/log', 'old\nmore');
    await lab().sh(
      'mv d/name d/renamed; ln d/new d/linked; rm d/gone; rmdir d/empty; mkdir -m 750 d/dir; ln -s new d/symlink',
    );
    await arrives('ls d | tr "\\n" " "', 'dir linked log new renamed symlink');
    await lab().sh('chmod 600 d/renamed; touch -d @1500000000 d/renamed; setfattr -n user.note -v text d/renamed');
    await arrives('stat -c "%a %Y" d/renamed; getfattr -d d/renamed | grep user', '600 1500000000\nuser.note="text"');
    await lab().sh('for i in {1..50}; do echo $i >d/t$i.tmp; mv d/t$i.tmp d/t$i; done; echo z >d/marked');
    await arrives('cat d/marked', 'z');
    await lab().sh('setfattr -n user.a -v b d/marked');
    await arrives('getfattr --only-values -n user.a d/marked', 'b');
    await lab().waitConverged(60_000);
    await expectNoRollover();

    // Neither has a record of its own: there is one of this inode and kind already.
    await lab().sh('echo again >>d/log; setfattr -x user.a d/marked');
    await rollOver();
    await lab().waitConverged(60_000);
    for (const worker of workers) await worker.stop();
  });

  test('killed workers send again what they sent of the open changelogs', async () => {
    const { workers, expectNoRollover } = await follow();
    await lab().sh(
      'mkdir e; for i in {1..20}; do echo $i >e/f$i; mv e/f$i e/g$i; done; rm e/g1; echo other >e/g2.tmp; mv e/g2.tmp e/g2',
    );
    await arrives('cat e/g2', 'other');
    await expectNoRollover();
    for (const worker of workers) await worker.kill();
    await lab().sh('mv e/g3 e/h3; rm e/g4; echo 5 >>e/g5; echo new >e/g4');
    const next = start();
    await rollOver();
    await lab().waitConverged(90_000);
    for (const worker of next) await worker.stop();
  });
});
