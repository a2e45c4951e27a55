import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import {
  EVENT_NUMBERS,
  eventFields,
  eventMessage,
  eventPort,
  eventSender,
  faultyFields,
  type EventSubject,
} from '../../src/gluster/events.js';
import { WorkerStatus } from '../../src/status/status-file.js';
import { lacks, NO_GLUSTER } from '../skip.js';

const STOCK = ['/usr/lib/x86_64-linux-gnu/glusterfs/gfevents', '/usr/libexec/glusterfs/gfevents'].some((dir) =>
  existsSync(join(dir, 'gf_event.py')),
);
const PYTHON = join(import.meta.dirname, 'events.py');
const dir = mkdtempSync(join(tmpdir(), 'events-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const SUBJECT: EventSubject = {
  primary: 'gv0',
  node: 'node1',
  nodeId: '3f0cfc22-0e1a-4a5c-a9a4-f2c1f7b9a111',
  secondaryHost: 'root@backup',
  secondaryVolume: 'sv0',
  brickPath: '/bricks/b 1/é',
};

let opened: Socket[] = [];
afterEach(() => {
  for (const socket of opened) socket.close();
  opened = [];
});

/** Opens a UDP socket; next() resolves with its next datagram. */
async function listen(): Promise<{ port: number; next: () => Promise<string> }> {
  const socket = createSocket('udp4');
  opened.push(socket);
  socket.bind(0);
  await once(socket, 'listening');
  const got: string[] = [];
  const waiting: ((text: string) => void)[] = [];
  socket.on('message', (message) => {
    const take = waiting.shift();
    if (take === undefined) got.push(message.toString());
    else take(message.toString());
  });
  const next = (): Promise<string> =>
    new Promise((resolve) => {
      const text = got.shift();
      if (text === undefined) waiting.push(resolve);
      else resolve(text);
    });
  return { port: socket.address().port, next };
}

function configured(name: string, port: number | string): string {
  const file = join(dir, name);
  writeFileSync(file, JSON.stringify({ 'log-level': 'INFO', port }));
  return file;
}

describe('eventPort()', () => {
  it("prefers the cluster's port to the packaged one", async () => {
    const packaged = configured('packaged.json', 55_555);
    const workdir = join(dir, 'workdir');
    expect(await eventPort(workdir, packaged)).toBe(55_555);
    mkdirSync(join(workdir, 'events'), { recursive: true });
    writeFileSync(join(workdir, 'events', 'config.json'), '{"port": "24010"}');
    expect(await eventPort(workdir, packaged)).toBe(24_010);
    writeFileSync(join(workdir, 'events', 'config.json'), '{"port": ');
    expect(await eventPort(workdir, packaged)).toBe(55_555);
  });

  it('is null without a configuration file', async () => {
    expect(await eventPort(join(dir, 'nowhere'), join(dir, 'nothing.json'))).toBeNull();
  });
});

describe('eventSender()', () => {
  it('sends each state change of a worker once, and a completed checkpoint', async () => {
    const { port, next } = await listen();
    const send = eventSender(join(dir, 'nowhere'), configured('own.json', port));
    const session = mkdtempSync(join(dir, 'session-'));
    const status = new WorkerStatus({
      stateFile: join(session, 'monitor.status'),
      brickPath: SUBJECT.brickPath,
      log: { info: () => undefined },
      onEvent: (event, more) => send(event, eventFields(SUBJECT, more)),
    });
    const common = `primary_volume=gv0;primary_node=node1;primary_node_id=${SUBJECT.nodeId};secondary_host=root@backup;secondary_volume=sv0;brick_path=${SUBJECT.brickPath}`;
    await status.setActive();
    await status.setActive();
    expect(await next()).toMatch(new RegExp(`^\\d+ 93 ${common}$`));
    await status.setPassive();
    expect(await next()).toMatch(new RegExp(`^\\d+ 94 ${common}$`));
    await status.setLastSynced([300, 0], 200, { blockedByFailures: false });
    expect(await next()).toMatch(new RegExp(`^\\d+ 92 ${common};checkpoint_time=200;checkpoint_completion_time=\\d+$`));
  });

  it('does not throw when no process listens or events are not installed', async () => {
    const { port } = await listen();
    opened.pop()?.close();
    const send = eventSender(join(dir, 'nowhere'), configured('closed.json', port));
    send('ACTIVE', eventFields(SUBJECT));
    eventSender(join(dir, 'nowhere'), join(dir, 'nothing.json'))('ACTIVE', eventFields(SUBJECT));
    await new Promise((resolve) => setTimeout(resolve, 100));
  });
});

describe.skipIf(lacks(STOCK, NO_GLUSTER, "events beside stock's"))("events beside stock's code", () => {
  it.each([
    ['ACTIVE', eventFields(SUBJECT)],
    ['PASSIVE', eventFields(SUBJECT)],
    [
      'CHECKPOINT_COMPLETED',
      eventFields(SUBJECT, { checkpoint_time: 1_700_000_000, checkpoint_completion_time: 1_700_000_007 }),
    ],
    ['FAULTY', faultyFields({ ...SUBJECT, secondaryHost: 'backup' }, 'backup2')],
  ] as const)("%s has the bytes of stock's message", async (event, fields) => {
    const { port, next } = await listen();
    execFileSync('/usr/bin/python3', [PYTHON, 'send', String(port), JSON.stringify([EVENT_NUMBERS[event], fields])]);
    const theirs = await next();
    expect(eventMessage(event, fields, Number(theirs.split(' ')[0])).toString()).toBe(theirs);
  });

  it('glustereventsd parses every event', async () => {
    const daemon: ChildProcess = spawn('/usr/bin/python3', [PYTHON, 'listen'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface({ input: daemon.stdout! })[Symbol.asyncIterator]();
      const line = async (): Promise<string> => String((await lines.next()).value);
      const send = eventSender(join(dir, 'nowhere'), configured('stock.json', Number(await line())));
      for (const event of Object.keys(EVENT_NUMBERS) as (keyof typeof EVENT_NUMBERS)[]) {
        send(event, eventFields(SUBJECT, { checkpoint_time: 5 }));
        const [, name, data] = JSON.parse(await line()) as [string, string, Record<string, string>];
        expect(name).toBe(`EVENT_GEOREP_${event}`);
        expect(data).toMatchObject({ primary_volume: 'gv0', brick_path: SUBJECT.brickPath, checkpoint_time: '5' });
      }
    } finally {
      daemon.kill('SIGKILL');
    }
  });
});
