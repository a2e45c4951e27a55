// A session to a user who is not root on the secondary's node, and mounts through glusterd's mount broker.
import { expect, test } from 'vitest';
import { EVERY_TYPE, everyOperation, SPECIAL_FILES } from './lab/fixtures.js';
import { useCluster } from './lab/use-lab.js';

const cluster = useCluster({ primaries: 1, secondaries: 1, gsyncd: ['ours', 'ours'], secondaryUser: 'geo' });
const processesOf = async (user: string): Promise<string> => (await cluster().secondaries[0]!.exec(['ps', '-U', user, '-o', 'args='], { onFailure: 'return' })).stdout;

test.each(['rsync', 'tarssh'])('with %s, a first sync and live changes arrive', async (engine) => {
  await cluster().session(['config', 'sync-method', engine]);
  await cluster().sh(`mkdir ${engine}; cd ${engine}\n(${EVERY_TYPE})\n(${SPECIAL_FILES})`);
  await cluster().sh(everyOperation(`${engine}/ops`).prepare);
  await cluster().session(['start']);
  await cluster().waitConverged(90_000, { under: engine });
  expect(await processesOf('geo')).toContain('gsyncd-ts.js secondary');
  await cluster().sh(everyOperation(`${engine}/ops`).change);
  await cluster().waitConverged(90_000);
  await cluster().session(['stop']);
  await cluster().until('no process of the user', async () => (await processesOf('geo')).trim() === '');
  expect((await cluster().secondaries[0]!.read('/proc/1/mounts'))).not.toContain('mountbroker-root/');
});
