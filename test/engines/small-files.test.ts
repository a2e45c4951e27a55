// Small files through the RPC: the client, the wire and the secondary's methods are the real ones, over a directory.

import { chmod, chown, lstat, mkdir, open, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import { createLogger } from '../../src/log.js';
import { futimensAsync } from '../../src/native/libc.js';
import { withSmallFiles, type FoundFile, type SmallFilesOptions } from '../../src/primary/transfer/small-files.js';
import type { DataEngine, SyncOptions } from '../../src/queue/engine.js';
import { RepceClient } from '../../src/rpc/client.js';
import { PUT_FILES_METHOD } from '../../src/rpc/features.js';
import { serveRepce } from '../../src/rpc/server.js';
import { secondaryMethods } from '../../src/secondary/methods.js';
import { MountVolume } from '../../src/secondary/mount-volume.js';
import type { SecondaryVolume } from '../../src/secondary/volume.js';
import { Pair } from './tree.js';

const LIMIT = 65_536;
const log = createLogger({ destination: '/dev/null', level: 'ERROR', label: 'test' }).child({ module: 'test' });
const quiet = { logErrors: false };

let pair: Pair;
beforeEach(async () => {
  pair = await new Pair().create();
});
afterEach(() => pair.remove());

async function find(gfid: Gfid): Promise<FoundFile> {
  const path = pair.on('primary', gfid);
  const { size, mode, uid, gid, mtimeNs } = await lstat(path, { bigint: true });
  return { path, size: Number(size), mode: Number(mode) & 0o7777, uid: Number(uid), gid: Number(gid), mtimeNs };
}

/** An engine on a real RPC connection, the gfids that it passed to the next engine, and its calls. */
function connect(
  options: Partial<SmallFilesOptions> = {},
  volume: SecondaryVolume = new MountVolume({ dir: pair.secondary, symlinks: 'looked for' }),
) {
  const [there, back] = [new PassThrough(), new PassThrough()];
  const calls: string[] = [];
  const signal = new AbortController().signal;
  const methods = secondaryMethods({ volume, distributionCount: 1, markSpace: 'trusted', log, signal });
  void serveRepce({ input: there, output: back, methods, onCall: (method) => calls.push(method) });
  const client = new RepceClient({ input: back, output: there });
  const passed: Gfid[] = [];
  const behind: DataEngine = {
    name: 'behind',
    sync: (gfids) => {
      passed.push(...gfids);
      return Promise.resolve({
        returnCode: 23,
        synced: new Set(),
        failed: new Map(gfids.map((gfid) => [gfid, 'behind'])),
        bytes: 0,
      });
    },
  };
  const engine = withSmallFiles(behind, { calls: client, maxFileBytes: LIMIT, find, ...options });
  return { engine, passed, calls, client, end: () => back.end() };
}

/** Expects that all files are synced and none is passed to the next engine. */
async function arrive(gfids: readonly Gfid[], options: SyncOptions = quiet): Promise<ReturnType<typeof connect>> {
  const connection = connect();
  expect(await connection.engine.sync(gfids, options)).toMatchObject({
    returnCode: 0,
    synced: new Set(gfids),
    failed: new Map(),
  });
  expect(connection.passed).toEqual([]);
  return connection;
}

describe('withSmallFiles() sends', () => {
  test('content, mode, owner and mtime to the nanosecond, into the existing inode', async () => {
    const contents = ['hello', '', Buffer.alloc(LIMIT, 'x'), Buffer.from([0, 0xff, 0x80, 0x0a])];
    const gfids = await Promise.all(contents.map((content) => pair.file(content, 'was there')));
    await chmod(pair.on('primary', gfids[0]!), 0o4640);
    if (process.geteuid?.() === 0) await chown(pair.on('primary', gfids[0]!), 1234, 4_000_000_000);
    const times = [
      { seconds: 1_700_000_000, nanoseconds: 123_456_789 },
      { seconds: -2, nanoseconds: 999_999_999 },
    ];
    for (const [i, time] of times.entries()) {
      const file = await open(pair.on('primary', gfids[i]!), 'r+');
      await futimensAsync(file.fd, time);
      await file.close();
    }
    const inodes = await Promise.all(gfids.map((gfid) => lstat(pair.on('secondary', gfid))));
    const outcome = await (await arrive(gfids)).engine.sync(gfids, quiet);
    expect(outcome.bytes).toBe(5 + LIMIT + 4);
    for (const [i, gfid] of gfids.entries()) {
      const [a, b] = await Promise.all(
        (['primary', 'secondary'] as const).map((side) => lstat(pair.on(side, gfid), { bigint: true })),
      );
      expect([b!.ino, b!.mode, b!.uid, b!.gid, b!.size, b!.mtimeNs]).toEqual([
        BigInt(inodes[i]!.ino),
        a!.mode,
        a!.uid,
        a!.gid,
        a!.size,
        a!.mtimeNs,
      ]);
      expect(await pair.read(gfid)).toEqual(await readFile(pair.on('primary', gfid)));
    }
    expect((await lstat(pair.on('secondary', gfids[0]!), { bigint: true })).mtimeNs).toBe(1_700_000_000_123_456_789n);
    expect((await lstat(pair.on('secondary', gfids[1]!), { bigint: true })).mtimeNs).toBe(-1_000_000_001n);
  });

  test('changed content though size and mtime agree, but not for files in compareTimes', async () => {
    const [changed, equal] = [await pair.file('version 2', 'version 1'), await pair.file('version 2', 'version 1')];
    for (const gfid of [changed, equal]) await pair.sameTimes(gfid);
    await arrive([changed, equal], { ...quiet, compareTimes: new Set([equal]) });
    expect(String(await pair.read(changed))).toBe('version 2');
    expect(String(await pair.read(equal))).toBe('version 1');
  });

  test('a thousand files in calls of a bounded size', async () => {
    const gfids = await Promise.all(Array.from({ length: 1_000 }, (_, i) => pair.file(`content ${i}`)));
    const { calls } = await arrive(gfids);
    expect(calls).toEqual(Array.from({ length: 16 }, () => PUT_FILES_METHOD));
    for (const gfid of gfids) expect(await pair.same(gfid)).toBe(true);
    const large = await Promise.all(Array.from({ length: 20 }, () => pair.file(Buffer.alloc(60_000, 'y'))));
    expect((await arrive(large)).calls).toHaveLength(3);
  });
});

describe('withSmallFiles() passes to the next engine', () => {
  async function pass(gfid: Gfid, options: Partial<SmallFilesOptions> & Partial<SyncOptions> = {}): Promise<void> {
    const other = await pair.file('other');
    const { engine, passed } = connect(options);
    const outcome = await engine.sync([gfid, other], { ...quiet, ...options });
    expect(passed).toEqual([gfid]);
    expect(outcome).toMatchObject({ returnCode: 23, synced: new Set([other]), failed: new Map([[gfid, 'behind']]) });
  }

  test('a large file', async () => pass(await pair.file(Buffer.alloc(LIMIT + 1, 'x'))));

  test('a file with xattrs or ACLs', async () => {
    const gfid = await pair.file('x');
    await pass(gfid, { find: (asked) => (asked === gfid ? Promise.resolve(null) : find(asked)) });
  });

  test('a file whose lookup fails', async () => {
    const gfid = await pair.file('x');
    await pass(gfid, { find: (asked) => (asked === gfid ? Promise.reject(new Error('brick: EIO')) : find(asked)) });
  });

  test('a file with holes', async () => {
    const gfid = await pair.file('x');
    await pass(gfid, { holes: new Map([[gfid, 'some']]) });
  });

  test('a file that is gone on the primary', async () => {
    const gfid = await pair.file('x');
    await rm(pair.on('primary', gfid));
    await pass(gfid);
  });

  test('a file that changed since its lookup', async () => {
    const gfid = await pair.file('x', 'old');
    await pass(gfid, { find: async (asked) => ({ ...(await find(asked)), ...(asked === gfid && { size: 5 }) }) });
    expect(String(await pair.read(gfid))).toBe('old');
  });

  test('a file that the secondary lacks', async () => pass(await pair.file('x', null)));

  test('a file in whose place the secondary has a directory or a symlink, which is not followed', async () => {
    const [directory, link] = [await pair.file('x', null), await pair.file('x', null)];
    await mkdir(pair.on('secondary', directory));
    await pass(directory);
    const outside = join(pair.root, 'outside');
    await writeFile(outside, 'not the volume');
    await symlink(outside, pair.on('secondary', link));
    await pass(link);
    expect(String(await readFile(outside))).toBe('not the volume');
  });

  test('all files when attributes are to be sent, or when the volume refuses the whole call', async () => {
    const gfids = [await pair.file('x', 'old'), await pair.file('y', 'old')];
    const { engine, passed } = connect();
    await engine.sync(gfids, { ...quiet, attributes: 'all' });
    expect(passed).toEqual(gfids);
    class Down extends MountVolume {
      confirm(): Promise<void> {
        return Promise.reject(Object.assign(new Error('ENOTCONN'), { errno: -107, code: 'ENOTCONN' }));
      }
    }
    const down = connect({}, new Down({ dir: pair.secondary, symlinks: 'looked for' }));
    expect((await down.engine.sync(gfids, quiet)).synced.size).toBe(0);
    expect(down.passed).toEqual(gfids);
  });

  test('an empty transfer, which checks whether transfers work', async () => {
    expect(await connect().engine.sync([], quiet)).toMatchObject({ returnCode: 23 });
  });
});

test('a connection that ends fails the transfer', async () => {
  const { engine, end, passed } = connect();
  end();
  await expect(engine.sync([await pair.file('x')], quiet)).rejects.toMatchObject({ code: 'peer' });
  expect(passed).toEqual([]);
});

test('the secondary refuses malformed files with EINVAL and changes nothing', async () => {
  const gfid = await pair.file('x', 'old');
  await utimes(pair.on('secondary', gfid), 1, 1);
  const { client } = connect();
  const good = { gfid, content: Buffer.from('new'), mode: 0o644, uid: 0, gid: 0, mtime: null, compare: 'content' };
  const bad = [
    { ...good, gfid: '../../etc' },
    { ...good, content: 'new' },
    { ...good, mode: 0o10644 },
    { ...good, uid: -1 },
    good,
    'x',
    null,
  ];
  expect(await client.call(PUT_FILES_METHOD, [bad])).toEqual(bad.map(() => 22));
  await expect(client.call(PUT_FILES_METHOD, ['x'])).rejects.toThrow('not a list');
  expect(String(await pair.read(gfid))).toBe('old');
});
