// Options and situations that change what a worker does, one after another on one pair of volumes: other content on
// the secondary, ignore-deletes, a checkpoint, a file whose data cannot be brought, log rotation, failback.
import { expect, test } from 'vitest';
import { HOST, PATHS } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';
import type { WorkerHandle } from './lab/worker.js';

const lab = useLab();
let current: WorkerHandle | undefined;
const worker = (): WorkerHandle => (current?.running ? current : (current = lab().startWorker()));
const stop = async (): Promise<void> => {
  if (current?.running) await current.stop();
};

test('other content under the same names on the secondary gives way to the primary in the first sync', async () => {
  await lab().mountSecondaryWritable();
  await lab().sh(`mkdir -p c/sub both; printf theirs >c/file; printf theirs >c/dir-there; mkdir -p c/file-there/x
    printf theirs >c/link-there; ln -s ours c/symlink; printf theirs >c/sub/deep; mkdir c/empty`, PATHS.secondaryWritable);
  await lab().sh(`mkdir -p c/sub/new both; printf 'the primary has this' >c/file; mkdir c/dir-there; printf in >c/dir-there/in
    printf plain >c/file-there; ln -s target c/link-there; printf plain >c/symlink; printf deeper >c/sub/deep; printf x >c/empty`);
  worker();
  await lab().waitConverged(90_000);
});

test('other content under a name that is made while the worker runs gives way too', async () => {
  worker();
  await lab().sh('printf theirs >late; mkdir late-dir; printf t >late-dir/t', PATHS.secondaryWritable);
  await lab().sh('printf ours-late >late; printf file >late-dir');
  await lab().waitConverged(90_000);
});

test('a name that a brick of the secondary refuses to link, since it kept a mark of it, gets its file all the same', async () => {
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

test('a checkpoint completes when what was there before it has arrived', async () => {
  worker();
  await lab().sh('mkdir -p cp; for i in {1..50}; do printf $i >cp/$i; done');
  await lab().session(['config', 'checkpoint', 'now']);
  await lab().until('checkpoint', async () => {
    await lab().sh('printf x >>cp/tick');
    return (await lab().status())['checkpoint_completed'] === 'Yes';
  }, 60_000);
  await lab().pretendMonitor();
  expect(await lab().statusDetail()).toMatch(/ Active +Changelog Crawl .* Yes /);
  await lab().waitConverged();
});

test('SIGHUP makes the worker write to a new log file', async () => {
  await worker().waitForLog(/./);
  const log = '/var/log/glusterfs/worker-1.log';
  await lab().exec(['bash', '-c', `cd "$(dirname ${log})"; for f in worker-*.log; do mv "$f" "$f.1"; done`]);
  await worker().signal('SIGHUP');
  await lab().sh('printf x >after-hup');
  await worker().waitForLog(/./, 30_000);
  await lab().waitConverged();
});

test('with ignore-deletes, names removed on the primary stay and everything else arrives', async () => {
  worker();
  await lab().sh('mkdir -p del/dir; printf a >del/a; printf b >del/b; printf c >del/dir/c');
  await lab().waitConverged();
  await stop();
  await lab().setConfig({ 'ignore-deletes': 'true' });
  worker();
  await lab().sh('cd del; rm a; rm -r dir; mv b renamed; printf new >new');
  await lab().until('changes', async () => (await lab().sh('ls del', lab().secondary)) === 'a\ndir\nnew\nrenamed\n', 60_000);
  await stop();
  const found = await lab().compare();
  expect(found.differences.map((d) => [d.path, d.a])).toEqual([['del/a', null], ['del/dir', null], ['del/dir/c', null]]);
  await lab().setConfig({ 'ignore-deletes': 'false' });
  await lab().sh('rm -rf del', PATHS.secondaryWritable);
  await lab().sh('rm -rf del');
});

test('a file whose data cannot be brought is listed and counted, and arrives once it can be', async () => {
  await lab().sh(`cat >rsync <<'END'
#!/bin/bash
refused=$(cat /srv/refused)
tee /srv/list | python3 -c 'import sys; sys.stdout.buffer.write(b"".join(p + b"\\0" for p in sys.stdin.buffer.read().split(b"\\0") if p and sys.argv[1].encode() not in p))' "$refused" >/srv/allowed.$$
/usr/bin/rsync "$@" </srv/allowed.$$; code=$?
grep -qa "$refused" /srv/list && [ $code = 0 ] && code=23
exit $code
END
chmod 755 rsync; printf none >refused`, '/srv');
  await lab().setConfig({ 'rsync-command': '/srv/rsync', 'max-rsync-retries': '2' });
  worker();
  await lab().waitConverged();
  await lab().sh('printf first >hold');
  await lab().waitConverged();
  const hex = (await lab().sh('getfattr --absolute-names --only-values -n trusted.gfid hold | xxd -p', lab().bricks[0])).trim();
  const gfid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  await lab().sh(`printf ${gfid} >refused`, '/srv');
  await lab().sh('printf second >hold; printf other >other');
  const list = async (): Promise<string> => lab().sh('find . -path "*gv0_1*" -name "failures*" -exec cat {} +', '/var/lib/misc/gluster/gsyncd');
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

test('after a failover, special-sync-mode recover brings the changes of the secondary back', async () => {
  await lab().waitConverged().catch(() => undefined);
  await stop();
  const back = ['volume', 'geo-replication', 'sv0', `${HOST}::gv0`];
  await lab().gluster(['volume', 'set', 'sv0', 'features.read-only', 'off']);
  await lab().gluster([...back, 'create', 'push-pem', 'force']);
  await lab().until('read-only old primary', async () => {
    return (await lab().gluster(['volume', 'info', 'gv0'])).stdout.includes('features.read-only: on');
  });
  await lab().gluster(['volume', 'set', 'sv0', 'changelog.rollover-time', '3']);
  await lab().gluster([...back, 'config', 'special-sync-mode', 'recover']);
  await lab().sh('printf back >written-after-failover; printf more >>late; mkdir -p newdir/x; printf y >newdir/x/y', PATHS.secondary);
  const recovering = lab().startWorker({ pair: ['sv0', `root@${HOST}::gv0`], localPath: '/srv/sv0_1' });
  await lab().waitConverged(90_000);
  await lab().sh('printf live >live-after-failover; rm written-after-failover', PATHS.secondary);
  await lab().waitConverged(90_000);
  await recovering.stop();
  await lab().assertNoMountsLeft();
});
