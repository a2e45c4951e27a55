// The benchmark's phases over a slow network: 40 ms each way, 20 Mbit/s. One brick a side, each side with its own daemon.
//   wan   a first sync of 600 files of 4 KiB, from "starting hybrid crawl" to "finished hybrid crawl"; 20 new files, from the
//         last write to equal trees; a backlog of two intervals made while stopped, from the worker's start to equal trees
import { setTimeout as sleep } from 'node:timers/promises';
import { changes, DAEMONS, measure, start, timeOf, type Who } from './bench-common.js';
import { Lab } from './lab/lab.js';
import { SLOW_PORT, slowLink } from './lab/slow-link.js';

const TREE = `python3 - <<'END'
import os
for i in range(600):
    d = 'tree/d%02d' % (i % 50)
    os.makedirs(d, exist_ok=True)
    with open('%s/f%04d' % (d, i), 'wb') as f: f.write(os.urandom(4096))
END`;
const LIMIT_MS = 300_000;

export async function benchWan(who: Who): Promise<void> {
  const lab = await Lab.start({
    gsyncd: DAEMONS[who],
    config: { 'secondary-access-mount': 'true', 'ssh-port': String(SLOW_PORT) },
  });
  const untilEqual = async (beganMs: number): Promise<number> => {
    await lab.waitConverged(LIMIT_MS);
    return (Date.now() - beganMs) / 1000;
  };
  try {
    await slowLink(lab, { delayMs: 40, bytesPerSecond: 2_500_000 });
    await lab.sh(TREE);
    const first = start(lab, who);
    await measure('WAN: first sync', who, [first], async () => {
      await first.waitForLog(/finished hybrid crawl/, LIMIT_MS);
      const log = await first.log();
      return timeOf(log, 'finished hybrid crawl') - timeOf(log, 'starting hybrid crawl');
    });
    await lab.waitConverged(LIMIT_MS);
    await sleep(5_000);
    await measure('WAN: live', who, [first], async () => {
      await lab.sh('mkdir live; for i in {1..20}; do printf $i >live/f$i; done');
      return untilEqual(Date.now());
    });
    await first.stop().catch(() => undefined);
    await lab.sh(changes(2, { of: 600, per: 200 }));
    const began = Date.now();
    const second = start(lab, who);
    await measure('WAN: backlog', who, [second], () => untilEqual(began));
    await second.stop().catch(() => undefined);
  } finally {
    await lab.close();
  }
}
