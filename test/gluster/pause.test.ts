// A session that glusterd pauses while a large file is sent: no byte moves until it is resumed, and then it continues with the
// same workers.
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { bigFile } from './lab/fixtures.js';
import { useLab } from './lab/use-lab.js';

const MEGABYTES = 24;
/** tar, at about 4 MB/s when it packs. */
const SLOW_TAR = `#!/bin/bash
case " $* " in *' -cf '*) ;; *) exec tar "$@" ;; esac
tar "$@" | python3 -c '
import sys, time
while piece := sys.stdin.buffer.read(1 << 18):
    sys.stdout.buffer.write(piece); sys.stdout.buffer.flush(); time.sleep(0.06)'
exit "\${PIPESTATUS[0]}"
`;

const lab = useLab({ gsyncd: 'ours', config: { 'rsync-options': '-W --bwlimit=4096' } });

const bytesOf = async (name: string): Promise<number> =>
  Number(await lab().sh(`stat -c '%b' ${name} 2>/dev/null || echo 0`, '/srv/sv0_1')) * 512;
const under = (name: string): Promise<void> =>
  lab().until(`${name} under way`, async () => (await bytesOf(name)) > 2_000_000);
/** A process that the worker has just forked still has its command line: the worker's id is the lowest. */
const workers = async (): Promise<number[]> =>
  [...(await lab().box.processes())]
    .filter(([, line]) => / worker gv0 /.test(line))
    .map(([pid]) => pid)
    .sort((a, b) => a - b)
    .slice(0, 1);

/** Sets options and makes sure that the session runs. @returns a function that reads the log written since */
async function startedWith(config: Readonly<Record<string, string>>): Promise<() => Promise<string>> {
  const log = (
    await lab()
      .read(lab().sessionLog)
      .catch(() => '')
  ).length;
  const logged = async (): Promise<string> =>
    (
      await lab()
        .read(lab().sessionLog)
        .catch(() => '')
    ).slice(log);
  await lab().setConfig(config);
  await lab().session(['start'], 'return');
  await lab().until(
    'worker',
    async () => (await workers()).length === 1 && /starting (history|hybrid) crawl/.test(await logged()),
    60_000,
  );
  return logged;
}

/** Pauses the session. What was sent before still arrives: waits until file `name` does not grow any more.
 *  @returns its bytes on the secondary */
async function pause(name: string): Promise<number> {
  await lab().session(['pause']);
  let bytes = -1;
  await lab().until('the data sent before to arrive', async () => {
    const before = bytes;
    await sleep(500);
    bytes = await bytesOf(name);
    return bytes === before;
  });
  return bytes;
}

test.each(['rsync', 'tarssh'])(
  'with %s, no byte of a file is sent while the session is paused, and resume continues the transfer',
  async (engine) => {
    await lab().exec(['bash', '-c', 'cat >/srv/slow-tar; chmod +x /srv/slow-tar'], { input: SLOW_TAR });
    const logged = await startedWith({ 'sync-method': engine, 'tar-command': '/srv/slow-tar' });
    const before = await workers();
    await lab().sh(bigFile(engine, MEGABYTES));
    await under(engine);

    const paused = await pause(engine);
    await sleep(2000);
    expect(await bytesOf(engine)).toBe(paused);
    expect(paused).toBeLessThan(MEGABYTES << 20);
    await lab().session(['resume']);
    await lab().waitConverged(60_000);
    expect(await workers()).toEqual(before);
    expect(await logged()).not.toMatch(/faulty|restarting worker|SYNC Error/i);
  },
);

test('a worker whose secondary timed out during the pause reconnects at once without becoming Faulty', async () => {
  const logged = await startedWith({ 'secondary-timeout': '10' });
  await lab().session(['pause']);
  await lab().until(
    'the secondary to end',
    async () => ![...(await lab().box.processes()).values()].some((line) => /gsyncd-ts\.js secondary gv0 /.test(line)),
  );
  await lab().sh('echo later >later');
  await lab().session(['resume']);
  await lab().waitConverged(60_000);
  expect(await logged()).toContain('restarting worker after a pause');
  expect(await logged()).not.toMatch(/faulty/i);
  await lab().resetConfig('secondary-timeout');
});

// The stop kills the worker. The next one sends the interrupted file again and removes the mount points.
test('a paused session can be stopped, and no process is left', async () => {
  await lab().sh(bigFile('stopped', MEGABYTES));
  await under('stopped');
  await pause('stopped');
  await lab().session(['stop', 'force']);
  const left = [...(await lab().box.processes()).values()].filter(
    (line) => /gsyncd|rsync|slow-tar|^tar |ssh .*-p 22/.test(line) && !line.includes('/lab/'),
  );
  expect(left).toEqual([]);
  await lab().session(['start']);
  await lab().waitConverged(60_000);
  await lab().session(['stop']);
  await lab().assertNoMountsLeft();
});
