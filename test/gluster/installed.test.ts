// This project in the stock path of a primary and of a secondary node: glusterd's own commands start, show, configure,
// pause, resume, stop and delete a session. All changes made meanwhile arrive, with both engines, and the events daemon gets
// its events.
import { expect, test } from 'vitest';
import { EVENT_NUMBERS } from '../../src/gluster/events.js';
import { EVERY_TYPE, everyOperation } from './lab/fixtures.js';
import { useCluster } from './lab/use-lab.js';

const cluster = useCluster({ primaries: 1, secondaries: 1, gsyncd: ['ours', 'ours'] });
const option = async (name: string): Promise<string> => (await cluster().session(['config', name])).stdout.trim();

/** The session's lines in what `status` prints, cut at spaces of two and more. */
async function statusLine(): Promise<string[]> {
  const { stdout } = await cluster().session(['status', 'detail']);
  const line = stdout.split('\n').find((text) => text.includes('/srv/gv0_1')) ?? '';
  return line.trim().split(/\s{2,}/);
}
const state = async (): Promise<string | undefined> => (await statusLine())[6];
const untilStatus = (wanted: string): Promise<void> =>
  cluster().until(wanted, async () => (await state()) === wanted, 90_000);

async function sessionLog(): Promise<string> {
  return cluster().primaries[0]!.read(cluster().sessionLog);
}

/** On this port a listener stands in for the events daemon and prints each datagram on a line. */
const EVENT_PORT = 24_123;
const LISTENER = `import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', ${EVENT_PORT}))
print('listening', flush=True)
while True: print(s.recv(65536).decode(), flush=True)`;
let events = '';

async function listenForEvents(): Promise<void> {
  const node = cluster().primaries[0]!;
  await node.sh(`mkdir -p events; printf '{"port": ${EVENT_PORT}}' >events/config.json`, '/var/lib/glusterd');
  node.start(['python3', '-c', LISTENER]).stdout?.on('data', (chunk: Buffer) => (events += chunk.toString()));
  await expect.poll(() => events, { timeout: 10_000 }).toBe('listening\n');
}

/** Waits for an event of the session's worker. `more` is a pattern of the text after the session's fields. */
async function untilEvent(name: keyof typeof EVENT_NUMBERS, more: string): Promise<void> {
  const id = /UUID=(.*)/.exec(await cluster().primaries[0]!.read('/var/lib/glusterd/glusterd.info'))?.[1];
  const fields = `primary_volume=gv0;primary_node=10.78.0.11;primary_node_id=${id};secondary_host=10.78.0.21;secondary_volume=sv0;brick_path=/srv/gv0_1`;
  const line = new RegExp(`^\\d{10} ${EVENT_NUMBERS[name]} ${fields.replaceAll('.', '\\.')}${more}$`, 'm');
  await expect.poll(() => events, { timeout: 10_000 }).toMatch(line);
}

test('status shows a created session as Created, and the session does not start twice', async () => {
  expect((await statusLine()).slice(0, 7)).toEqual([
    '10.78.0.11',
    'gv0',
    '/srv/gv0_1',
    'root',
    '10.78.0.21::sv0',
    'N/A',
    'Created',
  ]);
  await cluster().sh(EVERY_TYPE);
  await cluster().sh(everyOperation('ops').prepare);
  await listenForEvents();
  await cluster().session(['start']);
  expect((await cluster().session(['start'], 'return')).code).not.toBe(0);
  await untilStatus('Active');
  await untilEvent('ACTIVE', '');
  await cluster().waitConverged(90_000);
  expect(await sessionLog()).toContain('starting hybrid crawl');
});

test('config shows, sets and resets options, and refuses invalid and unknown ones', async () => {
  const all = (await cluster().session(['config'])).stdout;
  for (const name of ['sync_method', 'sync_jobs', 'changelog_log_file', 'gluster_log_file', 'pid_file'])
    expect(all).toMatch(new RegExp(`^${name}:`, 'm'));
  expect(await option('sync-jobs')).toBe('3');
  await cluster().session(['config', 'sync-jobs', '2']);
  expect(await option('sync-jobs')).toBe('2');
  for (const [name, value] of [
    ['sync-jobs', 'many'],
    ['sync-method', 'scp'],
    ['no-such-option', '1'],
  ] as const) {
    const refused = await cluster().session(['config', name, value], 'return');
    expect({ name, code: refused.code }).not.toEqual({ name, code: 0 });
  }
  expect(await option('sync-jobs')).toBe('2');
  expect((await cluster().session(['config', 'no-such-option'], 'return')).code).not.toBe(0);
  await cluster().session(['config', '!sync-jobs']);
  expect(await option('sync-jobs')).toBe('3');
});

test('a paused session replicates nothing until it is resumed', async () => {
  await cluster().waitConverged();
  await cluster().session(['pause']);
  expect(await state()).toBe('Paused');
  await cluster().sh(everyOperation('ops').change);
  await new Promise((resolve) => setTimeout(resolve, 6000));
  expect((await cluster().compare({ under: 'ops' })).equal).toBe(false);
  await cluster().session(['resume']);
  await cluster().waitConverged(90_000);
  expect(await state()).toBe('Active');
});

