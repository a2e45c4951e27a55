// Options of a session whose effect takes long to see, or that few sessions change. See test/gluster/session-options.test.ts.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { useOptionLab } from '../gluster/lab/option-lab.js';

const { lab, restart, current, runsOf } = useOptionLab();

test.each(['true', 'false'])(
  'a file deleted while rsync starts is no failure, with rsync-opt-existing and rsync-opt-ignore-missing-args %s',
  async (value) => {
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
    for (const option of ['--existing', '--ignore-missing-args'])
      expect(runs.filter((run) => run.includes(option)).length, option).toBe(value === 'true' ? runs.length : 0);
    expect((await lab().status())['failures']).toBe(0);
  },
);

test('a second SIGTERM ends a slow stop at once with exit code 1 and leaves no mount', async () => {
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

test('sync-jobs sets the number of parallel transfers', async () => {
  const jobsOf = async (count: string): Promise<(string | undefined)[]> => {
    await current().stop();
    // Enough for several transfers: fewer than a hundred files are not divided.
    await lab().sh(`mkdir jobs-${count}; for i in {1..350}; do printf $i >jobs-${count}/$i; done`);
    const worker = await restart({ 'sync-jobs': count });
    await lab().waitConverged();
    await worker.waitForLog(/finished history crawl/);
    const log = await worker.log();
    expect(
      [...log.matchAll(/Sync Time Taken.*\{num_files=(\d+)\}/g)].reduce((sum, match) => sum + Number(match[1]), 0),
    ).toBeGreaterThanOrEqual(350);
    return [...new Set([...log.matchAll(/Sync Time Taken.*\{job=(\d+)\}/g)].map((match) => match[1]))].sort();
  };
  expect((await jobsOf('3')).length).toBeGreaterThan(1);
  expect(await jobsOf('1')).toEqual(['1']);
  await lab().resetConfig('sync-jobs');
});

test('with a short secondary-timeout an idle worker keeps its secondary and its connection', async () => {
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

test('gfid-conflict-resolution: off keeps a conflicting file and adds a failure, on replaces the file', async () => {
  await lab().mountSecondaryWritable();
  const worker = await restart({ 'gfid-conflict-resolution': 'false' });
  await lab().sh('printf theirs >conflict', '/mnt/sv0-rw');
  await lab().sh('printf ours >conflict; printf x >beside-conflict');
  await lab().until(
    'the file beside it',
    async () => (await lab().sh('cat beside-conflict || true', lab().secondary)) === 'x',
  );
  await lab().until('failure counted', async () => Number((await lab().status())['failures']) > 0);
  expect(await lab().sh('cat conflict', lab().secondary)).toBe('theirs');
  expect(worker.running).toBe(true);
  await restart({ 'gfid-conflict-resolution': 'true' });
  await lab().waitConverged(90_000);
  await lab().until('no failure counted', async () => (await lab().status())['failures'] === 0);
});

test('change-detector xsync replicates by hybrid crawls only', async () => {
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
