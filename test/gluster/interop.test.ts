// One session passes from gsyncd to gsyncd: the stock one and this project's on either side, in all four pairs, two of them in
// nightly runs only. Each pair replicates changes made while none ran, with rsync, then live changes, with tar. Nothing is
// lost, and files in sync are not sent again. rsync's statistics tell what it sent, since its deltas hide this from the
// secondary's brick; tar has no deltas and writes all that it sends.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { bigFile, EVERY_TYPE, smallFiles } from './lab/fixtures.js';
import type { Gsyncd } from './lab/lab.js';
import { NIGHTLY } from './lab/nightly.js';
import { restarted, untilLive, waitForStock } from './lab/stock-worker.js';
import { useCluster } from './lab/use-lab.js';

// The access mount lets newer versions of rsync write through a stock secondary.
const cluster = useCluster({
  primaries: 1,
  secondaries: 1,
  config: { 'secondary-access-mount': 'true', 'change-interval': '1', 'log-rsync-performance': 'true' },
});
const PAIRS: readonly (readonly [Gsyncd, Gsyncd])[] = NIGHTLY
  ? [
      ['stock', 'stock'],
      ['ours', 'stock'],
      ['ours', 'ours'],
      ['stock', 'ours'],
      ['stock', 'stock'],
    ]
  : [
      ['stock', 'stock'],
      ['ours', 'ours'],
    ];
const MIB = 2 ** 20;
/** The files that changes() and lastChangelog() leave to be sent, and nearly all of their bytes. */
const CHANGED_FILES = 35;
const CHANGED_BYTES = 900_000;

/** Bytes written to the secondary's brick since the last call. */
async function written(): Promise<number> {
  const { stdout } = await cluster().secondaries[0]!.gluster(['volume', 'profile', 'sv0', 'info', 'incremental']);
  return Number(/Data Written: (\d+)/.exec(stdout)?.[1] ?? 0);
}

interface Sent {
  readonly files: number;
  readonly bytes: number;
}
let readLog = 0;

/** Regular files that the workers' rsyncs sent since the last call, and their bytes before any delta. */
async function sent(): Promise<Sent> {
  const log = await cluster()
    .primaries[0]!.read(cluster().sessionLog)
    .catch(() => '');
  const runs = log
    .slice(readLog)
    .split('\n')
    .filter((line) => line.includes('rsync performance'));
  readLog = log.length;
  const sum = (what: string): number => {
    const number = new RegExp(`${what}: ([\\d,]+)`);
    return runs.reduce((total, line) => total + Number(number.exec(line)?.[1]?.replaceAll(',', '')), 0);
  };
  return { files: sum('Number of regular files transferred'), bytes: sum('Total transferred file size') };
}

/** Changes of about 1 MiB that a stock gsyncd can replicate too. */
function changes(name: string): string {
  return `mkdir -p ${name}/d/e; cd ${name}
head -c ${CHANGED_BYTES} /dev/urandom >data; printf ${name} >f; ln f f-link; ln -s f s; for i in {1..40}; do printf $i >d/$i; done
for i in {1..10}; do mv d/$i d/e/m$i; done; rm d/2?; mv d/30 d/31; chmod 640 d/32; mkdir gone; printf x >gone/x; rm -r gone
printf ${name} >>../shared; touch -d 2002-02-02 d/33; mv d/e e; printf 'ü' >'ü ${name} %20'`;
}

/** At each start a stock worker replays the last completed changelog, and sometimes fails on it for good. This one holds only a
 *  new file. */
async function lastChangelog(file: string): Promise<void> {
  await sleep(5_000);
  await cluster().sh(`printf x >${file}`);
}

// One failed turn must not fail all later ones.
afterEach(async () => {
  await cluster()
    .session(['stop', 'force'])
    .catch(() => undefined);
  await cluster()
    .session(['config', '!sync-method'])
    .catch(() => undefined);
});

test.each(PAIRS.map((pair, turn) => ({ turn, pair, title: pair.join(' to ') })))(
  '$turn: $title',
  async ({ turn, pair }) => {
    const first = turn === 0;
    await cluster().install(...pair);
    // Small files would bypass rsync, whose transfers are counted.
    if (pair[0] === 'ours') await cluster().session(['config', 'small-file-size', '0']);
    if (first) {
      await cluster().sh(EVERY_TYPE);
      await cluster().sh(`mkdir bulk; ${bigFile('bulk/big', 20)}; printf shared >shared`);
      await cluster().sh(smallFiles('bulk/small', 400));
      await cluster().secondaries[0]!.gluster(['volume', 'profile', 'sv0', 'start']);
    }
    await cluster().sh(changes(`stopped-${turn}`));
    await lastChangelog(`stopped-${turn}-last`);
    await sent();
    await cluster().session(['start']);
    const ignore = ['rdev', 'acls', 'xattrs'] as const;
    await cluster().waitConverged(120_000, { ignore });
    // A stock worker that is stopped before it has noted that a batch is done sends the batch again.
    await untilLive(cluster());
    const { files, bytes } = await sent();
    if (first) {
      expect(files).toBeGreaterThan(400);
      expect(bytes).toBeGreaterThan(20 * MIB);
    } else {
      // Twice as much would mean that files which the last turn sent with tar are sent again.
      expect(files).toBeGreaterThan(0.8 * CHANGED_FILES);
      expect(files).toBeLessThan(1.8 * CHANGED_FILES);
      expect(bytes).toBeGreaterThanOrEqual(CHANGED_BYTES);
      expect(bytes).toBeLessThan(1.8 * CHANGED_BYTES);
    }
    await written();

    // How stock takes its own changes up with tar is for nightly runs.
    if (NIGHTLY || pair[0] === 'ours') await liveWithTar(turn, pair, { ignore });
    await cluster().session(['stop', 'force']);
    await cluster().session(['config', '!sync-method']);
    if (pair[0] === 'ours') await cluster().assertNoMountsLeft();
    else await cluster().excuseMountsLeft();
  },
);

async function liveWithTar(
  turn: number,
  pair: readonly [Gsyncd, Gsyncd],
  options: { ignore: readonly ['rdev', 'acls', 'xattrs'] },
): Promise<void> {
  await cluster().session(['stop']);
  await cluster().session(['config', 'sync-method', 'tarssh']);
  await cluster().session(['start']);
  await cluster()
    .until(
      'the new worker',
      async () =>
        (
          await cluster()
            .status(0)
            .catch(() => undefined)
        )?.['crawl_status'] !== 'Changelog Crawl',
      15_000,
    )
    .catch(() => undefined);
  await untilLive(cluster());
  await cluster().sh(changes(`live-${turn}`));
  await lastChangelog(`live-${turn}-last`);
  if (pair[0] === 'stock') await waitForStock(cluster(), restarted(cluster()), options);
  else await cluster().waitConverged(120_000, options);
  expect(await written()).toBeLessThan(3 * MIB);
}
