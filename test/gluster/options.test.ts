// Options and situations that change what a worker does, one after another on one pair of volumes: other content on
// the secondary, ignore-deletes, a checkpoint, a file whose data cannot be sent, log rotation, failback.
import { readdir, readlink } from 'node:fs/promises';
import { basename } from 'node:path';
import { expect, test } from 'vitest';
import { HOST, PATHS } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';
import { WorkerHandle } from './lab/worker.js';

const lab = useLab();
let current: WorkerHandle | undefined;
const worker = (): WorkerHandle => (current?.running ? current : (current = lab().startWorker()));
const stop = async (): Promise<void> => {
  if (current?.running) await current.stop();
};

test('the first sync replaces other content under the same names on the secondary', async () => {
  await lab().mountSecondaryWritable();
  await lab().sh(
    `mkdir -p c/sub both; printf theirs >c/file; printf theirs >c/dir-there; mkdir -p c/file-there/x
    printf theirs >c/link-there; ln -s ours c/symlink; printf theirs >c/sub/deep; mkdir c/empty`,
    PATHS.secondaryWritable,
  );
  await lab()
    .sh(`mkdir -p c/sub/new both; printf 'the primary has this' >c/file; mkdir c/dir-there; printf in >c/dir-there/in
    printf plain >c/file-there; ln -s target c/link-there; printf plain >c/symlink; printf deeper >c/sub/deep; printf x >c/empty`);
  worker();
  await lab().waitConverged(90_000);
});

test('a trailing slash in the path of the brick changes nothing, and --debug logs to the terminal', async () => {
  await stop();
  current = lab().startWorker({ localPath: `${lab().places[0]!.path}/`, args: ['--debug'] });
  await lab().sh('printf s >slash');
  await lab().waitConverged(90_000);
  await lab().untilState(0, 'Active');
  expect((await readdir(lab().box.outside(lab().sessionDir))).filter((name) => name.includes('%2F.status'))).toEqual(
    [],
  );
  expect(worker().stderr).toMatch(/^\[[^\]]+\] D \[/m);
  expect(worker().stderr).toMatch(/^\[[^\]]+\] I \[.*Worker spawn successful/m);
  await stop();
});

test('live changes replace other content under the same names', async () => {
  worker();
  await lab().sh('printf theirs >late; mkdir late-dir; printf t >late-dir/t', PATHS.secondaryWritable);
  await lab().sh('printf ours-late >late; printf file >late-dir');
  await lab().waitConverged(90_000);
});

test("a name is linked although the secondary's brick refuses it because of a stale gfid2path xattr", async () => {
  worker();
  await lab().sh('printf data >twice; ln twice again');
  await lab().waitConverged(90_000);
  const marks = `getfattr --absolute-names -h -m '^trusted.gfid2path' -d twice | grep ^trusted || true`;
  const before = (await lab().sh(marks, '/srv/sv0_1')).split('\n');
  await lab().sh('rm again');
  await lab().waitConverged(90_000);
  const after = (await lab().sh(marks, '/srv/sv0_1')).split('\n');
  const gone = before.filter((mark) => !after.includes(mark));
  expect(gone).toHaveLength(1);
  await lab().sh(`setfattr -h -n ${gone[0]!.replace('=', ' -v ')} twice`, '/srv/sv0_1');
  await lab().sh('ln twice again');
  await lab().waitConverged(90_000);
});

test('a checkpoint completes when all earlier changes have arrived', async () => {
  worker();
  await lab().sh('mkdir -p cp; for i in {1..50}; do printf $i >cp/$i; done');
  await lab().session(['config', 'checkpoint', 'now']);
  await lab().until(
    'checkpoint',
    async () => {
      await lab().sh('printf x >>cp/tick');
      return (await lab().status())['checkpoint_completed'] === 'Yes';
    },
    60_000,
  );
  await lab().pretendMonitor();
  expect(await lab().statusDetail()).toMatch(/ Active +Changelog Crawl .* Yes /);
  await lab().waitConverged();
});

/** The name under which a process has its log open. */
async function openLog(pid: number): Promise<string | undefined> {
  const fds = await readdir(`/proc/${pid}/fd`);
  const paths = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')));
  return paths.map((path) => basename(path)).find((name) => /^worker-\d+\.log/.test(name));
}

