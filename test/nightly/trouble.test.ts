// External faults: a file on which the secondary's rsync or tar dies without naming it, and a full disk on either side. The
// first fails that file alone, a full disk affects every file. No change is lost.
import { expect, test } from 'vitest';
import { REPO } from '../gluster/lab/machine.js';
import { useLab } from '../gluster/lab/use-lab.js';
import type { WorkerHandle } from '../gluster/lab/worker.js';

const WORKING_DIR = '/var/lib/misc/gluster/gsyncd';
const lab = useLab({
  gsyncd: 'ours',
  secondaryDisk: 'resizable',
  config: { 'max-rsync-retries': '2', 'small-file-size': '0' },
});

/** Starts a worker with this engine and waits until both trees are equal. */
async function startedWith(engine: string): Promise<WorkerHandle> {
  await lab().setConfig({ 'sync-method': engine });
  const worker = lab().startWorker();
  await lab().sh('date +%N >started');
  await lab().waitConverged(90_000);
  return worker;
}

const failures = (count: number) => async (): Promise<boolean> => (await lab().status())['failures'] === count;

test.each(['rsync', 'tarssh'])(
  'with %s, a file that kills the remote side fails alone, also when it is the only one of its batch',
  async (engine) => {
    // dying-ssh runs the `fake-ssh` in its own directory.
    await lab().sh(
      `mkdir dying; cd dying; cp ${REPO}/test/fixtures/bin/dying-ssh .; ln -s /usr/bin/ssh fake-ssh; echo '{"type": "module"}' >package.json`,
      '/srv',
    );
    await lab().setConfig({ 'ssh-command': '/srv/dying/dying-ssh' });
    const worker = await startedWith(engine);
    const pid = await worker.pid();

    await lab().sh(
      `mkdir ${engine}; cd ${engine}; for i in {1..60}; do printf $i >$i; done; printf POISON >bad; printf x >last`,
    );
    await lab().until('the file counted as a failure', failures(1), 120_000);
    expect((await lab().compare()).differences.map(({ path }) => path)).toEqual([`${engine}/bad`]);

    await lab().sh(`printf POISON >${engine}/alone`);
    await lab().until('the one of the next batch, too', failures(2), 120_000);
    const list = (await lab().sh('find . -path "*gv0_1*" -name failures -exec cat {} +', WORKING_DIR))
      .trim()
      .split('\n');
    expect(list).toHaveLength(2);
    for (const line of list)
      expect(line).toMatch(engine === 'rsync' ? /rsync: exit (12|137)/ : /tar on the secondary: exit 137/);
    await lab().sh(`printf after >${engine}/after`);
    await lab().until(
      'what comes after them',
      async () => (await lab().sh(`cat ${engine}/after || true`, lab().secondary)) === 'after',
    );
    expect(await worker.pid()).toBe(pid);

    await lab().sh('ln -sf /srv/dying/fake-ssh dying/dying-ssh', '/srv');
    await lab().waitConverged(90_000);
    await lab().until('no failure', failures(0));
    await worker.stop();
    await lab().assertNoMountsLeft();
    await lab().sh('rm -r dying', '/srv');
    await lab().resetConfig('ssh-command');
  },
);

test("a failed removal of a file's last xattr or ACL is retried, also when its content arrives first", async () => {
  await lab().setConfig({ 'rsync-command': `${REPO}/test/fixtures/bin/partly-rsync` });
  const names = 'gone-xattr gone-acl gone-both';
  await lab().sh(
    `for i in ${names}; do printf x >$i; done; setfattr -n user.a -v 1 gone-xattr gone-both; setfacl -m u:1234:rw gone-acl gone-both`,
  );
  const worker = await startedWith('rsync');
  await lab().sh('touch failing', '/srv');
  await lab().sh('setfattr -x user.a gone-xattr gone-both; setfacl -b gone-acl gone-both');
  // The worker's mark for failures changes the root's xattrs, which then fail to sync, too.
  await lab().until(
    'the removals counted as failures',
    async () => Number((await lab().status())['failures']) >= 3,
    60_000,
  );
  await lab().sh('printf more >>gone-both');
  await lab().until(
    'content of the file',
    async () => (await lab().sh('cat gone-both', lab().secondary)) === 'xmore',
    60_000,
  );
  await lab().sh('rm failing', '/srv');
  await lab().waitConverged(60_000);
  await lab().until('no failure', failures(0));
  await worker.stop();
  await lab().resetConfig('rsync-command');
});

test.each(['rsync', 'tarssh'])(
  "with %s, the worker logs that the secondary's disk is full, and all changes arrive once it has room",
  async (engine) => {
    await lab().setConfig({ 'small-file-size': '65536' });
    const first = await startedWith(engine);
    await lab().sh('mount -o remount,size=$(($(df --output=used -m /srv/sv0_1 | tail -1) + 40))m /srv/sv0_1', '/srv');
    const full = `full-${engine}`;
    await lab().sh(
      `mkdir ${full}; cd ${full}; for i in {1..8}; do head -c 9M /dev/urandom >big-$i; done; for i in {1..20}; do printf $i >small-$i; done`,
    );
    await first.waitForLog(/No space left on device|its disk is full/, 120_000);
    await lab().sh(`cd ${full}; rm small-3; mv small-4 moved; printf more >>small-5; mkdir -p a/b; printf y >a/b/c`);
    await lab().sh('mount -o remount,size=100T /srv/sv0_1', '/srv');
    // A worker that ended is started again, as systemd or a monitor would.
    const second = first.running ? first : lab().startWorker();
    await lab().waitConverged(120_000);
    await lab().until('no failure', failures(0), 60_000);
    await second.stop();
    await lab().assertNoMountsLeft();
  },
);

test('a full disk under the working directory ends the worker with a one-line error and loses no change', async () => {
  await lab().exec(['mount', '-t', 'tmpfs', '-o', 'size=4m', 'disk', WORKING_DIR]);
  const first = await startedWith('rsync');
  await lab().exec(['bash', '-c', `head -c 9M /dev/zero >${WORKING_DIR}/filler || true`]);
  await lab().sh(
    'mkdir later; for i in {1..50}; do printf $i >later/$i; done; rm rsync/2; mv rsync/1 rsync/one; printf more >>rsync/3',
  );
  for (const start of [() => first, () => lab().startWorker()]) {
    const worker = start();
    expect((await worker.exited).code).toBe(1);
    expect(worker.stderr).toMatch(new RegExp(`^gsyncd-ts: write ${WORKING_DIR}/\\S+: no space left on device\n$`));
    await lab().assertNoMountsLeft();
  }
  await lab().exec(['rm', `${WORKING_DIR}/filler`]);
  const third = lab().startWorker();
  await lab().waitConverged(90_000);
  await third.stop();
});
