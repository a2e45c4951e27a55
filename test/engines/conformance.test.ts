// Test cases for both engines, with the real rsync and tar, between two directories.

import { lstat, mkdir, open, rm, writeFile, chmod, chown, utimes, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test as plainTest } from 'vitest';
import { RsyncTransfer } from '../../src/primary/transfer/rsync-transfer.js';
import { TarsshTransfer } from '../../src/primary/transfer/tarssh-transfer.js';
import { runChild } from '../../src/process/spawn.js';
import { bisectingEngine } from '../../src/queue/bisecting-engine.js';
import { MISSING_ON_PRIMARY, type DataEngine } from '../../src/queue/engine.js';
import { BIN, FAKE_SSH, LogLines, Pair } from './tree.js';
import { lacksProgram, lacksRoot } from '../skip.js';

type Flags = { xattrs?: boolean; sshArgv?: string[]; directory?: string };

const ENGINES: Record<string, (pair: Pair, log: LogLines, flags?: Flags) => DataEngine> = {
  'rsync, as configured by default': (pair, log, flags) => rsync(pair, log, true, flags),
  'rsync without --ignore-missing-args': (pair, log, flags) => rsync(pair, log, false, flags),
  tarssh: (pair, log, { xattrs = false, sshArgv = [FAKE_SSH, '-p', '22'], directory = pair.secondary } = {}) =>
    new TarsshTransfer({
      command: 'tar',
      sshArgv,
      attributes: xattrs ? rsync(pair, log, true, { xattrs }) : undefined,
      xattrs,
      acls: xattrs,
      target: { address: 'root@host', directory },
      mountDir: () => pair.primary,
      log,
    }),
};

function rsync(
  pair: Pair,
  log: LogLines,
  ignoreMissingArgs: boolean,
  { xattrs = false, sshArgv = [FAKE_SSH, '-p', '22'], directory = pair.secondary }: Flags = {},
) {
  return new RsyncTransfer({
    command: 'rsync',
    userOptions: [],
    sshArgv,
    existing: true,
    ignoreMissingArgs,
    xattrs,
    acls: xattrs,
    logPerformance: () => false,
    target: { address: 'root@host', directory },
    mountDir: () => pair.primary,
    log,
  });
}

let pair: Pair;
beforeEach(async () => {
  pair = await new Pair().create();
});
afterEach(() => pair.remove());

const noRsync = lacksProgram('rsync', 'the rsync engine with a real rsync');
const noXattrTools =
  lacksProgram('setfattr', 'xattrs through the engines') ||
  lacksProgram('setfacl', 'ACLs through the engines') ||
  lacksRoot('xattrs and ACLs through the engines');

