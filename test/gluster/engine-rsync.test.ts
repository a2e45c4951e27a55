// The rsync engine: first sync, history and live changes, and the attributes that only it carries.
import { expect, test } from 'vitest';
import { DIRECTORY_ATTRIBUTES, FILE_ATTRIBUTES } from './lab/fixtures.js';
import { PATHS } from './lab/pair.js';
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

/** Names of a file's xattrs on the secondary's brick, without those that every file there has. */
async function keptOnBrick(path: string): Promise<string[]> {
  const listed = await lab().sh(
    `getfattr -d -m - ${path} 2>/dev/null | sed -n 's/=.*//p' | grep -vE '^trusted[.](gfid|glusterfs[.](mdata|dht)|glusterfs[.].*[.]xtime)' | sort`,
    '/srv/sv0_1',
  );
  return listed.trim().split('\n');
}

test("the users' xattrs and access ACLs arrive; other namespaces do not, and are no failures", async () => {
  await lab().sh(`mkdir kinds; cd kinds; printf x >f; mkdir d; for at in f d; do
    setfattr -n user.k -v v $at; setfattr -n trusted.mine -v v $at; setfattr -n security.mine -v v $at; setfacl -m u:1000:r $at; done
    setfacl -d -m u:1000:r d`);
  worker();
  await lab().waitConverged(60_000, { ignore, under: 'kinds' });
  for (const at of ['kinds/f', 'kinds/d']) expect(await keptOnBrick(at)).toEqual(['system.posix_acl_access', 'user.k']);
  expect((await lab().status())['failures']).toBe(0);
});

// See COMPATIBILITY.md's table of xattrs: no daemon can replicate an xattr that GlusterFS drops here.
test("GlusterFS keeps only user and shard xattrs that geo-replication's client sets, and reports success for others", async () => {
  const refused = [
    'trusted.mine',
    'security.mine',
    'security.selinux',
    'trusted.glusterfs.selinux',
    'trusted.glusterfs.quota.limit-set',
    'trusted.bit-rot.version',
    'trusted.worm_file',
    'trusted.start_time',
    'trusted.reten_state',
    'trusted.gfid2path.0123456789abcdef',
    'trusted.afr.x',
    'trusted.ec.version',
  ];
  const kept = ['trusted.glusterfs.shard.block-size', 'trusted.glusterfs.shard.file-size', 'user.k'];
  await lab().mountSecondaryWritable();
  await lab().sh(
    `: >probe; for name in ${[...refused, ...kept].join(' ')}; do setfattr -n $name -v 0x0000000000400000 probe; done
    setfattr -n security.capability -v 0x0100000200200000000000000000000000000000 probe`,
    PATHS.secondaryWritable,
  );
  expect(await keptOnBrick('probe')).toEqual(kept);
  await lab().sh('rm probe', PATHS.secondaryWritable);
});

// The clients of both volumes cached the first places, so they take the second ones for a cycle and refuse them until the
// worker has started again, in its process.
test('xattrs of directories arrive after a parent and its child directory swapped places', async () => {
  worker();
  await lab().sh(
    'mkdir -p places/above/below/inner; cd places; setfattr -n user.k -v 1 above; setfattr -n user.k -v 1 above/below; setfattr -n user.k -v 1 above/below/inner',
  );
  await lab().waitConverged(60_000, { ignore, under: 'places' });
  await lab().sh(
    'cd places; mv above/below below; mv above below/above; setfattr -n user.k -v 2 below/above; setfattr -x user.k below/inner; mkdir below/above/new; setfattr -n user.k -v 3 below/above/new',
  );
  await lab().waitConverged(60_000, { ignore, under: 'places' });
  await lab().sh(
    'cd places; printf moved >below/above/new/f; mv below/above/new .; mv below new/; setfattr -n user.k -v 4 new/below/above',
  );
  await lab().waitConverged(60_000, { ignore, under: 'places' });
  expect(await worker().log()).toContain('starting again, with fresh mounts');
});

test('with sync-xattrs off, contents arrive and user xattrs do not', async () => {
  if (worker().running) await worker().stop();
  await lab().setConfig({ 'sync-xattrs': 'false' });
  worker();
  await lab().sh('mkdir off; printf kept >off/f; setfattr -n user.k -v v off/f');
  await lab().waitConverged(60_000, { under: 'off', ignore: [...ignore, 'xattrs'] });
  const found = await lab().compare({ ignore, under: 'off' });
  expect(found.differences.map((d) => d.path)).toEqual(['f']);
  await worker().stop();
});
