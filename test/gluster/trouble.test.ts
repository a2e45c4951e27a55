// What goes wrong on the other side: a file of which its rsync or tar dies without a word, and a disk that is full. The
// one is that file's affair, the other everybody's; neither loses anything.
import { describe, expect, test } from 'vitest';
import { REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';

describe.each(['rsync', 'tarssh'])('a file of which the other end dies without naming it, with %s', (engine) => {
  const lab = useLab({ config: { 'sync-method': engine, 'max-rsync-retries': '2' } });

  test('alone does not arrive, alone in its batch, too; it is listed, and arrives once it can', async () => {
    // dying-ssh runs what is beside it under this name.
    await lab().sh(`mkdir dying; cd dying; cp ${REPO}/test/fixtures/bin/dying-ssh .; ln -s /usr/bin/ssh fake-ssh; echo '{"type": "module"}' >package.json`, '/srv');
    await lab().setConfig({ 'ssh-command': '/srv/dying/dying-ssh' });
    const worker = lab().startWorker();
    await lab().sh('printf x >before');
    await lab().waitConverged();
    const pid = await worker.pid();

    await lab().sh('mkdir dir; for i in {1..150}; do printf $i >dir/$i; done; printf POISON >dir/bad; printf x >dir/last');
    await lab().until('the file counted as a failure', async () => (await lab().status())['failures'] === 1, 120_000);
    const found = await lab().compare();
    expect(found.differences.map(({ path }) => path)).toEqual(['dir/bad']);

    await lab().sh('printf POISON >alone');
    await lab().until('the one of the next batch, too', async () => (await lab().status())['failures'] === 2, 120_000);
    const list = await lab().sh('find . -path "*gv0_1*" -name failures -exec cat {} +', '/var/lib/misc/gluster/gsyncd');
    expect(list.trim().split('\n')).toHaveLength(2);
    for (const line of list.trim().split('\n')) expect(line).toMatch(engine === 'rsync' ? /rsync: exit (12|137)/ : /tar on the secondary: exit 137/);
    await lab().sh('printf after >after');
    await lab().until('what comes after them', async () => (await lab().sh('cat after || true', lab().secondary)) === 'after');
    expect(await worker.pid()).toBe(pid);

    await lab().sh('ln -sf /srv/dying/fake-ssh dying/dying-ssh', '/srv');
    await lab().waitConverged(90_000);
    await lab().until('no failure', async () => (await lab().status())['failures'] === 0);
    await worker.stop();
    await lab().assertNoMountsLeft();
  });
});

describe.each(['rsync', 'tarssh'])('a secondary whose disk is full, with %s', (engine) => {
  const lab = useLab({ gsyncd: 'ours', secondaryDisk: 'resizable', config: { 'sync-method': engine, 'max-rsync-retries': '2' } });

  test('is named in the log, and once it has room everything arrives', async () => {
    const first = lab().startWorker();
    await lab().sh('printf x >before');
    await lab().waitConverged();
    await lab().sh('mount -o remount,size=40m /srv/sv0_1', '/srv');
    await lab().sh('mkdir big; for i in {1..8}; do head -c 9M /dev/urandom >big/$i; done; for i in {1..20}; do printf $i >small-$i; done');
    await first.waitForLog(/No space left on device/, 120_000);
    await lab().sh('rm small-3; mv small-4 moved; printf more >>small-5; mkdir -p a/b; printf y >a/b/c');
    await lab().sh('mount -o remount,size=200m /srv/sv0_1', '/srv');
    // A worker that ended is started again, as systemd or a monitor would.
    const second = first.running ? first : lab().startWorker();
    await lab().waitConverged(120_000);
    await lab().until('no failure', async () => (await lab().status())['failures'] === 0, 60_000);
    await second.stop();
    await lab().assertNoMountsLeft();
  });
});
