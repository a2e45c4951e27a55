// The rsync engine's way through first sync, history and live changes, and the attributes that only it carries.
import { expect, test } from 'vitest';
import { DIRECTORY_ATTRIBUTES, FILE_ATTRIBUTES } from './lab/fixtures.js';
import { replicationScenarios } from './lab/replication-scenarios.js';

const { lab, worker, ignore } = replicationScenarios('rsync', []);

test('user xattrs and ACLs of files arrive when set, changed and removed', async () => {
  await lab().sh(FILE_ATTRIBUTES);
  worker();
  await lab().waitConverged(60_000, { ignore });
  await lab().sh(`cd attrs; setfattr -n user.comment -v changed xattr; setfattr -x user.binary xattr
    setfacl -m u:1000:r acl; setfacl -b both; setfattr -n user.late -v 1 both`);
  await lab().waitConverged(60_000, { ignore });
});

test('user xattrs and ACLs of directories arrive', async () => {
  await lab().sh(DIRECTORY_ATTRIBUTES);
  worker();
  await lab().waitConverged(60_000, { ignore });
});

test('with sync-xattrs off, user xattrs stay behind and contents arrive', async () => {
  if (worker().running) await worker().stop();
  await lab().setConfig({ 'sync-xattrs': 'false' });
  worker();
  await lab().sh('printf kept >plain-xattr; setfattr -n user.k -v v plain-xattr');
  await lab().waitConverged(60_000, { ignore: [...ignore, 'xattrs'] });
  const found = await lab().compare({ ignore });
  expect(found.differences.map((d) => d.path)).toEqual(['plain-xattr']);
  await worker().stop();
});
