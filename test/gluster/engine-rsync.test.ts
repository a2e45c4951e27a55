// The rsync engine's way through first sync, history and live changes, and the attributes that only it carries.
import { expect, test } from 'vitest';
import { DIRECTORY_ATTRIBUTES, FILE_ATTRIBUTES } from './lab/fixtures.js';
import { replicationScenarios } from './lab/replication-scenarios.js';

const { lab, worker, ignore } = replicationScenarios('rsync', []);

test('user xattrs and ACLs of files arrive when set, changed and removed', async () => {
  await lab().sh(FILE_ATTRIBUTES);
  worker();
  await lab().waitConverged(60_000, { ignore, under: 'attrs' });
  await lab().sh(`cd attrs; setfattr -n user.comment -v changed xattr; setfattr -x user.binary xattr
    setfacl -m u:1000:r acl; setfacl -b both; setfattr -n user.late -v 1 both`);
  await lab().waitConverged(60_000, { ignore, under: 'attrs' });
});

test('user xattrs and ACLs of directories arrive', async () => {
  await lab().sh(DIRECTORY_ATTRIBUTES);
  worker();
  await lab().waitConverged(60_000, { ignore, under: 'dirattrs' });
});

// The clients of both volumes have seen the first places, take the second ones for a cycle, and deny them.
test('xattrs of directories arrive after these have changed places, one above the other', async () => {
  worker();
  await lab().sh('mkdir -p places/above/below/inner; cd places; setfattr -n user.k -v 1 above; setfattr -n user.k -v 1 above/below; setfattr -n user.k -v 1 above/below/inner');
  await lab().waitConverged(60_000, { ignore, under: 'places' });
  await lab().sh('cd places; mv above/below below; mv above below/above; setfattr -n user.k -v 2 below/above; setfattr -x user.k below/inner; mkdir below/above/new; setfattr -n user.k -v 3 below/above/new');
  await lab().waitConverged(60_000, { ignore, under: 'places' });
  await lab().sh('cd places; printf moved >below/above/new/f; mv below/above/new .; mv below new/; setfattr -n user.k -v 4 new/below/above');
  await lab().waitConverged(60_000, { ignore, under: 'places' });
});

test('with sync-xattrs off, user xattrs stay behind and contents arrive', async () => {
  if (worker().running) await worker().stop();
  await lab().setConfig({ 'sync-xattrs': 'false' });
  worker();
  await lab().sh('mkdir off; printf kept >off/f; setfattr -n user.k -v v off/f');
  await lab().waitConverged(60_000, { under: 'off', ignore: [...ignore, 'xattrs'] });
  const found = await lab().compare({ ignore, under: 'off' });
  expect(found.differences.map((d) => d.path)).toEqual(['f']);
  await worker().stop();
});
