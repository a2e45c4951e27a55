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
