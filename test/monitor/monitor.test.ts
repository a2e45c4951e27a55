import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Harness, isAlive, processGroup, volume } from './monitor-harness.js';

let h: Harness;
beforeEach(() => {
  h = new Harness();
});
afterEach(() => h.close());

it('the monitor runs a worker per brick of this node, with the arguments of stock, in its own process group', async () => {
  await h.start('serves');
  await h.until('two workers', () => h.started().length === 2);
  const [first] = h.started('/b/1');
  expect(first?.args).toBe(
    'worker gv0 geo@backup::sv0 --feedback-fd 3 --local-path /b/1 --local-node node1 --local-node-id me --secondary-id S --subvol-num 1 ' +
      `--resource-remote geo@127.0.0.1 --resource-remote-id s1 -c ${h.confFile}`,
  );
  expect(h.started('/b/3')).toHaveLength(1);
  expect(processGroup(first!.pid)).toBe(processGroup(process.pid));
  await h.until('status', async () => (await h.status('/b/1')).worker_status === 'Initializing...');
  expect(readFileSync(join(h.dir, 'session', 'monitor.status'), 'latin1')).toBe('Started');
  const conf = readFileSync(h.confFile, 'latin1');
  expect(conf).toContain('stime-xattr-prefix = trusted.glusterfs.P.S\n');
  expect(conf).toContain('primary-distribution-count = 3\n');
  await h.stop();
  expect(h.started().filter(({ pid }) => isAlive(pid))).toEqual([]);
});

it('the monitor sets a dead worker Faulty with its reason, sends an event, and restarts it with growing delays', async () => {
  const socket = createSocket('udp4').bind(0);
  await once(socket, 'listening');
  const events: string[] = [];
  socket.on('message', (message) => events.push(message.toString()));
  mkdirSync(join(h.dir, 'glusterd', 'events'), { recursive: true });
  writeFileSync(join(h.dir, 'glusterd', 'events', 'config.json'), JSON.stringify({ port: socket.address().port }));
  h.primary = volume('P', [['me', 'node1', '/b/1']]);
  await h.start('dies');
  await h.until('five starts', () => h.started().length >= 5);
  await h.until('Faulty', async () => (await h.status('/b/1')).worker_status === 'Faulty');
  await h.until('reason', async () => (await h.status('/b/1')).last_error === 'connect to secondary: refused');
  await h.until('event', () => events.length > 0);
  socket.close();
  expect(events[0]).toMatch(
    /^\d+ 91 primary_volume=gv0;primary_node=node1;primary_node_id=me;secondary_host=backup;secondary_volume=sv0;current_secondary_host=127\.0\.0\.1;brick_path=\/b\/1$/,
  );
  const delays = [...h.log().matchAll(/restarting worker .*\{delay=([\d.]+)\}, \{reason=(.*?)\}/g)].map((match) => [
    Number(match[1]),
    match[2],
  ]);
  expect(delays.slice(0, 4)).toEqual([0.05, 0.1, 0.2, 0.4].map((delay) => [delay, 'connect to secondary: refused']));
  expect(h.log()).toContain('worker died before establishing connection [{brick=/b/1}]');
});

it('the monitor kills a worker that does not acknowledge within the connection timeout', async () => {
  h.primary = volume('P', [['me', 'node1', '/b/1']]);
  await h.start('silent', { acknowledgeMs: 300 });
  await h.until('Faulty', async () => (await h.status('/b/1')).last_error === 'no acknowledgement after 0.3 s');
  const [first] = h.started();
  expect(isAlive(first!.pid)).toBe(false);
  await h.until('another try', () => h.started().length > 1);
});

it('the monitor kills a worker that ignores SIGTERM for stopMs', async () => {
  h.primary = volume('P', [['me', 'node1', '/b/1']]);
  await h.start('stubborn', { stopMs: 400 });
  await h.until('connected', () => h.log().includes('worker connected'));
  const startMs = performance.now();
  await h.stop();
  expect(performance.now() - startMs).toBeGreaterThan(380);
  expect(isAlive(h.started()[0]!.pid)).toBe(false);
});

it('the monitor restarts a worker after SIGKILL, and after SIGUSR1 without setting it Faulty', async () => {
  h.primary = volume('P', [['me', 'node1', '/b/1']]);
  await h.start('serves');
  await h.until('connected', () => h.log().includes('worker connected'));
  process.kill(h.started()[0]!.pid, 'SIGUSR1');
  await h.until('second', () => h.started().length === 2);
  expect(h.log()).not.toContain('Faulty');
  await h.until('connected', () => h.log().split('worker connected').length === 3);
  process.kill(h.started()[1]!.pid, 'SIGKILL');
  await h.until('third', () => h.started().length === 3);
  expect(h.log()).toContain('{reason=killed by SIGKILL}');
});