/** Makes files in a new directory, and a checkpoint of now, which has to complete. */
async function completeCheckpoint(directory: string): Promise<void> {
  await cluster().sh(`mkdir ${directory}; for i in {1..50}; do printf $i >${directory}/$i; done`);
  const timeBefore = (await statusLine()).at(-3);
  await cluster().session(['config', 'checkpoint', 'now']);
  await cluster().until(
    'checkpoint',
    async () => {
      await cluster().sh(`printf x >>${directory}/tick`);
      const [time, completed] = (await statusLine()).slice(-3);
      return completed === 'Yes' && time !== timeBefore;
    },
    60_000,
  );
  await cluster().waitConverged();
}

test('a checkpoint completes', async () => {
  await completeCheckpoint('cp');
  await untilEvent('CHECKPOINT_COMPLETED', String.raw`;checkpoint_time=\d{10};checkpoint_completion_time=\d{10}`);
});

test('config changes the engine of a running session, which can then be paused and resumed', async () => {
  const before = (await sessionLog()).length;
  await cluster().session(['config', 'sync-method', 'tarssh']);
  await cluster().until('workers that know it', async () =>
    (await sessionLog()).slice(before).includes('starting history crawl'),
  );
  await cluster().sh(everyOperation('tarred').prepare);
  await cluster().waitConverged(90_000);
  await cluster().sh(everyOperation('tarred').change);
  await cluster().waitConverged(90_000);
  await untilStatus('Active');
  await cluster().session(['pause']);
  await cluster().sh(
    'mkdir tarred/paused; printf x >tarred/paused/file; printf more >>tarred/write2; mv tarred/renamed tarred/again',
  );
  await cluster().session(['resume']);
  await cluster().waitConverged(90_000);
  await untilStatus('Active');
});

test('a checkpoint completes with tarssh, too', async () => {
  expect(await option('sync-method')).toBe('tarssh');
  await completeCheckpoint('cp-tarred');
});

test('status shows a stopped session as Stopped, and no process and no mount is left', async () => {
  expect((await cluster().session(['delete'], 'return')).code).not.toBe(0);
  await cluster().session(['stop']);
  expect(await state()).toBe('Stopped');
  await cluster().assertNoMountsLeft();
  // The command line of the machine's first process contains the path of the checkout, which may contain gsyncd.
  const left = [...(await cluster().primaries[0]!.processes()).values()].filter(
    (line) => line.includes('gsyncd') && !line.includes('/lab/node.sh --inside '),
  );
  expect(left).toEqual([]);
});

test('a session that is deleted and created again continues with a history crawl, with the configured engine', async () => {
  await cluster().session(['delete']);
  await cluster().sh('printf between >between');
  await cluster().session(['create', 'push-pem', 'force']);
  expect(await option('sync-method')).toBe('rsync');
  await cluster().session(['config', 'sync-method', 'tarssh']);
  const before = (await sessionLog()).length;
  await cluster().session(['start']);
  await cluster().waitConverged(90_000);
  const log = (await sessionLog()).slice(before);
  expect(log).toContain('starting history crawl');
  expect(log).not.toContain('starting hybrid crawl');
  await cluster().session(['stop']);
});

test('after delete reset-sync-time the next start crawls the whole volume', async () => {
  await cluster().session(['delete', 'reset-sync-time']);
  await cluster().sh(`printf again >again; rm between; mkdir again-tarred; cd again-tarred; ${EVERY_TYPE}`);
  await cluster().session(['create', 'push-pem', 'force']);
  await cluster().session(['config', 'sync-method', 'tarssh']);
  const before = (await sessionLog()).length;
  await cluster().session(['start']);
  await cluster().until(
    'walk',
    async () => (await sessionLog()).slice(before).includes('finished hybrid crawl'),
    90_000,
  );
  await cluster().waitConverged(60_000, { under: 'again-tarred' });
  await cluster().until(
    'new file',
    async () => (await cluster().sh('cat again 2>/dev/null || true', cluster().secondary)) === 'again',
  );
  await cluster().session(['stop']);
});

test('a configuration file of GlusterFS 3 is converted and its options are kept', async () => {
  const node = cluster().primaries[0]!;
  const conf = `${cluster().sessionDir}/gsyncd.conf`;
  await node.sh(
    `python3 - <<'END'
text = open('${conf}').read()
open('${conf}', 'w').write('[__meta__]\\nversion = 2.0\\n\\n[peers gv0 sv0]\\nsync_jobs = 2\\nuse_tarssh = true\\nsession_owner = 00000000-0000-0000-0000-000000000000\\n')
END`,
    '/',
  );
  await cluster().session(['start']);
  await untilStatus('Active');
  expect([await option('sync-jobs'), await option('sync-method')]).toEqual(['2', 'tarssh']);
  expect(await node.read(conf)).toContain('[vars]');
  await cluster().sh('printf upgraded >upgraded');
  await cluster().until(
    'new file',
    async () => (await cluster().sh('cat upgraded 2>/dev/null || true', cluster().secondary)) === 'upgraded',
  );
  await cluster().session(['stop']);
});