test('SIGHUP makes the running worker reopen its log and write to a new file', async () => {
  const running = worker();
  await running.waitForLog(/./);
  const pid = await running.pid();
  const log = (await openLog(pid))!;
  const dir = '/var/log/glusterfs';
  // A second name of the same file: the log's own check for a rename finds the file that it has open, so only the signal
  // makes it open this name.
  await lab().sh(`mv ${log} ${log}.1; ln ${log}.1 ${log}`, dir);
  await lab().sh('printf x >before-hup; sleep 1.1; printf x >>before-hup');
  await lab().waitConverged();
  expect(await openLog(pid)).toBe(`${log}.1`);
  await running.signal('SIGHUP');
  await lab().until('name opened anew', async () => (await openLog(pid)) === log, 5000);

  await lab().sh(`mv ${log} ${log}.2`, dir);
  await running.signal('SIGHUP');
  await lab().until('new file', async () => (await lab().sh('ls', dir)).split('\n').includes(log), 5000);
  await lab().sh('printf x >after-hup');
  await running.waitForLog(/Sync Time Taken/, 30_000);
  await lab().waitConverged();
  expect(await running.pid()).toBe(pid);
});

test('with ignore-deletes, names removed on the primary stay and everything else arrives', async () => {
  worker();
  await lab().sh('mkdir -p del/dir; printf a >del/a; printf b >del/b; printf c >del/dir/c');
  await lab().waitConverged();
  await stop();
  await lab().setConfig({ 'ignore-deletes': 'true' });
  worker();
  await lab().sh('cd del; rm a; rm -r dir; mv b renamed; printf new >new');
  await lab().until(
    'changes',
    async () => (await lab().sh('ls del', lab().secondary)) === 'a\ndir\nnew\nrenamed\n',
    60_000,
  );
  await stop();
  const found = await lab().compare();
  expect(found.differences.map((d) => [d.path, d.a])).toEqual([
    ['del/a', null],
    ['del/dir', null],
    ['del/dir/c', null],
  ]);
  await lab().setConfig({ 'ignore-deletes': 'false' });
  await lab().sh('rm -rf del', PATHS.secondaryWritable);
  await lab().sh('rm -rf del');
});

test('a file whose data cannot be sent goes to the failure list and is counted, and arrives once it can be sent', async () => {
  await lab().sh(
    `cat >rsync <<'END'
#!/bin/bash
refused=$(cat /srv/refused)
tee /srv/list | python3 -c 'import sys; sys.stdout.buffer.write(b"".join(p + b"\\0" for p in sys.stdin.buffer.read().split(b"\\0") if p and sys.argv[1].encode() not in p))' "$refused" >/srv/allowed.$$
/usr/bin/rsync "$@" </srv/allowed.$$; code=$?
grep -qa "$refused" /srv/list && [ $code = 0 ] && code=23
exit $code
END
chmod 755 rsync; printf none >refused`,
    '/srv',
  );
  await lab().setConfig({ 'rsync-command': '/srv/rsync', 'max-rsync-retries': '2' });
  worker();
  await lab().waitConverged();
  await lab().sh('printf first >hold');
  await lab().waitConverged();
  const hex = (
    await lab().sh('getfattr --absolute-names --only-values -n trusted.gfid hold | xxd -p', lab().bricks[0])
  ).trim();
  const gfid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  await lab().sh(`printf ${gfid} >refused`, '/srv');
  await lab().sh('printf second >hold; printf other >other');
  const list = async (): Promise<string> =>
    lab().sh('find . -path "*gv0_1*" -name "failures*" -exec cat {} +', '/var/lib/misc/gluster/gsyncd');
  await lab().until('the gfid on the list', async () => (await list()).includes(gfid), 90_000);
  await lab().until('the other file', async () => (await lab().sh('cat other || true', lab().secondary)) === 'other');
  expect((await lab().status())['failures']).toBe(1);
  await lab().sh('printf none >refused', '/srv');
  await lab().sh('printf third >other');
  await lab().waitConverged(90_000);
  await lab().until('no failure counted', async () => (await lab().status())['failures'] === 0);
  expect(await list()).not.toContain(gfid);
  await stop();
  await lab().resetConfig('rsync-command');
});

