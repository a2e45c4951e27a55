// Options of a session that change how data travels, which programs carry it and what is kept: each is set as an admin
// sets it, and what it does is read from the volumes and from the command lines that were run.
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, expect, test } from 'vitest';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab();
let current: WorkerHandle | undefined;

/** Starts the worker with these options beside the earlier ones. */
async function restart(config: Readonly<Record<string, string>>): Promise<WorkerHandle> {
  if (current?.running) await current.stop();
  await lab().setConfig(config);
  return (current = lab().startWorker());
}

/** The command lines that a program of `/srv` was run with, since the last call. */
async function runsOf(program: 'ssh' | 'rsync'): Promise<string[]> {
  const lines = (await lab().sh(`touch ${program}.log; mv ${program}.log ${program}.seen; cat ${program}.seen`, '/srv')).split('\n');
  return lines.filter((line) => line !== '');
}

// Each notes its command line, and does what a test asks for before it does its work.
beforeAll(async () => {
  await lab().sh(`for program in ssh rsync; do
      printf '#!/bin/bash\\necho "$*" >>/srv/%s.log\\n[ ! -e /srv/before-%s ] || . /srv/before-%s "$@"\\nexec /usr/bin/%s "$@"\\n' $program $program $program $program >$program
    done; chmod 755 ssh rsync
    /usr/sbin/sshd -f /dev/null -h /run/sshd/host_key -p 2222 -o UsePAM=yes -o PermitRootLogin=yes -o PidFile=/run/sshd-2222.pid`, '/srv');
  await lab().setConfig({ 'ssh-command': '/srv/ssh', 'rsync-command': '/srv/rsync' });
}, 60_000);

