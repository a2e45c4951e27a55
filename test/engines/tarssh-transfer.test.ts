// Parts specific to tar: its command lines, and the parsing of both tars' errors.

import { describe, expect, test } from 'vitest';
import type { Gfid } from '../../src/protocol/gfid.js';
import { packArgv, unpackArgv } from '../../src/primary/transfer/tarssh-transfer.js';
import { explainLine, TarReport } from '../../src/primary/transfer/tar-report.js';
import type { ExitInfo } from '../../src/process/child.js';

const gfid = '0000000b-0000-4000-8000-000000000000' as Gfid;
const exit = (code: number | null, stderrTail = ''): ExitInfo => ({
  code,
  signal: code === null ? 'SIGPIPE' : null,
  stderrTail,
});

describe('TarReport', () => {
  test('exit 1 of the local tar is normal: a file changed while it was read', () => {
    const report = new TarReport();
    report.localLine(`tar: .gfid/${gfid}: file changed as we read it`);
    expect([report.errors.size, report.missing.size, report.brokenReason(exit(1), exit(0))]).toEqual([0, 0, undefined]);
  });

  test.each([
    'Cannot stat: No such file or directory',
    'Cannot open: No such file or directory',
    'File removed before we read it',
    'Cannot stat: Stale file handle',
    'Read error at byte 0, while reading 2 bytes: Stale file handle',
  ])('missing on the primary: %s', (text) => {
    const report = new TarReport();
    report.localLine(`tar: .gfid/${gfid}: ${text}`);
    report.localLine('tar: Exiting with failure status due to previous errors');
    expect([[...report.missing], report.errors.size, report.brokenReason(exit(2), exit(0))]).toEqual([
      [gfid],
      0,
      undefined,
    ]);
  });

  test('an error that names a file fails only that file', () => {
    const report = new TarReport();
    report.remoteLine(`tar: .gfid/${gfid}: Cannot open: No such file or directory`);
    report.remoteLine('tar: Exiting with failure status due to previous errors');
    expect([report.errors.has(gfid), report.missing.size, report.brokenReason(exit(0), exit(2))]).toEqual([
      true,
      0,
      undefined,
    ]);
  });

  test('a short write is reported as a full disk', () => {
    const report = new TarReport();
    report.remoteLine(`tar: .gfid/${gfid}: Wrote only 1536 of 65536 bytes`);
    expect(report.errors.get(gfid)).toMatch(/disk is full/);
    expect(explainLine('tar: -: Wrote only 4096 of 10240 bytes')).not.toMatch(/disk/);
  });

  test('an error that names no file fails the whole transfer', () => {
    const report = new TarReport();
    report.remoteLine('tar: Unexpected EOF in archive');
    report.remoteLine('tar: Error is not recoverable: exiting now');
    expect(report.brokenReason(exit(0), exit(2, 'tar: Unexpected EOF in archive'))).toBe(
      'tar on the secondary: exit 2: tar: Unexpected EOF in archive',
    );
    expect(new TarReport().brokenReason(exit(2), exit(0))).toBe('tar here: exit 2');
  });

  test("exit 255 of ssh is reported with its last line; ssh's warnings are no failure", () => {
    const report = new TarReport();
    report.remoteLine("Warning: Permanently added 'host' (ED25519) to the list of known hosts.");
    expect(report.brokenReason(exit(0), exit(0))).toBeUndefined();
    expect(report.brokenReason(exit(null), exit(255, 'Connection closed by 10.0.0.1'))).toBe(
      'tar on the secondary: exit 255: Connection closed by 10.0.0.1',
    );
  });

  test('a time stamp in the future is no failure', () => {
    const report = new TarReport();
    report.remoteLine(`tar: .gfid/${gfid}: time stamp 2030-01-01 00:00:00 is 100 s in the future`);
    expect([report.errors.size, report.brokenReason(exit(0), exit(0))]).toEqual([0, undefined]);
  });
});

test('unpackArgv() puts no space into remote arguments, since a forced command splits at spaces', () => {
  const argv = unpackArgv({
    command: 'tar',
    sshArgv: ['ssh', '-p', '22'],
    acls: true,
    target: { address: 'root@host', directory: '/proc/12/cwd' },
  });
  expect(argv.slice(0, 4)).toEqual(['ssh', '-p', '22', 'root@host']);
  const remote = argv.slice(4);
  expect(remote.join(' ').split(' ')).toEqual(remote);
  expect(remote).toEqual(['tar', '--overwrite', '--acls', '--record-size=64K', '-xf', '-', '-C', '/proc/12/cwd']);
});

test('packArgv() keeps fractions of seconds and leaves out user names', () => {
  const argv = packArgv({ command: 'tar', xattrs: true, acls: false });
  expect(argv).toEqual([
    'tar',
    '--sparse',
    '--no-recursion',
    '--format=posix',
    '--pax-option=delete=atime,delete=ctime',
    '--numeric-owner',
    '--record-size=64K',
    '-cf',
    '-',
    '--files-from',
    '-',
  ]);
});
