// Session options that change how data is sent, which programs send it and what is kept. Each is set as an administrator sets
// it, and its effect is read from the volumes and from the command lines that were run. More of them in test/nightly.
import { expect, test } from 'vitest';
import { useOptionLab } from './lab/option-lab.js';

const { lab, restart, current, runsOf } = useOptionLab();

test('ssh-command, ssh-port and rsync-ssh-options apply to the ssh that rsync uses', async () => {
  await restart({ 'ssh-port': '2222', 'rsync-ssh-options': '-oServerAliveInterval=7 -oIPQoS=throughput' });
  await lab().sh('mkdir way; for i in {1..20}; do printf $i >way/$i; done');
  await lab().waitConverged();
  const runs = await runsOf('ssh');
  expect(runs.filter((run) => !run.includes('-p 2222'))).toEqual([]);
  const ofRsync = runs.filter((run) => run.includes('rsync --server'));
  expect(ofRsync.length).toBeGreaterThan(0);
  for (const run of ofRsync) expect(run).toContain('-oServerAliveInterval=7 -oIPQoS=throughput');
  for (const run of runs) if (!run.includes('rsync --server')) expect(run).not.toContain('ServerAliveInterval=7');
});

test('ssh-options-tar applies to the ssh that tar uses', async () => {
  const key = '-oPasswordAuthentication=no -oStrictHostKeyChecking=no -i /var/lib/glusterd/geo-replication/tar_ssh.pem';
  await restart({ 'sync-method': 'tarssh', 'ssh-options-tar': `${key} -oServerAliveInterval=9` });
  await lab().sh('mkdir tarred; for i in {1..20}; do printf $i >tarred/$i; done');
  await lab().waitConverged();
  const ofTar = (await runsOf('ssh')).filter((run) => / tar --overwrite/.test(run));
  expect(ofTar.length).toBeGreaterThan(0);
  for (const run of ofTar) expect(run).toMatch(/tar_ssh\.pem -oServerAliveInterval=9 -p 2222 /);
});

test.each(['tarssh', 'rsync'])('sync-acls off: user xattrs arrive and ACLs do not, with %s', async (engine) => {
  await restart({ 'sync-method': engine, 'sync-acls': 'false' });
  const under = `acls-off-${engine}`;
  await lab().sh(
    `mkdir ${under}; cd ${under}; for f in acl both; do printf $f >$f; done; setfattr -n user.k -v v both; setfacl -m u:1001:rw acl; setfacl -m u:1001:rw both`,
  );
  await lab().waitConverged(60_000, { under, ignore: ['acls'] });
  const found = await lab().compare({ under });
  expect(found.differences.map((d) => d.path)).toEqual(['acl', 'both']);
});

test.each(['tarssh', 'rsync'])('sync-xattrs off: ACLs arrive and user xattrs do not, with %s', async (engine) => {
  await restart({ 'sync-method': engine, 'sync-acls': 'true', 'sync-xattrs': 'false' });
  const under = `xattrs-off-${engine}`;
  await lab().sh(
    `mkdir ${under}; cd ${under}; for f in acl both; do printf $f >$f; done; setfattr -n user.k -v v both; setfacl -m u:1001:rw acl; setfacl -m u:1001:rw both`,
  );
  await lab().waitConverged(60_000, { under, ignore: ['xattrs'] });
  const found = await lab().compare({ under });
  expect(found.differences.map((d) => d.path)).toEqual(['both']);
});

test('sync-acls and sync-xattrs off: file contents arrive', async () => {
  await restart({ 'sync-acls': 'false' });
  await lab().sh('mkdir off; cd off; printf both >both; setfattr -n user.k -v v both; setfacl -m u:1001:rw both');
  await lab().waitConverged(60_000, { under: 'off', ignore: ['xattrs', 'acls'] });
  await restart({ 'sync-xattrs': 'true', 'sync-acls': 'true' });
  await lab().sh('rm -r off xattrs-off-* acls-off-*');
  await lab().waitConverged();
});

test("log-rsync-performance, set while the worker runs, logs rsync's statistics", async () => {
  const worker = current();
  expect(await worker.log()).not.toContain('rsync performance');
  await lab().setConfig({ 'log-rsync-performance': 'true' });
  await lab().until('statistics', async () => {
    await lab().sh('date +%N >performance');
    return (await worker.log()).includes('rsync performance');
  });
  await worker.waitForLog(/rsync performance.*Number of files: \d+.*Total bytes sent/);
  await lab().setConfig({ 'log-rsync-performance': 'false' });
  await lab().waitConverged();
});

test('changelog-archive-format names the archives, and a batch takes no more changelogs than changelog-batch-size', async () => {
  await current().stop();
  const closed = `ls /srv/gv0_1/.glusterfs/changelogs/ | wc -l; find /srv/gv0_1/.glusterfs/changelogs -name 'CHANGELOG.[0-9]*' | wc -l`;
  const before = await lab().sh(closed);
  for (const name of ['one', 'two', 'three']) await lab().sh(`printf x >batch-${name}; sleep 3.5`);
  expect(await lab().sh(closed)).not.toBe(before);
  const worker = await restart({ 'changelog-archive-format': 'on-%Y-%j', 'changelog-batch-size': '1' });
  await lab().waitConverged();
  await worker.waitForLog(/finished history crawl/);
  const batches = [...(await worker.log()).matchAll(/Sync Time Taken|Batch Completed.*num_changelogs=(\d+)/g)]
    .map((match) => match[1])
    .filter((count) => count !== undefined);
  expect(batches.length).toBeGreaterThanOrEqual(3);
  expect(new Set(batches)).toEqual(new Set(['1']));
  const day = (await lab().sh('date +archive_on-%Y-%j.tar')).trim();
  let archives = '';
  await lab().until(
    'archive',
    async () => (archives = await lab().sh(`find . -name '${day}' -size +0`, '/var/lib/misc/gluster/gsyncd')) !== '',
  );
  const kept = (
    await lab().sh(
      `for a in ${archives.trim().split('\n').join(' ')}; do tar -tf $a; done`,
      '/var/lib/misc/gluster/gsyncd',
    )
  )
    .trim()
    .split('\n');
  expect(kept.length).toBeGreaterThanOrEqual(3);
  for (const name of kept) expect(name).toMatch(/^CHANGELOG\.\d{10}$/);
});

