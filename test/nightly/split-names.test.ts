// Names in split-brain on a replicated secondary whose bricks are all up. GlusterFS answers ENOTCONN for some, as without
// quorum, and EIO for others. They go to the failure list and delay nothing else.
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { useLab } from '../gluster/lab/use-lab.js';

const WORKING_DIR = '/var/lib/misc/gluster/gsyncd';

describe.each([
  ['stock', 'rsync'],
  ['ours', 'tarssh'],
] as const)('behind the %s secondary, with %s', (gsyncd, engine) => {
  const lab = useLab({
    bricks: 3,
    layout: 'arbiter',
    gsyncd,
    config: { 'max-rsync-retries': '2', 'sync-method': engine },
  });

  /** Runs `script` in the root of each brick of the secondary. `$b` is the brick's number, `$o` and `$p` are the client numbers
   *  of the other bricks of its set. */
  const onBricks = async (script: string): Promise<void> => {
    for (let b = 0; b < 3; b++)
      await lab().sh(`b=${b + 1} o=${(b + 1) % 3} p=${(b + 2) % 3}; ${script}`, `/srv/sv0_${b + 1}`);
  };
  const failures = async (): Promise<number> => (await lab().status())['failures'] as number;
  const list = (): Promise<string> => lab().sh('find . -path "*gv0_*" -name failures -exec cat {} +', WORKING_DIR);
  const others = (root: string): Promise<string> => lab().sh('cd others; find . | sort; cat f* || true', root);

  test('files, symlinks and directories in split-brain stay on the failure list until healed; the rest replicates', async () => {
    let worker = lab().startWorker();
    await lab().sh(
      `mkdir split others; cd split; echo 1 >file; echo 2 >owned; echo 3 >gone; ln -s x link; mkdir dir; echo 4 >dir/f; echo 5 >dir/going; echo 6 >moved; echo 7 >mismatch; for i in {1..20}; do echo $i >moved_$i; echo $i >gone_$i; done`,
    );
    await lab().waitConverged(90_000);
    const before = await worker.pid();
    // Each copy accuses both others (trusted.afr): of data, of metadata, of entries.
    await onBricks(`cd split; for c in $o $p; do
      for f in file owned gone* moved*; do [ ! -e $f ] || setfattr -n trusted.afr.sv0-client-$c -v 0x000000010000000100000000 $f; done
      setfattr -n trusted.afr.sv0-client-$c -v 0x000000000000000100000001 dir; done
      for f in link mismatch; do [ -e $f -o -h $f ] || continue; getfattr -h -n trusted.gfid -e hex --only-values $f | od -An -tx1 | tr -d ' \\n' >/srv/gfid-of-$f; setfattr -h -n trusted.gfid -v 0x0000000000000000000000000000010$b $f; done`);
    await sleep(3000);

    await lab()
      .sh(`cd split; echo more >>file; chown 12:34 owned; rm gone; mv moved moved-on; for i in {1..20}; do mv moved_$i on_$i; rm gone_$i; done; echo more >>dir/f; rm dir/going; echo new >dir/new; rm link; echo more >>mismatch
      cd ../others; for i in {1..60}; do echo $i >f$i; done; mkdir -p d/e; ln -s x s; mv f1 d/e`);
    await lab().until(
      'the rest',
      async () => (await others(lab().secondary)) === (await others(lab().primary)),
      120_000,
    );
    await lab().until('failures', async () => (await failures()) > 0, 60_000);
    // The worker retries them meanwhile, and every retry fails.
    await lab().sh(`echo late >others/f-late`);
    await lab().until(
      'the late one',
      async () => (await others(lab().secondary)) === (await others(lab().primary)),
      120_000,
    );
    expect(await worker.pid()).toBe(before);
    const listed = await list();
    for (const name of ['going', 'new', 'gone', 'moved', 'link']) expect(listed).toContain(`/${name}\t`);
    for (const kind of ['data', 'meta']) expect(listed).toMatch(new RegExp(`\t${kind}\t.*\n`));
    expect(listed).toContain('split-brain');
    // The next worker starts with the same failure list.
    await worker.kill();
    worker = lab().startWorker();
    await lab().sh(`echo after >others/f-after`);
    await lab().until(
      'what comes after the kill',
      async () => (await others(lab().secondary)) === (await others(lab().primary)),
      120_000,
    );
    const next = await worker.pid();

    await onBricks(`cd split; for c in $o $p; do for f in file owned gone* moved* on_* dir; do [ ! -e $f ] || setfattr -x trusted.afr.sv0-client-$c $f 2>/dev/null || true; done; done
      for f in link mismatch; do [ ! -e $f -a ! -h $f ] || setfattr -h -n trusted.gfid -v 0x$(cat /srv/gfid-of-$f) $f; done`);
    await lab().waitConverged(120_000);
    await lab().until('no failure', async () => (await failures()) === 0, 60_000);
    expect(await worker.pid()).toBe(next);
    await worker.stop();
    await lab().assertNoMountsLeft();
  });
});
