// Parts specific to rsync: its command line, and correct results from an rsync that misbehaves.

import { readFileSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import {
  RsyncReport,
  parseDirectoryLine,
  isAtLeast,
  parseRsyncVersion,
} from '../../src/primary/transfer/rsync-report.js';
import { rsyncArgv } from '../../src/primary/transfer/rsync-argv.js';
import { RsyncTransfer, type RsyncTransferOptions } from '../../src/primary/transfer/rsync-transfer.js';
import { MISSING_ON_PRIMARY } from '../../src/queue/engine.js';
import { BIN, FAKE_SSH, LogLines, Pair } from './tree.js';
import { lacksProgram } from '../skip.js';

const noRsync = lacksProgram('rsync', 'the rsync engine with a real rsync');

let pair: Pair;
let log: LogLines;
beforeEach(async () => {
  pair = await new Pair().create();
  log = new LogLines();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await pair.remove();
});

function engine(options: Partial<RsyncTransferOptions> = {}): RsyncTransfer {
  return new RsyncTransfer({
    command: join(BIN, 'fake-rsync'),
    userOptions: [],
    sshArgv: [FAKE_SSH],
    existing: true,
    ignoreMissingArgs: true,
    xattrs: false,
    acls: false,
    logPerformance: () => false,
    target: { address: 'root@host', directory: pair.secondary },
    mountDir: () => pair.primary,
    log,
    ...options,
  });
}

const files = (count: number): Promise<Gfid[]> => Promise.all(Array.from({ length: count }, () => pair.file('x')));

describe('RsyncTransfer', () => {
  test('exit 23: the file that an error line names fails, the others are synced', async () => {
    vi.stubEnv('FAKE_RSYNC', 'named-errors');
    const gfids = await files(3);
    const outcome = await engine().sync(gfids, { logErrors: true });
    expect(outcome).toMatchObject({ returnCode: 23, synced: new Set(gfids.slice(1)) });
    expect([...outcome.failed]).toEqual([[gfids[0], expect.stringContaining('Permission denied (13)')]]);
    expect(outcome.broken).toBeUndefined();
    expect(log.lines[0]).toEqual({
      level: 'error',
      message: 'SYNC Error',
      fields: { sync_engine: 'Rsync', error: expect.stringContaining('[receiver] open') as string },
    });
  });

  test('exit 0: a file that rsync skipped or did not report fails', async () => {
    vi.stubEnv('FAKE_RSYNC', 'skips');
    const gfids = await files(4);
    const outcome = await engine().sync(gfids, { logErrors: false });
    expect(outcome).toMatchObject({ returnCode: 0, synced: new Set(gfids.slice(2)) });
    expect([...outcome.failed]).toEqual([
      [gfids[0], `not creating new file ".gfid/${gfids[0]}"`],
      [gfids[1], 'rsync did not report it'],
    ]);
  });

  test('a run that exits with 12 fails all files, including those that it listed before', async () => {
    vi.stubEnv('FAKE_RSYNC', 'itemizes-and-breaks');
    const gfids = await files(3);
    const outcome = await engine().sync(gfids, { logErrors: false });
    expect(outcome).toMatchObject({ returnCode: 12, synced: new Set() });
    expect([...outcome.failed.keys()]).toEqual(gfids);
    expect(outcome.broken).toContain('exit 12');
  });

  test('sync() runs rsync again without the file on which the receiver died', async () => {
    const gfids = await files(4);
    vi.stubEnv('FAKE_RSYNC', 'write-failed');
    vi.stubEnv('FAKE_RSYNC_CULPRIT', gfids[2]);
    const outcome = await engine().sync(gfids, { logErrors: false });
    expect(outcome.synced).toEqual(new Set([gfids[0], gfids[1], gfids[3]]));
    expect(outcome.failed.get(gfids[2]!)).toContain('Disk quota exceeded');
    expect(outcome.broken).toBeUndefined();
  });

  test('after several files each broke a run, sync() fails all others together', async () => {
    const gfids = await files(10);
    vi.stubEnv('FAKE_RSYNC', 'write-failed');
    vi.stubEnv('FAKE_RSYNC_CULPRIT', '.gfid');
    const outcome = await engine().sync(gfids, { logErrors: false });
    expect([outcome.synced.size, outcome.failed.size]).toEqual([0, 10]);
    expect(outcome.failed.get(gfids[9]!)).toBe(outcome.broken);
  });

  test('sync() sends files again that may have lost their xattrs because of another file', async () => {
    const gfids = await files(3);
    const runs = join(pair.root, 'runs');
    vi.stubEnv('FAKE_RSYNC', 'loses-xattrs');
    vi.stubEnv('FAKE_RSYNC_ARGV', runs);
    vi.stubEnv('FAKE_RSYNC_CULPRIT', gfids[0]);
    const outcome = await engine({ xattrs: true }).sync(gfids, { logErrors: false });
    expect([outcome.returnCode, outcome.synced]).toEqual([0, new Set(gfids.slice(1))]);
    expect(outcome.failed.get(gfids[0]!)).toContain('failed to re-read xattr');
    expect(readFileSync(runs, 'utf8').match(/--files-from=-/g)).toHaveLength(2);

    vi.stubEnv('FAKE_RSYNC_CULPRIT', '.gfid');
    expect((await engine({ xattrs: true }).sync(gfids, { logErrors: false })).synced.size).toBe(0);
  });

  test('of 500 directories, the one that fails is found in at most 20 runs', async () => {
    vi.stubEnv('FAKE_RSYNC', 'directory-fails');
    vi.stubEnv('FAKE_RSYNC_CULPRIT', 'dir333');
    vi.stubEnv('FAKE_RSYNC_ARGV', join(pair.root, 'argv'));
    const dirs = new Map(Array.from({ length: 500 }, (_, i) => [pair.newGfid(), `dir${i}`] as const));
    const { synced, failed } = await engine().syncDirectories(dirs, { logErrors: false });
    expect([...failed.keys()].map((gfid) => dirs.get(gfid))).toEqual(['dir333']);
    expect(synced.size).toBe(499);
    expect(readFileSync(join(pair.root, 'argv'), 'utf8').match(/--files-from=-/g)?.length).toBeLessThanOrEqual(20);
  });

  test('a flood on stderr does not block rsync', async () => {
    vi.stubEnv('FAKE_RSYNC', 'floods');
    const gfids = await files(2);
    expect((await engine().sync(gfids, { logErrors: false })).synced).toEqual(new Set(gfids));
  });

  test.each(['hangs', 'ignores-sigterm'])('an abort ends the transfer of an rsync that %s', async (how) => {
    vi.stubEnv('FAKE_RSYNC', how);
    const controller = new AbortController();
    setTimeout(() => controller.abort(), 300);
    await expect(engine().sync(await files(1), { logErrors: false, signal: controller.signal })).rejects.toMatchObject({
      code: 'stopped',
    });
  });

  test('an rsync that is missing or is another program is a preflight error', async () => {
    const gfids = await files(1);
    await expect(engine({ command: '/x/rsync' }).sync(gfids, { logErrors: false })).rejects.toMatchObject({
      code: 'preflight',
      message: 'run rsync: /x/rsync: not found',
    });
    await expect(engine({ command: '/bin/true' }).sync(gfids, { logErrors: false })).rejects.toMatchObject({
      code: 'preflight',
    });
  });

  test('an old rsync gets no option that it does not know', async () => {
    vi.stubEnv('FAKE_RSYNC', 'skips');
    vi.stubEnv('FAKE_RSYNC_VERSION', '3.0.9');
    vi.stubEnv('FAKE_RSYNC_ARGV', join(pair.root, 'argv'));
    await engine().sync(await files(3), { logErrors: false });
    const argv = readFileSync(join(pair.root, 'argv'), 'utf8');
    expect(argv).not.toMatch(/--ignore-missing-args|--info/);
    expect(argv).toContain('--out-format=');
  });

  test.skipIf(noRsync)('with the real rsync: a file that the secondary lacks fails though rsync exits 0', async () => {
    const [lacking, here] = [await pair.file('x', null), await pair.file('y')];
    const outcome = await engine({ command: 'rsync' }).sync([lacking, here], { logErrors: false });
    expect(outcome).toMatchObject({ returnCode: 0, synced: new Set([here]) });
    expect(outcome.failed.get(lacking)).toContain('not creating new file');
  });

  test.skipIf(noRsync)('with the real rsync: compareTimes skips files of equal size and mtime', async () => {
    const [trusted, not] = [await pair.file('version 2', 'version 1'), await pair.file('version 2', 'version 1')];
    for (const gfid of [trusted, not]) await pair.sameTimes(gfid);
    const outcome = await engine({ command: 'rsync' }).sync([trusted, not], {
      logErrors: false,
      compareTimes: new Set([trusted]),
    });
    expect(outcome.synced).toEqual(new Set([trusted, not]));
    expect([(await pair.read(trusted)).toString(), (await pair.read(not)).toString()]).toEqual([
      'version 1',
      'version 2',
    ]);
  });

  test.skipIf(noRsync)('with the real rsync: mtimes that differ within a second are not equal', async () => {
    const gfid = await pair.file('version 2', 'version 1');
    await utimes(pair.on('primary', gfid), 1_700_000_000, 1_700_000_000.75);
    await utimes(pair.on('secondary', gfid), 1_700_000_000, 1_700_000_000.25);
    await engine({ command: 'rsync' }).sync([gfid], { logErrors: false, compareTimes: new Set([gfid]) });
    expect((await pair.read(gfid)).toString()).toBe('version 2');
  });

  test.skipIf(noRsync)(
    'with the real rsync: files up to maxFileBytes are sent whole, and their bytes are counted',
    async () => {
      const gfid = await pair.file('x'.repeat(5_000), 'x'.repeat(4_000));
      await utimes(pair.on('secondary', gfid), 1, 1);
      const outcome = await engine({ command: 'rsync', logPerformance: () => true }).sync([gfid], {
        logErrors: false,
        maxFileBytes: 5_000,
      });
      expect(outcome.bytes).toBe(5_000);
      const [line] = log.lines;
      expect(line?.message).toBe('rsync performance');
      expect(line?.fields['data']).toMatch(
        /^Number of files: .*, Number of regular files transferred: 1, .*Literal data: 5,000 bytes, .*sent [\d,]+ bytes/,
      );
    },
  );

  test.skipIf(noRsync)("with the real rsync: the user's options cannot hide the results", async () => {
    for (const userOptions of [
      ['-v'],
      ['-vv'],
      ['--quiet'],
      ['-q'],
      ['--info=none'],
      ['--out-format=%f'],
      ['--no-itemize-changes'],
      ['-z', '--bwlimit=100000'],
    ]) {
      const gfids = await files(2);
      const outcome = await engine({ command: 'rsync', userOptions }).sync(gfids, { logErrors: false });
      expect([userOptions, outcome.synced]).toEqual([userOptions, new Set(gfids)]);
    }
    expect(log.lines.filter(({ message }) => message === 'rsync verbose')).toHaveLength(2);
  });

  test.skipIf(noRsync)('with the real rsync: ssh arguments with spaces are passed unchanged', async () => {
    const gfids = await files(1);
    const sshArgv = [FAKE_SSH, '-o', 'ProxyCommand=nc "some host" 22', '-p', '2222'];
    expect((await engine({ command: 'rsync', sshArgv }).sync(gfids, { logErrors: false })).synced).toEqual(
      new Set(gfids),
    );
  });
});

test("rsyncArgv() begins and ends as stock's command line, with the user's options after stock's flags", () => {
  const options = {
    command: '/usr/bin/rsync',
    userOptions: ['--bwlimit=100'],
    sshArgv: ['ssh', '-i', '/key', '-p', '22'],
    existing: true,
    ignoreMissingArgs: true,
    xattrs: true,
    acls: true,
    target: { address: 'root@host', directory: '/proc/123/cwd' },
  };
  expect(rsyncArgv(options, { major: 3, minor: 2 }, { compare: 'content', maxFileBytes: 4096 })).toEqual([
    '/usr/bin/rsync',
    '-aR0',
    '--inplace',
    '--files-from=-',
    '--super',
    '--stats',
    '--numeric-ids',
    '--no-implied-dirs',
    '--existing',
    '--xattrs',
    '--filter=+x trusted.glusterfs.shard.*',
    '--filter=-x trusted.glusterfs.*',
    '--filter=-x system.*',
    '--acls',
    '--bwlimit=100',
    '--ignore-missing-args',
    '--ignore-times',
    '--whole-file',
    '-ii',
    '--out-format=@%i %n',
    '--info=skip1',
    '.',
    '-e',
    'ssh -i /key -p 22',
    'root@host:/proc/123/cwd',
  ]);
  const bare = rsyncArgv(
    { ...options, existing: false, ignoreMissingArgs: false, userOptions: [] },
    { major: 3, minor: 2 },
    { compare: 'times', isBare: true },
  );
  expect(bare.filter((word) => /existing|xattrs|filter|acls|ignore|whole/.test(word))).toEqual([]);
  const off = rsyncArgv({ ...options, xattrs: false }, { major: 3, minor: 2 }, { compare: 'content' });
  expect(off.filter((word) => /xattrs|filter/.test(word))).toEqual([
    '--xattrs',
    '--filter=+x trusted.glusterfs.shard.*',
    '--filter=-x *',
  ]);
});

describe('rsync versions', () => {
  test('are compared as numbers', () => {
    expect(isAtLeast({ major: 3, minor: 10 }, 3, 2)).toBe(true);
    expect(isAtLeast({ major: 3, minor: 1 }, 3, 1)).toBe(true);
    expect(isAtLeast({ major: 3, minor: 0 }, 3, 1)).toBe(false);
    expect(isAtLeast({ major: 10, minor: 0 }, 3, 1)).toBe(true);
  });

  test('are parsed from the output of rsync --version', () => {
    expect(parseRsyncVersion('rsync  version 3.5.0  protocol version 32\nCopyright')).toEqual({ major: 3, minor: 5 });
    expect(parseRsyncVersion('rsync  version v3.2.7pre1  protocol version 31')).toEqual({ major: 3, minor: 2 });
    expect(parseRsyncVersion('openrsync: protocol 29')).toBeNull();
  });
});

describe('directoryOfLine()', () => {
  test.each([
    ['@.d..t...... d/', 'd'],
    ['@.d           a b/', ' a b'],
    ['@cd+++++++++ #recycle/ x/', '#recycle/ x'],
    ['@.d..t...... n\\#303\\#244h\\#012e/', 'näh\ne'],
    ['@.d..t...... ./', '.'],
    ['@>f+++++++++ file', null],
    ['sent 12 bytes', null],
  ])('%j', (line, path) => {
    expect(parseDirectoryLine(line)).toBe(path);
  });
});

describe('RsyncReport', () => {
  const gfid = '0000000b-0000-4000-8000-000000000000' as Gfid;

  test.each([
    [`rsync: [sender] link_stat "/mnt/x/.gfid/${gfid}" failed: No such file or directory (2)`],
    [`rsync: [sender] link_stat "/mnt/x/.gfid/${gfid}" failed: Stale file handle (116)`],
    [`rsync: link_stat "/mnt/x/.gfid/${gfid}" failed: No such file or directory (2)`],
    [`rsync: [sender] send_files failed to open "/mnt/x/.gfid/${gfid}": No such file or directory (2)`],
    [`file has vanished: "/mnt/x/.gfid/${gfid}"`],
  ])(`${MISSING_ON_PRIMARY}: %s`, (line) => {
    const report = new RsyncReport();
    report.stderrLine(line);
    expect([[...report.missing], report.errors.size]).toEqual([[gfid], 0]);
  });

  test.each([
    [`rsync: [receiver] open "/there/.gfid/${gfid}" failed: No such file or directory (2)`],
    [`rsync: [generator] failed to set times on "/there/.gfid/${gfid}": Read-only file system (30)`],
    [
      `rsync: [receiver] rsync_xal_set: lsetxattr("/there/.gfid/${gfid}","user.x") failed: Operation not supported (95)`,
    ],
    [`could not make way for new regular file: .gfid/${gfid}`],
    [`ERROR: .gfid/${gfid} failed verification -- update retained.`],
    [`rsync: [sender] read errors mapping "/mnt/x/.gfid/${gfid}": Input/output error (5)`],
  ])('an error: %s', (line) => {
    const report = new RsyncReport();
    report.stderrLine(line);
    expect([report.missing.size, report.errors.get(gfid)]).toEqual([0, line]);
  });

  test('a line that announces a retry is no error', () => {
    const report = new RsyncReport();
    report.stderrLine(`WARNING: .gfid/${gfid} failed verification -- update retained (will try again).`);
    expect([report.missing.size, report.errors.size]).toEqual([0, 0]);
  });
});