test.each(['--secondary-id', '--slave-id'])(
  "with a stock monitor's arguments and %s, a worker reports that it is ready and logs to the terminal",
  async (option) => {
    await stop();
    const node = /UUID=(.*)/.exec(await lab().read('/var/lib/glusterd/glusterd.info'))![1]!;
    // No volume has this id. The name of the stime shows that the worker took it from the option.
    const id = `5eb0c0de-0000-4000-8000-${option.length.toString().padStart(12, '0')}`;
    const argv = [
      process.execPath,
      `${REPO}/bin/gsyncd-ts.js`,
      'worker',
      'gv0',
      `root@${HOST}::sv0`,
      '--feedback-fd',
      '9',
      '--local-path',
      '/srv/gv0_1',
      '--local-node',
      HOST,
      '--local-node-id',
      node,
      option,
      id,
      '--subvol-num',
      '1',
      '--resource-remote',
      `root@${HOST}`,
      '--resource-remote-id',
      node,
      '--log-file',
      '-',
    ];
    // The reader of the descriptor writes `ready` when the worker closes it.
    const started = lab().box.start(['bash', '-c', 'exec 9> >(cat; echo ready >/srv/ready); exec "$@"', 'sh', ...argv]);
    current = new WorkerHandle(started, lab().box.outside('/var/log/glusterfs/none.log'));
    await lab().until('ready', async () => (await lab().sh('cat ready || true', '/srv')) === 'ready\n');
    expect(current.running).toBe(true);
    await lab().sh(`printf x >told${option}; rm /srv/ready`);
    await lab().waitConverged();
    await lab().until('mark', async () =>
      (await lab().sh('getfattr --absolute-names -d -m . -e hex /srv/gv0_1')).includes(`.${id}.stime=`),
    );
    const shown = /^\[[^\]]+\] I \[\S+\(worker \/srv\/gv0_1\):0:/;
    expect(current.stderr.split('\n').filter((line) => line !== '' && !shown.test(line))).toEqual([]);
    for (const line of [
      'Worker spawn successful. Acknowledging back to monitor',
      'finished hybrid crawl',
      'Batch Completed',
    ])
      expect(current.stderr).toContain(line);
    await stop();
  },
);

test('after a failover, special-sync-mode recover replicates back only what changed on the secondary', async () => {
  const announced = async (brick: string): Promise<string> => {
    return lab().sh(
      `getfattr -h --absolute-names -d -m '^trusted.glusterfs.volume-mark[.]' -e hex ${brick} | grep = || true`,
    );
  };
  const back = ['volume', 'geo-replication', 'sv0', `${HOST}::gv0`];
  await stop();
  await lab().setConfig({ 'secondary-timeout': '4' });
  await worker().waitForLog(/finished history crawl/);
  await lab().waitConverged();
  await lab().until('announcement of the first primary', async () => (await announced('/srv/sv0_1')) !== '');

  await lab().gluster(['volume', 'set', 'sv0', 'features.read-only', 'off']);
  await lab().sh('mkdir unindexed; printf x >unindexed/file', PATHS.secondary);
  await lab().gluster([...back, 'create', 'push-pem', 'force']);
  await lab().until('read-only old primary', async () => {
    return (await lab().gluster(['volume', 'info', 'gv0'])).stdout.includes('features.read-only: on');
  });
  await lab().gluster(['volume', 'set', 'sv0', 'changelog.rollover-time', '3']);
  await lab().gluster([...back, 'config', 'special-sync-mode', 'recover']);
  await lab().gluster([...back, 'config', 'secondary-timeout', '4']);
  await lab().sh(
    'printf back >written-after-failover; printf more >>late; mkdir -p newdir/x; printf y >newdir/x/y',
    PATHS.secondary,
  );
  const recovering = lab().startWorker({ pair: ['sv0', `root@${HOST}::gv0`], localPath: '/srv/sv0_1' });
  // The first primary still runs. Its announcement has to expire before anything is replicated the other way.
  await recovering.waitForLog(/foreign volume info found, waiting for expiry.*expiry=[1-5]\b/);
  expect(await recovering.log()).not.toContain('hybrid crawl');
  await stop();
  // A file that has not changed since indexing was enabled has no xtime, and mode recover sets none.
  const left = async (): Promise<string> => (await lab().compare()).differences.map((d) => d.path).join(' ');
  await lab().until('the changes', async () => (await left()) === 'unindexed unindexed/file', 60_000);
  await recovering.waitForLog(/finished hybrid crawl/);

  await lab().sh('printf live >live-after-failover; rm written-after-failover', PATHS.secondary);
  await lab().until('live changes', async () => (await left()) === 'unindexed unindexed/file', 60_000);
  await lab().sh('rm -r unindexed', PATHS.secondary);
  await lab().waitConverged(90_000);
  // A normal primary announces itself two seconds after it began to follow changes.
  expect(await announced('/srv/gv0_1')).toBe('');
  await recovering.stop();
  await lab().assertNoMountsLeft();
});
