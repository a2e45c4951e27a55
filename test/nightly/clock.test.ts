// The primary's clock runs an hour ahead and is then set back, as NTP does on a machine that booted with a wrong clock.
// Changelogs and marks written afterwards are an hour older than the existing ones.
import { beforeAll, expect, test } from 'vitest';
import { useLab } from '../gluster/lab/use-lab.js';
import type { WorkerHandle } from '../gluster/lab/worker.js';

const CLOCK = '/srv/clock';
const lab = useLab({ gsyncd: 'ours' });
let env: Record<string, string> = {};

/** Sets the clock of glusterd, the bricks and the workers `seconds` ahead. */
async function setClock(seconds: number): Promise<void> {
  await lab().sh(`echo +${seconds} >${CLOCK}.new && mv ${CLOCK}.new ${CLOCK}`);
}

beforeAll(async () => {
  const library = (await lab().sh('ls /usr/lib/*/faketime/libfaketimeMT.so.1')).trim();
  env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: CLOCK,
    FAKETIME_CACHE_DURATION: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  };
  await setClock(3600);
  await lab().gluster(['volume', 'stop', 'gv0', 'force']);
  await lab().sh('kill $(pgrep -x glusterd); while pgrep -x glusterd; do sleep 0.1; done', '/srv');
  await lab().exec(['glusterd'], { env });
  await lab().until('glusterd', async () => (await lab().gluster(['volume', 'start', 'gv0'], 'return')).code === 0);
  await lab().until(
    'the primary',
    async () => (await lab().exec(['ls', lab().primary], { onFailure: 'return' })).code === 0,
  );
}, 60_000);

const startWorker = (): WorkerHandle => lab().startWorker({ env });

/** Includes unlinks and renames, which a walk of the tree cannot see. */
const change = (name: string): Promise<string> =>
  lab().sh(
    `printf ${name} >new-${name}; printf ${name} >>kept; rm gone-${name}; mv moved-${name} moved-to-${name}; mv dir-${name} dir-to-${name}; chmod 0640 mode-${name}`,
  );

const prepare = (...names: string[]): Promise<string> =>
  lab().sh(
    names
      .map(
        (name) =>
          `printf x >gone-${name}; printf y >moved-${name}; printf z >mode-${name}; mkdir -p dir-${name}/in; printf w >dir-${name}/in/file`,
      )
      .join('; '),
  );

/** Waits until last_synced is at most a minute ahead of the clock and half an hour behind it. */
async function expectMarkOfToday(): Promise<void> {
  const behind = async (): Promise<number> => Date.now() / 1000 - Number((await lab().status())['last_synced']);
  await lab().until('a mark of today', async () => (await behind()) > -60 && (await behind()) < 1800);
}

test('changes after the clock was set back are replicated, live and by the history crawl of the next start', async () => {
  await prepare('live', 'stopped', 'killed');
  const first = startWorker();
  await lab().waitConverged();
  await first.waitForLog(/starting changelog crawl|Changelog Crawl/);
  await lab().sh('printf ahead >ahead');
  await lab().waitConverged();

  await setClock(0);
  await change('live');
  await lab().waitConverged();
  await first.waitForLog(/clock .*set back/);
  await expectMarkOfToday();
  await first.stop();

  await change('stopped');
  const second = startWorker();
  await lab().waitConverged();
  await expectMarkOfToday();
  await second.kill();

  await change('killed');
  const third = startWorker();
  await lab().waitConverged();
  expect(await third.log()).not.toMatch(/set back/);
  await third.stop();
});

test('changes made while no worker ran and the clock was set back are replicated', async () => {
  await setClock(3600);
  await prepare('away', 'after');
  const first = startWorker();
  await lab().waitConverged();
  await first.stop();
  await lab().sh('printf more >>ahead; printf unseen >unseen; rm kept');

  await setClock(0);
  await change('away');
  const second = startWorker();
  await lab().waitConverged();
  await second.waitForLog(/clock .*set back/);
  await expectMarkOfToday();
  await second.kill();

  await change('after');
  const third = startWorker();
  await lab().waitConverged();
  await third.stop();
  expect((await lab().status())['failures']).toBe(0);
});

test('with a stime in the future that no changelog explains, changes, deletes and renames are still replicated', async () => {
  await prepare('future');
  const first = startWorker();
  await lab().waitConverged();
  await first.stop();
  await change('future');
  // A passive worker could have copied such a stime from a brick whose clock was ahead.
  await lab().sh(
    `name=$(getfattr -m '[.]stime$' --absolute-names . | grep stime); setfattr -n "$name" -v "0x$(printf %08x $(($(date +%s) + 3600)))00000000" .`,
    '/srv/gv0_1',
  );
  const second = startWorker();
  await lab().waitConverged();
  await second.waitForLog(/clock set back, no changelog/);
  await expectMarkOfToday();
  await second.stop();
  expect((await lab().status())['failures']).toBe(0);
  await lab().assertNoMountsLeft();
});
