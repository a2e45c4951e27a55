// Sharded volumes, as stores of virtual machines use them: a file's content lies in shards under /.shard, its size in an xattr
// of its base. The secondary has another shard size.
import { expect, test } from 'vitest';
import { nightly } from './nightly.js';
import { useLab } from './use-lab.js';
import type { Lab, LabOptions } from './lab.js';
import type { WorkerHandle } from './worker.js';

/** Reads holes, one call at a time, which creates their shards. If two reads create a shard at once, as those of a comparison
 *  do, GlusterFS 10 sometimes creates it without a record. The secondary is read-only and then refuses to read the hole. */
const READ_HOLES = 'for f in image holes-only grow; do dd if=$f of=/dev/null bs=128k iflag=direct status=none; done';

/** Files below, at and above one shard of 4 MiB, images with holes, and one file for each kind of change. */
const prepare = (dir: string): string => `mkdir ${dir}; cd ${dir}
: >empty; printf small >small; head -c 4194304 /dev/urandom >one-piece; head -c 4194305 /dev/urandom >one-byte-more
for f in append grow cut cut-to-0 old-content new-content removed relinked middle times; do head -c 9000000 /dev/urandom >$f; done
truncate -s 200M image; printf boot | dd of=image conv=notrunc status=none; head -c 70000 /dev/urandom | dd of=image bs=1M seek=100 conv=notrunc status=none
truncate -s 50M holes-only; ln middle middle-link
setfattr -n user.k -v v append; setfacl -m u:1000:r append; touch -d '2001-02-03 04:05:06' times; ${READ_HOLES}`;

const change = (dir: string): string => `cd ${dir}
head -c 6000000 /dev/urandom >>append; printf x >>empty; printf y >>small; printf z >>one-piece
truncate -s 30M grow; truncate -s 5000000 cut; truncate -s 0 cut-to-0; mv new-content old-content; rm removed
ln relinked relinked-too; rm relinked; printf middle | dd of=middle bs=1 seek=8500000 conv=notrunc status=none
touch -d '2002-03-04 05:06:07' times; head -c 5000000 /dev/urandom >new; mkdir sub; mv one-byte-more sub/moved
head -c 90000 /dev/urandom | dd of=image bs=1M seek=30 conv=notrunc status=none; truncate -s 150M image; truncate -s 160M image; ${READ_HOLES}`;

/** Registers the tests of one engine behind one secondary, on volumes of one brick or of another layout. */
export function shardScenarios(
  engine: 'rsync' | 'tarssh',
  secondary: 'own' | 'stock',
  layout: Pick<LabOptions, 'bricks' | 'layout' | 'metaVolume'> = {},
): void {
  const lab = useLab({
    ...layout,
    volumeOptions: {
      gv0: { 'features.shard': 'on', 'features.shard-block-size': '4MB' },
      sv0: { 'features.shard': 'on', 'features.shard-block-size': '16MB' },
    },
    config: { 'sync-method': engine },
  });
  let workers: WorkerHandle[] = [];
  const bricks = Array.from({ length: layout.bricks ?? 1 }, (_, brick) => brick);
  const start = (): void => {
    workers = bricks.map((brick) => lab().startWorker({ brick }));
  };
  const stop = async (): Promise<void> => {
    for (const worker of workers) await worker.stop();
  };

  test('a first sync, live changes, and changes while stopped arrive', async () => {
    if (secondary === 'own') await lab().useOwnSecondary();
    await lab().sh(`${prepare('live')}; cd ..; ${prepare('stopped')}`);
    start();
    await lab().waitConverged();
    await lab().sh(change('live'));
    await lab().waitConverged();
    await stop();
    await lab().sh(change('stopped'));
    start();
    await lab().waitConverged();
    expect(await imageBlocks(lab(), lab().secondary)).toBeLessThan(2 * (await imageBlocks(lab(), lab().primary)));
    for (const brick of bricks) expect((await lab().status(brick))['failures']).toBe(0);
  });

  test('the secondary has the same shards as the primary, and none of removed files', async () => {
    // Lists each copy once, without DHT's link files (mode 1000).
    const pieces = (volume: string): Promise<string> =>
      lab().sh(
        `for brick in ${volume}_*; do cd /srv/$brick/.shard; find . -type f ! -perm -1000 -printf '%P %s\n'; done | sort -u`,
        '/srv',
      );
    await lab()
      .until('the same pieces on both sides', async () => (await pieces('gv0')) === (await pieces('sv0')))
      .catch(() => undefined);
    expect(await pieces('sv0')).toBe(await pieces('gv0'));
    expect(await pieces('gv0')).not.toContain('remove_me');
  });

  nightly('with sync-xattrs off, sizes still arrive', async () => {
    await stop();
    await lab().setConfig({ 'sync-xattrs': 'false' });
    start();
    await lab().sh(
      `${prepare('bare')}; setfattr -x user.k append; cd ..; for f in live/append stopped/small; do head -c 7000000 /dev/urandom >>$f; done`,
    );
    await lab().waitConverged(60_000, { ignore: ['xattrs'] });
    await lab().sh(change('bare'));
    await lab().waitConverged(60_000, { ignore: ['xattrs'] });
    await stop();
    await lab().assertNoMountsLeft();
  });
}

async function imageBlocks(lab: Lab, root: string): Promise<number> {
  return Number((await lab.exec(['stat', '-c', '%b', `${root}/live/image`])).stdout);
}