describe.each(Object.entries(ENGINES))('%s', (name, makeEngine) => {
  const test = plainTest.skipIf(noRsync && name.startsWith('rsync'));
  const quiet = { logErrors: false };

  test('sends content, mode, owner and mtime with its fraction', async () => {
    const gfids = [
      await pair.file('hello'),
      await pair.file('', 'was longer'),
      await pair.file(Buffer.alloc(300_000, 'x'), Buffer.alloc(400_000, 'y')),
      await pair.file(''),
    ];
    // Only root may give a file away, and only its tar sets the set-id bits.
    await chmod(pair.on('primary', gfids[0]!), process.geteuid?.() === 0 ? 0o4640 : 0o640);
    if (process.geteuid?.() === 0) await chown(pair.on('primary', gfids[0]!), 1234, 4_000_000_000);
    const outcome = await makeEngine(pair, new LogLines()).sync(gfids, quiet);
    expect(outcome).toMatchObject({ returnCode: 0, synced: new Set(gfids), failed: new Map() });
    expect(await Promise.all(gfids.map((gfid) => pair.same(gfid)))).toEqual([true, true, true, true]);
  });

  test('writes into the existing inode', async () => {
    const gfid = await pair.file('new content', 'old');
    const { ino } = await lstat(pair.on('secondary', gfid));
    await makeEngine(pair, new LogLines()).sync([gfid], quiet);
    expect((await lstat(pair.on('secondary', gfid))).ino).toBe(ino);
    expect(await pair.same(gfid)).toBe(true);
  });

  test('sends changed content though size and mtime agree', async () => {
    const gfid = await pair.file('version 2', 'version 1');
    await pair.sameTimes(gfid);
    const outcome = await makeEngine(pair, new LogLines()).sync([gfid], quiet);
    expect(outcome.synced).toEqual(new Set([gfid]));
    expect((await pair.read(gfid)).toString()).toBe('version 2');
  });

  test('reports files that are up to date as synced', async () => {
    const gfids = [await pair.file('same', 'same'), await pair.file('', '')];
    for (const gfid of gfids) await pair.sameTimes(gfid);
    for (const options of [
      quiet,
      { ...quiet, compareTimes: new Set(gfids) },
      { ...quiet, compareTimes: new Set([gfids[0]!]) },
    ]) {
      expect((await makeEngine(pair, new LogLines()).sync(gfids, options)).synced).toEqual(new Set(gfids));
    }
  });

  test("sends a directory's own attributes, not its content", async () => {
    const gfid = await pair.directory();
    await writeFile(join(pair.on('primary', gfid), 'inside'), 'x');
    await chmod(pair.on('primary', gfid), 0o710);
    await utimes(pair.on('primary', gfid), 1_600_000_000, 1_600_000_000.25);
    expect((await makeEngine(pair, new LogLines()).sync([gfid], quiet)).synced).toEqual(new Set([gfid]));
    expect(await readdir(pair.on('secondary', gfid))).toEqual([]);
    expect(await pair.same(gfid)).toBe(true);
  });

  test('a file that is gone on the primary is reported as missing, and the others arrive', async () => {
    const [gone, here] = [await pair.file('x'), await pair.file('y')];
    await rm(pair.on('primary', gone));
    const outcome = await makeEngine(pair, new LogLines()).sync([gone, here], quiet);
    expect([...outcome.failed]).toEqual([[gone, MISSING_ON_PRIMARY]]);
    expect(outcome.synced).toEqual(new Set([here]));
    expect(outcome.broken).toBeUndefined();
    expect(await pair.same(here)).toBe(true);
  });

  test('a file in whose place the secondary has a directory fails with a reason, and the others arrive', async () => {
    const [blocked, here] = [await pair.file('x', null), await pair.file('y')];
    await mkdir(join(pair.on('secondary', blocked), 'not empty'), { recursive: true });
    const log = new LogLines();
    const outcome = await makeEngine(pair, log).sync([blocked, here], { logErrors: true });
    expect([...outcome.failed.keys()]).toEqual([blocked]);
    expect(outcome.failed.get(blocked)).toContain(blocked);
    expect(outcome.synced).toEqual(new Set([here]));
    expect(await pair.same(here)).toBe(true);
    expect(
      log.lines.some(
        ({ level, message, fields }) =>
          level === 'error' && message === 'SYNC Error' && String(fields['error']).includes(blocked),
      ),
    ).toBe(true);
  });

  test('a sparse file arrives with equal content and attributes', async () => {
    const gfid = await pair.file('', '');
    const file = await open(pair.on('primary', gfid), 'r+');
    await file.write('middle', 5_000_000);
    await file.truncate(9_000_000);
    await file.close();
    await makeEngine(pair, new LogLines()).sync([gfid], quiet);
    expect(await pair.same(gfid)).toBe(true);
  });

  test('1,200 files in one transfer arrive, each with its own result', async () => {
    const gfids = await Promise.all(Array.from({ length: 1_200 }, (_, i) => pair.file(`content ${i}`)));
    const outcome = await makeEngine(pair, new LogLines()).sync(gfids, quiet);
    expect(outcome.synced.size).toBe(1_200);
    expect(await pair.same(gfids[1_199]!)).toBe(true);
  });

  plainTest.skipIf(noRsync || noXattrTools)(
    'sends user xattrs and ACLs when asked to, into the existing inode',
    async () => {
      const [gfid, plain] = [await pair.file('x'), await pair.file('y')];
      const { ino } = await lstat(pair.on('secondary', gfid));
      await runChild(['setfattr', '-n', 'user.colour', '-v', 'blue', pair.on('primary', gfid)]);
      await runChild(['setfacl', '-m', 'u:1234:r', pair.on('primary', gfid)]);
      const outcome = await makeEngine(pair, new LogLines(), { xattrs: true }).sync([plain, gfid], quiet);
      expect(outcome.synced).toEqual(new Set([plain, gfid]));
      expect((await lstat(pair.on('secondary', gfid))).ino).toBe(ino);
      expect(await pair.same(plain)).toBe(true);
      const dumps = await Promise.all(
        (['primary', 'secondary'] as const).map((side) =>
          runChild(['getfattr', '--absolute-names', '-d', '-m', '^(user|system)', pair.on(side, gfid)]),
        ),
      );
      const [a, b] = dumps.map(({ stdout }) => stdout.toString().split('\n').slice(1));
      expect(a?.join()).toContain('user.colour="blue"');
      expect(b).toEqual(a);
    },
  );

  test("a refused connection fails all files with ssh's message", async () => {
    const gfids = [await pair.file('a'), await pair.file('b')];
    const outcome = await makeEngine(pair, new LogLines(), { sshArgv: [join(BIN, 'refusing-ssh')] }).sync(gfids, quiet);
    // rsync may see its pipe break (12) before it sees ssh's exit code.
    expect([12, 255]).toContain(outcome.returnCode);
    expect(outcome.synced.size).toBe(0);
    expect(outcome.broken).toContain('Permission denied (publickey)');
    expect([...outcome.failed.values()]).toEqual([outcome.broken, outcome.broken]);
  });

  test('a remote side that exits with 1 without reading fails all files', async () => {
    const gfids = [await pair.file('a'), await pair.file('b')];
    const outcome = await makeEngine(pair, new LogLines(), { sshArgv: [join(BIN, 'declining-ssh')] }).sync(
      gfids,
      quiet,
    );
    expect([outcome.synced.size, outcome.failed.size]).toEqual([0, 2]);
    expect(outcome.broken).toBeDefined();
  });

  test('an empty transfer checks whether transfers work', async () => {
    const nothing = { synced: new Set(), failed: new Map() };
    expect(await makeEngine(pair, new LogLines()).sync([], quiet)).toMatchObject({ ...nothing, returnCode: 0 });
    for (const ssh of ['refusing-ssh', 'declining-ssh']) {
      const outcome = await makeEngine(pair, new LogLines(), { sshArgv: [join(BIN, ssh)] }).sync([], quiet);
      expect(outcome).toMatchObject({ ...nothing, broken: expect.any(String) as string });
    }
  });

  test('bisecting() fails only the files on which the remote side dies without naming them', async () => {
    const healthy = await Promise.all(Array.from({ length: 30 }, (_, i) => pair.file(`content ${i}`)));
    const poisonous = [await pair.file('POISON', ''), await pair.file('POISON, too', '')];
    const gfids = [
      ...healthy.slice(0, 10),
      poisonous[0]!,
      ...healthy.slice(10, 24),
      poisonous[1]!,
      ...healthy.slice(24),
    ];
    const engine = makeEngine(pair, new LogLines(), { sshArgv: [join(BIN, 'dying-ssh')] });
    const whole = await engine.sync(gfids, quiet);
    expect(whole.broken).toBeDefined();
    expect(whole.synced.size).toBe(0);
    const outcome = await bisectingEngine(engine).sync(gfids, quiet);
    expect(outcome.broken).toBeUndefined();
    expect([...outcome.failed.keys()].sort()).toEqual(poisonous);
    expect(outcome.synced).toEqual(new Set(healthy));
    for (const gfid of healthy) expect(await pair.same(gfid)).toBe(true);
  });

  test('a target directory that does not exist fails all files', async () => {
    const gfid = await pair.file('a');
    const outcome = await makeEngine(pair, new LogLines(), { directory: join(pair.root, 'nowhere', 'at', 'all') }).sync(
      [gfid],
      quiet,
    );
    expect([outcome.synced.size, outcome.failed.has(gfid)]).toEqual([0, true]);
  });

  test('a missing ssh program is a preflight error with its path', async () => {
    const run = makeEngine(pair, new LogLines(), { sshArgv: ['/x/ssh', '-p', '22'] }).sync(
      [await pair.file('a')],
      quiet,
    );
    await expect(run).rejects.toMatchObject({ code: 'preflight', message: 'run ssh: /x/ssh: not found' });
  });

  test('an abort during a transfer rejects with code stopped', async () => {
    const gfid = await pair.file('a');
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    const run = makeEngine(pair, new LogLines(), { sshArgv: [join(BIN, 'hanging-ssh')] }).sync([gfid], {
      ...quiet,
      signal: controller.signal,
    });
    await expect(run).rejects.toMatchObject({ code: 'stopped' });
  });
});