it('the monitor follows replaced bricks without restarting other workers, and restarts all for an added subvolume', async () => {
  await h.start('serves');
  await h.until('two workers', () => h.started().length === 2);
  // A replaced brick does not change the number of subvolumes.
  h.primary = volume('P', [
    ['me', 'node1', '/b/1'],
    ['me', 'node1', '/b/2'],
    ['other', 'node2', '/b/3'],
  ]);
  await h.until('new worker', () => h.started('/b/2').length === 1);
  expect(h.started('/b/1')).toHaveLength(1);
  expect(isAlive(h.started('/b/1')[0]!.pid)).toBe(true);
  expect(isAlive(h.started('/b/3')[0]!.pid)).toBe(false);
  // An added brick does. The secondary needs the new number.
  h.primary = volume('P', [
    ...h.primary.bricks.map((b) => [b.hostUuid, b.host, b.path] as const),
    ['other', 'node2', '/b/4'],
  ]);
  await h.until('restart', () => h.started('/b/1').length === 2);
  expect(isAlive(h.started('/b/1')[0]!.pid)).toBe(false);
  expect(readFileSync(h.confFile, 'latin1')).toContain('primary-distribution-count = 4\n');
});

it('the monitor restarts workers for another secondary volume and for a node that left it', async () => {
  h.primary = volume('P', [['me', 'node1', '/b/1']]);
  await h.start('serves');
  await h.until('worker', () => h.started().length === 1);
  h.secondary = volume('S', [['s9', '127.0.0.1', '/s/1']]);
  await h.until('other node', () => h.started()[1]?.args.includes('--resource-remote-id s9') === true);
  h.secondary = volume('S2', [['s9', '127.0.0.1', '/s/1']]);
  await h.until('other volume', () => h.started()[2]?.args.includes('--secondary-id S2') === true);
  expect(readFileSync(h.confFile, 'latin1')).toContain('stime-xattr-prefix = trusted.glusterfs.P.S2\n');
  expect(h.started().map(({ pid }) => isAlive(pid))).toEqual([false, false, true]);
});

it("the monitor assigns another node of the secondary when a worker's node is down", async () => {
  h.secondary = volume('S', [
    ['s2', '127.0.0.2', '/s/1'],
    ['s1', '127.0.0.1', '/s/2'],
  ]);
  await h.start('serves');
  await h.until('two workers', () => h.started().length === 2);
  for (const { args } of h.started()) expect(args).toContain('--resource-remote geo@127.0.0.1 --resource-remote-id s1');
});

it('the monitor warns once about each option that loses data', async () => {
  h.primary = { ...h.primary, options: { 'changelog.rollover-time': '1', 'features.shard': 'on' } };
  await h.start('serves');
  await h.until('workers', () => h.started().length === 2);
  h.primary = { ...h.primary, bricks: h.primary.bricks.slice(0, 1) };
  await h.until('another look', () => h.started().filter(({ pid }) => isAlive(pid)).length === 1);
  expect(h.log().match(/changelog\.rollover-time of 1 s/g)).toHaveLength(1);
  expect(h.log().match(/features\.shard is on for the primary and off for the secondary/g)).toHaveLength(1);
});

it('the monitor waits for an unreachable secondary, with the reason in the status files of its bricks', async () => {
  const there = h.secondary;
  h.secondary = new Error('ssh geo@backup: Connection refused');
  await h.start('serves');
  await h.until('reason', async () => (await h.status('/b/3')).last_error === 'ssh geo@backup: Connection refused');
  expect((await h.status('/b/1')).worker_status).toBe('Faulty');
  expect((await h.status('/b/2')).worker_status).toBe('N/A');
  h.secondary = there;
  await h.until('workers', () => h.started().length === 2);
  h.secondary = new Error('ssh geo@backup: Connection refused');
  await h.until('warning', () => h.log().includes('cannot read volume info of the secondary'));
  expect(h.started().every(({ pid }) => isAlive(pid))).toBe(true);
});

it('the monitor ends a restart delay as soon as glusterd changes the volume', async () => {
  h.primary = volume('P', [['me', 'node1', '/b/1']]);
  const dir = join(h.dir, 'glusterd/vols/gv0');
  mkdirSync(dir, { recursive: true });
  await h.start('dies', { volumeCheckMs: 60_000, backoff: { firstMs: 60_000, maxMs: 60_000, stableMs: 60_000 } });
  await h.until('a wait', () => h.log().includes('restarting worker [{brick=/b/1}, {delay=60}'));
  writeFileSync(join(dir, 'info'), 'status=1');
  await h.until('another start', () => h.started().length === 2);
});
