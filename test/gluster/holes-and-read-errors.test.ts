// Files with holes, whose transfer must cost only the allocated part; and files that the primary's bricks cannot read, of
// which the secondary must keep its copy.
import { describe, expect, test } from 'vitest';
import { NIGHTLY } from './lab/nightly.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

describe.each(NIGHTLY ? ['rsync', 'tarssh'] : ['rsync'])('%s', (engine) => {
  const lab = useLab({
    brickDisks: 'xfs',
    volumeOptions: { gv0: { 'debug.error-gen': 'posix', 'debug.error-fops': 'read', 'debug.error-failure': '0' } },
    config: { 'sync-method': engine },
  });
  let worker: WorkerHandle;
  const kilobytes = async (name: string): Promise<number> =>
    Number((await lab().sh(`du -k ${name} | cut -f1`, '/srv/sv0_1')).trim());

  test('files with holes arrive with their holes, also after a small change of a huge one', async () => {
    await lab().useOwnSecondary();
    await lab().sh(`truncate -s 8G huge; head -c 4096 /dev/urandom | dd of=huge bs=1M seek=5000 conv=notrunc status=none
      mkdir dir; cd dir; truncate -s 40M half; for at in 0 2 4 6 8 10; do head -c 1500000 /dev/urandom | dd of=half bs=1M seek=$((at * 3)) conv=notrunc status=none; done
      truncate -s 20M only-a-hole; setfattr -n user.k -v v half; setfacl -m u:1000:r half`);
    worker = lab().startWorker();
    // Reading the whole file would take long.
    const parts = (root: string): Promise<string> =>
      lab().sh(
        'for at in 0 100 5000; do dd if=huge bs=1M skip=$at count=1 status=none | sha256sum; done; stat -c "%s %Y" huge',
        root,
      );
    const untilHuge = (): Promise<void> =>
      lab().until(
        'the huge file',
        async () => (await parts(lab().secondary).catch(() => '')) === (await parts(lab().primary)),
        60_000,
      );
    await untilHuge();
    await lab().waitConverged(60_000, { under: 'dir' });
    await lab().sh(
      'printf end | dd of=huge bs=1M seek=100 conv=notrunc status=none; cd dir; printf x | dd of=half bs=1 seek=5 conv=notrunc status=none; head -c 1000000 /dev/urandom >>half',
    );
    await untilHuge();
    await lab().waitConverged(60_000, { under: 'dir' });
    expect(await kilobytes('huge')).toBeLessThan(1_000);
    expect(await kilobytes('dir/half')).toBeLessThan(16_000);
    expect(await kilobytes('dir/only-a-hole')).toBeLessThan(1_000);
    await lab().sh('rm huge');
    await lab().waitConverged();
  });

  test('the secondary keeps its copies of unreadable files, other changes arrive, and these arrive once readable', async () => {
    // A lookup returns the content of small files without a read.
    await lab().sh(
      'for f in large larger; do head -c 3000000 /dev/urandom >$f; done; head -c 3000000 /dev/urandom >>larger; printf gone >removed',
    );
    await lab().waitConverged();
    const sums = (): Promise<string> => lab().sh('sha256sum large larger', lab().secondary);
    const before = await sums();
    await lab().gluster(['volume', 'set', 'gv0', 'debug.error-failure', '100']);
    await lab().sh(
      'for f in large larger; do printf new | dd of=$f bs=1 seek=2 conv=notrunc status=none; done; rm removed; mkdir later; : >later/empty; mv dir/half renamed',
    );
    // tar sends renamed files, too.
    const unreadable = engine === 'tarssh' ? 3 : 2;
    await lab().until('the files on the list', async () => (await lab().status())['failures'] === unreadable, 60_000);
    await lab().until(
      'what can be done without reading',
      async () => (await lab().sh('ls', lab().secondary)) === (await lab().sh('ls')),
    );
    expect(await sums()).toBe(before);
    const list = (await lab().sh("cat $(find . -path '*gv0_1*' -name failures)", '/var/lib/misc/gluster/gsyncd'))
      .trim()
      .split('\n');
    // The translator chooses the errno.
    for (const line of list) expect(line).toMatch(/\tdata\t.*\tE[A-Z]+: .*, read$/);

    await lab().gluster(['volume', 'set', 'gv0', 'debug.error-failure', '0']);
    await lab().waitConverged();
    await lab().until('no failure', async () => (await lab().status())['failures'] === 0);
    await worker.stop();
    await lab().assertNoMountsLeft();
  });
});
