// Changes arrive while their changelog is still open: no rollover happens in the first tests.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { WorkerHandle } from './lab/worker.js';
import { useLab } from './lab/use-lab.js';

const ROLLOVER_S = 3;
const lab = useLab({
  gsyncd: 'ours',
  rolloverSeconds: ROLLOVER_S,
  config: { 'secondary-access-mount': 'true', 'follow-open-changelog': 'true' },
});

/** Waits until a command, run on the secondary, prints `expected`. */
async function arrives(command: string, expected: string): Promise<void> {
  await lab().until(
    `${command}: ${expected}`,
    async () => (await lab().sh(command, lab().secondary)).trim() === expected,
    15_000,
  );
}

/** Starts a worker, waits until it follows the open changelog, and stops rollovers. @returns a check that there was none since */
async function follow(): Promise<{ worker: WorkerHandle; expectNoRollover: () => Promise<void> }> {
  const worker = lab().startWorker();
  for (const name of ['first', 'second']) {
    // The first changelog that closes after the worker's start is read as a whole.
    await lab().sh(`date +%N >${name}`);
    await lab().waitConverged(30_000);
    await sleep(2 * ROLLOVER_S * 1000);
  }
  await lab().gluster(['volume', 'set', 'gv0', 'changelog.rollover-time', '3600']);
  // The rollover that was due comes first.
  await sleep(2 * ROLLOVER_S * 1000);
  const indexSize = (): Promise<string> => lab().sh('stat -c %s .glusterfs/changelogs/htime/*', lab().bricks[0]);
  const before = await indexSize();
  return { worker, expectNoRollover: async () => expect(await indexSize()).toBe(before) };
}

async function rollOver(): Promise<void> {
  await lab().gluster(['volume', 'set', 'gv0', 'changelog.rollover-time', String(ROLLOVER_S)]);
}

test('new files, appends, renames, links, removals and attributes arrive before the rollover', async () => {
  await lab().sh('mkdir d; echo old >d/log; echo x >d/gone; echo y >d/name; mkdir d/empty');
  const { worker, expectNoRollover } = await follow();
  await lab().sh('echo new >d/new');
  await arrives('cat d/new 2>/dev/null || true', 'new');
  await lab().sh('echo more >>d/log');
  await arrives('cat d/log', 'old\nmore');
  await lab().sh(
    'mv d/name d/renamed; ln d/new d/linked; rm d/gone; rmdir d/empty; mkdir -m 750 d/dir; ln -s new d/symlink',
  );
  await arrives('ls d | tr "\\n" " "', 'dir linked log new renamed symlink');
  await lab().sh('chmod 600 d/renamed; touch -d @1500000000 d/renamed; setfattr -n user.note -v text d/renamed');
  await arrives(
    'stat -c "%a %Y" d/renamed; getfattr -d d/renamed 2>/dev/null | grep user || true',
    '600 1500000000\nuser.note="text"',
  );
  await lab().sh('for i in {1..50}; do echo $i >d/t$i.tmp; mv d/t$i.tmp d/t$i; done');
  await lab().waitConverged(30_000);
  await expectNoRollover();

  // The second append has no record of its own until the changelog closes.
  await lab().sh('echo again >>d/log');
  await rollOver();
  await lab().waitConverged(30_000);
  await worker.stop();
});

test('a killed worker sends again what it sent of the open changelog', async () => {
  const { worker, expectNoRollover } = await follow();
  await lab().sh(
    'mkdir e; for i in {1..20}; do echo $i >e/f$i; mv e/f$i e/g$i; done; rm e/g1; echo other >e/g2.tmp; mv e/g2.tmp e/g2',
  );
  await arrives('cat e/g2 2>/dev/null || true', 'other');
  await expectNoRollover();
  await worker.kill();
  await lab().sh('mv e/g3 e/h3; rm e/g4; echo 5 >>e/g5; echo new >e/g4');
  const next = lab().startWorker();
  await rollOver();
  await lab().waitConverged(60_000);
  await next.stop();
});
