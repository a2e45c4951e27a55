// Rare events on a volume distributed over two bricks. See test/gluster/distribute.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { useLab } from '../gluster/lab/use-lab.js';
import type { WorkerHandle } from '../gluster/lab/worker.js';

const lab = useLab({ bricks: 2 });
const start = (): WorkerHandle[] => [0, 1].map((brick) => lab().startWorker({ brick }));

test('renames through a name that another brick later gave to a new file do not remove the new file', async () => {
  await lab().sh('mkdir way; cd way; for i in {1..60}; do printf old$i >f$i; done');
  const before = start();
  await lab().waitConverged(90_000);
  for (const worker of before) await worker.stop();
  await lab().sh('cd way; for i in {1..60}; do mv f$i g$i; mv g$i h$i; printf new$i >g$i; done');
  await sleep(4000);
  const workers = [lab().startWorker({ brick: 1 })];
  await workers[0]!.waitForLog(/finished history crawl/);
  await sleep(4000);
  workers.push(lab().startWorker({ brick: 0 }));
  await lab().waitConverged(90_000);
  for (const worker of workers) await worker.stop();
});

test('the worker mounts again when a brick refuses every handshake of the mount', async () => {
  // The first mount asks for a brick that does not exist, which refuses every handshake. GlusterFS itself did so once.
  await lab().sh(
    `mkdir refusing; cd refusing; ln -s "$(command -v gluster)" gluster
    printf '#!/bin/bash\nrefused=(--xlator-option=*-client-1.remote-subvolume=/nowhere); mkdir /srv/refused 2>/dev/null || refused=()\nexec %s "\${refused[@]}" "$@"\n' "$(command -v glusterfs)" >glusterfs; chmod +x glusterfs`,
    '/srv',
  );
  await lab().setConfig({ 'gluster-command-dir': '/srv/refusing' });
  const workers = start();
  await lab().sh('mkdir again; for i in {1..60}; do printf $i >again/f$i; done');
  await lab().waitConverged(90_000);
  await lab().sh('test -d /srv/refused');
  for (const worker of workers) {
    expect(await worker.log()).not.toContain('Subvols are not up');
    await worker.stop();
  }
  await lab().resetConfig('gluster-command-dir');
});