test('use-rsync-xattrs is passed to the secondary, and all changes arrive', async () => {
  const worker = await restart({ 'use-rsync-xattrs': 'true' });
  await lab().sh('mkdir marks; for i in {1..10}; do printf $i >marks/$i; done; setfattr -n user.k -v v marks/1');
  await lab().waitConverged();
  const secondaries = (await runsOf('ssh')).filter((run) => run.includes(' secondary '));
  expect(secondaries.at(-1)).toContain('--use-rsync-xattrs');
  await worker.stop();
  await lab().sh('printf more >>marks/2; rm marks/3');
  await restart({ 'use-rsync-xattrs': 'false' });
  await lab().waitConverged();
});

test('the mount uses gluster-params, gluster-command-dir and gluster-log-level; the worker working-dir and log-level', async () => {
  await current().stop();
  await lab().sh('mkdir sbin; for program in gluster glusterfs; do ln -s "$(command -v $program)" sbin/; done', '/srv');
  const file = `${lab().sessionDir}/gsyncd.conf`;
  await lab().exec([
    'bash',
    '-c',
    `cp ${file} /srv/gsyncd.conf; sed -i '/^\\[vars\\]/a working-dir:/srv/work' ${file}`,
  ]);
  const worker = await restart({
    'gluster-params': 'aux-gfid-mount acl negative-timeout=1',
    'gluster-command-dir': '/srv/sbin',
    'gluster-log-level': 'WARNING',
    'log-level': 'DEBUG',
  });
  await lab().sh('printf x >params');
  await lab().waitConverged();
  const mounts = [...(await lab().box.processes()).values()].filter((line) =>
    /glusterfs .*--aux-gfid-mount.*--volfile-id=gv0 /.test(line),
  );
  expect(mounts.length).toBeGreaterThan(0);
  for (const line of mounts)
    expect(line).toMatch(/^\/srv\/sbin\/glusterfs .*--negative-timeout=1.* --log-level=WARNING/);
  await worker.waitForLog(/^\[[^\]]+\] D \[/m);
  expect(await lab().sh('ls -d work/*/.processed | wc -l', '/srv')).toBe('1\n');
  await worker.stop();
  await lab().exec(['cp', '/srv/gsyncd.conf', file]);
});

test('a stop does not wait for a hanging transfer, and the next start sends the file', async () => {
  const worker = await restart({});
  await lab().sh('printf before >stopping');
  await lab().waitConverged();
  await runsOf('rsync');
  await lab().sh(`echo 'trap "" TERM; sleep 300' >before-rsync`, '/srv');
  await lab().sh('printf after >stopping');
  await lab().until('a transfer', async () => (await lab().sh('cat rsync.log || true', '/srv')) !== '');
  const startMs = Date.now();
  await worker.stop();
  expect(Date.now() - startMs).toBeLessThan(10_000);
  await lab().assertNoMountsLeft();
  await lab().sh('rm before-rsync', '/srv');
  await restart({});
  await lab().waitConverged();
});

test('rsync-options are passed to rsync', async () => {
  await restart({ 'rsync-options': '-W --bwlimit=50000' });
  await lab().waitConverged();
  await runsOf('rsync');
  await lab().sh('mkdir limited; for i in {1..5}; do printf $i >limited/$i; done');
  await lab().waitConverged();
  const runs = (await runsOf('rsync')).filter((run) => run.includes('--files-from'));
  expect(runs.length).toBeGreaterThan(0);
  for (const run of runs) expect(run).toMatch(/ -W --bwlimit=50000 /);
  await lab().resetConfig('rsync-options');
});

test('access-mount keeps mounts reachable until the worker ends, and state-file sets the place of the status file', async () => {
  const workerMounts = async (): Promise<string[]> =>
    (await lab().sh("awk '$1 ~ /:\\/?gv0$/ && $2 ~ /aux-mount/ {print $2}' /proc/mounts"))
      .split('\n')
      .filter((path) => path !== '');
  const file = `${lab().sessionDir}/gsyncd.conf`;
  await restart({ 'change-detector': 'changelog', 'access-mount': 'false' });
  await lab().sh('printf x >unreachable');
  await lab().waitConverged();
  expect(await workerMounts()).toEqual([]);
  await lab().exec([
    'bash',
    '-c',
    `mkdir /srv/state; sed -i '/^\\[vars\\]/a state-file:/srv/state/monitor.status' ${file}`,
  ]);
  const worker = await restart({ 'access-mount': 'true' });
  await lab().sh('printf x >reachable');
  await lab().waitConverged();
  const mounts = await workerMounts();
  expect(mounts).not.toEqual([]);
  for (const mount of mounts) expect(await lab().sh('cat reachable', mount)).toBe('x');
  expect(JSON.parse(await lab().sh('cat brick_*.status', '/srv/state'))).toMatchObject({ worker_status: 'Active' });
  await worker.stop();
  expect(await workerMounts()).toEqual([]);
  await lab().assertNoMountsLeft();
});
