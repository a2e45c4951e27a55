// The tarssh engine's way through first sync, history and live changes. It carries no user xattrs and no ACLs.
import { setTimeout as sleep } from 'node:timers/promises';
import { test } from 'vitest';
import { replicationScenarios } from './lab/replication-scenarios.js';

const { lab, worker, ignore } = replicationScenarios('tarssh', ['xattrs', 'acls']);

// A mount with caches gives the old content with the new time of a few of these, for seconds.
test('what is overwritten in place arrives, also when the worker comes to it late, again and again', async () => {
  worker();
  await lab().sh('mkdir late; for i in {1..300}; do printf 00000 >late/f$i; done');
  await lab().waitConverged(60_000, { ignore, under: 'late' });
  for (const round of [1, 2, 3]) {
    await worker().signal('SIGSTOP');
    await lab().sh(`for i in {1..300}; do printf ${round} | dd of=late/f$i bs=1 seek=4 conv=notrunc status=none; done`);
    await sleep(5000);
    await worker().signal('SIGCONT');
    await lab().waitConverged(60_000, { ignore, under: 'late' });
  }
});