test('ssh-command, ssh-port and rsync-ssh-options make the way that rsync takes', async () => {
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

test('ssh-options-tar make the way that tar takes', async () => {
  const key = '-oPasswordAuthentication=no -oStrictHostKeyChecking=no -i /var/lib/glusterd/geo-replication/tar_ssh.pem';
  await restart({ 'sync-method': 'tarssh', 'ssh-options-tar': `${key} -oServerAliveInterval=9` });
  await lab().sh('mkdir tarred; for i in {1..20}; do printf $i >tarred/$i; done');
  await lab().waitConverged();
  const ofTar = (await runsOf('ssh')).filter((run) => / tar --overwrite/.test(run));
  expect(ofTar.length).toBeGreaterThan(0);
  for (const run of ofTar) expect(run).toMatch(/tar_ssh\.pem -oServerAliveInterval=9 -p 2222 /);
});

test.each(['tarssh', 'rsync'])('sync-acls off: ACLs stay behind and user xattrs arrive, with %s', async (engine) => {
  await restart({ 'sync-method': engine, 'sync-acls': 'false' });
  const under = `acls-off-${engine}`;
  await lab().sh(`mkdir ${under}; cd ${under}; for f in acl both; do printf $f >$f; done; setfattr -n user.k -v v both; setfacl -m u:1001:rw acl; setfacl -m u:1001:rw both`);
  await lab().waitConverged(60_000, { under, ignore: ['acls'] });
  const found = await lab().compare({ under });
  expect(found.differences.map((d) => d.path)).toEqual(['acl', 'both']);
});

test.each(['tarssh', 'rsync'])('sync-xattrs off: user xattrs stay behind and ACLs arrive, with %s', async (engine) => {
  await restart({ 'sync-method': engine, 'sync-acls': 'true', 'sync-xattrs': 'false' });
  const under = `xattrs-off-${engine}`;
  await lab().sh(`mkdir ${under}; cd ${under}; for f in acl both; do printf $f >$f; done; setfattr -n user.k -v v both; setfacl -m u:1001:rw acl; setfacl -m u:1001:rw both`);
  await lab().waitConverged(60_000, { under, ignore: ['xattrs'] });
  const found = await lab().compare({ under });
  expect(found.differences.map((d) => d.path)).toEqual(['both']);
});

test('both off: what the files hold arrives', async () => {
  await restart({ 'sync-acls': 'false' });
  await lab().sh('mkdir off; cd off; printf both >both; setfattr -n user.k -v v both; setfacl -m u:1001:rw both');
  await lab().waitConverged(60_000, { under: 'off', ignore: ['xattrs', 'acls'] });
  await restart({ 'sync-xattrs': 'true', 'sync-acls': 'true' });
  await lab().sh('rm -r off xattrs-off-* acls-off-*');
  await lab().waitConverged();
});

test.each(['true', 'false'])('a file that goes while rsync starts is no failure, with rsync-opt-existing and rsync-opt-ignore-missing-args %s', async (value) => {
  await restart({ 'rsync-opt-existing': value, 'rsync-opt-ignore-missing-args': value });
  await lab().waitConverged();
  await runsOf('rsync');
  const under = `going-${value}`;
  await lab().sh(`echo '[[ "$*" == *--files-from* ]] && rm -f /mnt/gv0/${under}/going; true' >before-rsync`, '/srv');
  await lab().sh(`mkdir ${under}; printf x >${under}/going; for i in {1..5}; do printf $i >${under}/stays-$i; done`);
  await lab().waitConverged();
  await lab().sh('rm before-rsync', '/srv');
  expect(await lab().sh(`ls ${under}`)).not.toContain('going');
  const runs = (await runsOf('rsync')).filter((run) => run.includes('--files-from'));
  expect(runs.length).toBeGreaterThan(0);
  for (const option of ['--existing', '--ignore-missing-args']) expect(runs.filter((run) => run.includes(option)).length, option).toBe(value === 'true' ? runs.length : 0);
  expect((await lab().status())['failures']).toBe(0);
});

test("log-rsync-performance, set while the worker runs, logs rsync's statistics", async () => {
  const worker = current!;
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

test('changelog-archive-format names the archives, and a batch takes no more journals than changelog-batch-size', async () => {
  await current!.stop();
  const closed = `ls /srv/gv0_1/.glusterfs/changelogs/ | wc -l; find /srv/gv0_1/.glusterfs/changelogs -name 'CHANGELOG.[0-9]*' | wc -l`;
  const before = await lab().sh(closed);
  for (const name of ['one', 'two', 'three']) await lab().sh(`printf x >batch-${name}; sleep 3.5`);
  expect(await lab().sh(closed)).not.toBe(before);
  const worker = await restart({ 'changelog-archive-format': 'on-%Y-%j', 'changelog-batch-size': '1' });
  await lab().waitConverged();
  await worker.waitForLog(/finished history crawl/);
  const batches = [...(await worker.log()).matchAll(/Sync Time Taken|Batch Completed.*num_changelogs=(\d+)/g)].map((match) => match[1]).filter((count) => count !== undefined);
  expect(batches.length).toBeGreaterThanOrEqual(3);
  expect(new Set(batches)).toEqual(new Set(['1']));
  const day = (await lab().sh('date +archive_on-%Y-%j.tar')).trim();
  let archives = '';
  await lab().until('archive', async () => (archives = await lab().sh(`find . -name '${day}' -size +0`, '/var/lib/misc/gluster/gsyncd')) !== '');
  const kept = (await lab().sh(`for a in ${archives.trim().split('\n').join(' ')}; do tar -tf $a; done`, '/var/lib/misc/gluster/gsyncd')).trim().split('\n');
  expect(kept.length).toBeGreaterThanOrEqual(3);
  for (const name of kept) expect(name).toMatch(/^CHANGELOG\.\d{10}$/);
});

test('use-rsync-xattrs replicates as well', async () => {
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

test('gluster-params, gluster-command-dir and gluster-log-level are those of the mount, working-dir and log-level those of the worker', async () => {
  await current!.stop();
  await lab().sh('mkdir sbin; for program in gluster glusterfs; do ln -s "$(command -v $program)" sbin/; done', '/srv');
  const file = `${lab().sessionDir}/gsyncd.conf`;
  await lab().exec(['bash', '-c', `cp ${file} /srv/gsyncd.conf; sed -i '/^\\[vars\\]/a working-dir:/srv/work' ${file}`]);
  const worker = await restart({
    'gluster-params': 'aux-gfid-mount acl negative-timeout=1', 'gluster-command-dir': '/srv/sbin', 'gluster-log-level': 'WARNING', 'log-level': 'DEBUG',
  });
  await lab().sh('printf x >params');
  await lab().waitConverged();
  const mounts = [...(await lab().box.processes()).values()].filter((line) => /glusterfs .*--aux-gfid-mount.*--volfile-id=gv0 /.test(line));
  expect(mounts.length).toBeGreaterThan(0);
  for (const line of mounts) expect(line).toMatch(/^\/srv\/sbin\/glusterfs .*--negative-timeout=1.* --log-level=WARNING/);
  await worker.waitForLog(/^\[[^\]]+\] D \[/m);
  expect(await lab().sh('ls -d work/*/.processed | wc -l', '/srv')).toBe('1\n');
  await worker.stop();
  await lab().exec(['cp', '/srv/gsyncd.conf', file]);
});

test('a stop does not wait for a transfer that does not end, and the transfer is made up for', async () => {
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

test('a second SIGTERM ends a stop that takes its time, and leaves no mount either', async () => {
  const worker = await restart({});
  await lab().sh('printf before >twice');
  await lab().waitConverged();
  await runsOf('rsync');
  await lab().sh(`echo 'trap "" TERM; sleep 300' >before-rsync`, '/srv');
  await lab().sh('printf after >twice');
  await lab().until('a transfer', async () => (await lab().sh('cat rsync.log || true', '/srv')) !== '');
  await worker.signal('SIGTERM');
  await sleep(1500);
  expect(worker.running).toBe(true);
  await worker.signal('SIGTERM');
  expect((await worker.exited).code).toBe(1);
  await lab().assertNoMountsLeft();
  await lab().sh('rm before-rsync', '/srv');
  await restart({});
  await lab().waitConverged();
});

test('rsync-options are arguments of rsync', async () => {
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

test('sync-jobs is how many transfers there are at a time', async () => {
  const jobsOf = async (count: string): Promise<(string | undefined)[]> => {
    await current!.stop();
    // Enough for several transfers: fewer than a hundred files are not divided.
    await lab().sh(`mkdir jobs-${count}; for i in {1..350}; do printf $i >jobs-${count}/$i; done`);
    const worker = await restart({ 'sync-jobs': count });
    await lab().waitConverged();
    await worker.waitForLog(/finished history crawl/);
    const log = await worker.log();
    expect([...log.matchAll(/Sync Time Taken.*\{num_files=(\d+)\}/g)].reduce((sum, match) => sum + Number(match[1]), 0)).toBeGreaterThanOrEqual(350);
    return [...new Set([...log.matchAll(/Sync Time Taken.*\{job=(\d+)\}/g)].map((match) => match[1]))].sort();
  };
  expect((await jobsOf('3')).length).toBeGreaterThan(1);
  expect(await jobsOf('1')).toEqual(['1']);
  await lab().resetConfig('sync-jobs');
});

test('with a short secondary-timeout an idle worker keeps its secondary, over the same connection', async () => {
  await runsOf('ssh');
  const worker = await restart({ 'secondary-timeout': '4' });
  await lab().waitConverged();
  const pid = await worker.pid();
  await sleep(12_000);
  await lab().sh('printf x >after-idle');
  await lab().waitConverged();
  expect(await worker.pid()).toBe(pid);
  expect([...(await worker.log()).matchAll(/Initializing SSH connection/g)]).toHaveLength(1);
  const secondaries = (await runsOf('ssh')).filter((run) => run.includes(' secondary '));
  expect(secondaries).toHaveLength(1);
  expect(secondaries[0]).toContain('--secondary-timeout 4');
  await lab().setConfig({ 'secondary-timeout': '120' });
});

test('connection-timeout ends the wait for a secondary that does not answer', async () => {
  await lab().sh(`echo 'sleep 300' >before-ssh`, '/srv');
  const startMs = Date.now();
  const worker = await restart({ 'connection-timeout': '3' });
  const exit = await worker.exited;
  expect(exit.code).not.toBe(0);
  expect(Date.now() - startMs).toBeLessThan(30_000);
  expect(`${worker.stderr}\n${await worker.log()}`).toMatch(/no answer for 3 s/);
  await lab().sh('rm before-ssh', '/srv');
  await lab().setConfig({ 'connection-timeout': '60' });
});

test('with gfid-conflict-resolution off, other content under a name stays and is counted; with it on, it gives way', async () => {
  await lab().mountSecondaryWritable();
  const worker = await restart({ 'gfid-conflict-resolution': 'false' });
  await lab().sh('printf theirs >conflict', '/mnt/sv0-rw');
  await lab().sh('printf ours >conflict; printf x >beside-conflict');
  await lab().until('the file beside it', async () => (await lab().sh('cat beside-conflict || true', lab().secondary)) === 'x');
  await lab().until('failure counted', async () => Number((await lab().status())['failures']) > 0);
  expect(await lab().sh('cat conflict', lab().secondary)).toBe('theirs');
  expect(worker.running).toBe(true);
  await restart({ 'gfid-conflict-resolution': 'true' });
  await lab().waitConverged(90_000);
  await lab().until('no failure counted', async () => (await lab().status())['failures'] === 0);
});

test('change-detector xsync replicates by walks alone', async () => {
  const worker = await restart({ 'change-detector': 'xsync', 'change-interval': '1' });
  await lab().untilStatus(0, 'crawl_status', 'Hybrid Crawl');
  await lab().sh('mkdir -p walked/sub; printf x >walked/sub/file; ln -s file walked/sub/link; printf more >>params');
  await lab().waitConverged(90_000);
  await lab().sh('printf more >>walked/sub/file');
  await lab().waitConverged(90_000);
  expect(await worker.log()).not.toMatch(/starting history crawl|starting changelog crawl/);
  await worker.stop();
  await lab().assertNoMountsLeft();
});

test('with access-mount the mounts can be reached from everywhere until the worker ends, and state-file says where the status is', async () => {
  const workerMounts = async (): Promise<string[]> => (await lab().sh('awk \'$1 ~ /:\\/?gv0$/ && $2 ~ /aux-mount/ {print $2}\' /proc/mounts')).split('\n').filter((path) => path !== '');
  const file = `${lab().sessionDir}/gsyncd.conf`;
  await restart({ 'change-detector': 'changelog', 'access-mount': 'false' });
  await lab().sh('printf x >unreachable');
  await lab().waitConverged();
  expect(await workerMounts()).toEqual([]);
  await lab().exec(['bash', '-c', `mkdir /srv/state; sed -i '/^\\[vars\\]/a state-file:/srv/state/monitor.status' ${file}`]);
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
