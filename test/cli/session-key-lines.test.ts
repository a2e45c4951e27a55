// Decisions about command lines of a session's keys, without running them: lines that primaries send, and lines that would
// make root read, write or run something else.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { decideForcedCommand, isStillSession, type ProcessView } from '../../src/cli/forced/forced-command.js';
import { rsyncArgv } from '../../src/primary/transfer/rsync-argv.js';
import { isAtLeast, parseRsyncVersion } from '../../src/primary/transfer/rsync-report.js';
import { unpackArgv } from '../../src/primary/transfer/tarssh-transfer.js';
import { lacksProgram } from '../skip.js';

/** Options that make root access files outside the session, or that no primary sends. */
const ESCAPING_RSYNC = [
  ...[
    '--copy-as=root',
    '-logDtprKe.LsfxCIvu',
    '-logDtprLe.LsfxCIvu',
    '-logDtprke.LsfxCIvu',
    '-bogDtpre.Lsf',
    '-Ce.Lsf',
    '--keep-dirlinks',
    '--write-devices',
    '--copy-devices',
  ],
  ...[
    '--sender',
    '--backup',
    '--backup-dir=.b',
    '--suffix=x',
    '--partial-dir=.part',
    '--link-dest=.',
    '--copy-dest=.',
    '--compare-dest=.',
    '--mkpath',
    '--delete',
    '--force',
  ],
  ...[
    '--remove-source-files',
    '--delete-missing-args',
    '--fake-super',
    '--munge-links',
    '--iconv=utf8',
    '--usermap=0:1',
    '--chmod=u+s',
    '--remote-option=--fake-super',
    '-M--fake-super',
  ],
  ...[
    '--stop-after=1',
    '--max-alloc=0',
    '--files-from=-',
    '--from0',
    '--out-format=%n',
    '--log-file-format=%n',
    '--block-size',
    '--filter=.',
    '--include-from=-',
    '--password-file=-',
  ],
  ...[
    '--trust-sender',
    '--old-args',
    '-e.Ls;id',
    '-Te.Lsf',
    '--address=x',
    '--port=1',
    '--no-detach',
    '--acls=x',
    '--timeout=-1',
    '--log-format=%u',
    '--',
    '-',
  ],
];
/** Lines that would make root do something else than serve the session. */
const ESCAPING_GSYNCD = [
  'secondary x h_x::x --delete --path-list=--path=DIR/victim',
  'secondary gv0 h::sv0 --delete --path-list=',
  'secondary gv0 h::sv0 --config-set ssh-command --value DIR/evil',
  'secondary gv0 h::sv0 --monitor --glusterd-uuid x --path /b',
  'secondary gv0 h::sv0 --status-get --path /b',
  'secondary gv0 h::sv0 --normalize-url=ssh://h::v',
  'secondary gv0 h::sv0 --version',
  'secondary gv0 h::sv0 --help',
  'secondary gv0 h::sv0 --mountbroker root',
  'secondary gv0 h::sv0 --inet6',
  'secondary --inet6 gv0 h::sv0',
  'secondary ../../../DIR/up h::sv0',
  'secondary gv0/.. h::sv0',
  'secondary gv0 ../../h::sv0',
  'secondary gv0 h::../sv0',
  'secondary gv0 h::sv0/../..',
  'secondary gv0 ../u@h::sv0',
  'secondary gv0 ssh://h::sv0',
  'secondary gv0 h..h::sv0',
  'secondary gv0 -h::sv0',
  'secondary - h::sv0',
  'secondary gv0 h::sv0 more',
  'secondary gv0',
  'secondary gv0 h::sv0 --primary-node ../../x',
  'secondary gv0 h::sv0 --primary-node=../../x',
  'secondary gv0 h::sv0 --master-node ../x',
  'secondary gv0 h::sv0 --primary-brick ../x',
  'secondary gv0 h::sv0 --primary-brick /a/../x',
  'secondary gv0 h::sv0 --primary-brick /a/..',
  'secondary gv0 h::sv0 --primary-brick=',
  'secondary gv0 h::sv0 --primary-brick /a\x1b]0;x',
  'secondary gv0 h::sv0 --primary-brick /a\nb',
  'secondary gv0 h::sv0 --primary-node-id ../x',
  'secondary gv0 h::sv0 --local-node $(id)',
  'secondary gv0 h::sv0 --local-node-id $(id)',
  'secondary gv0 h::sv0 --secondary-timeout 1e9',
  'secondary gv0 h::sv0 --secondary-timeout --debug',
  'secondary gv0 h::sv0 --secondary-log-level LOUD',
  'secondary gv0 h::sv0 --secondary-gluster-log-level ../x',
  'secondary gv0 h::sv0 --secondary-gluster-command-dir bin',
  'secondary gv0 h::sv0 --secondary-gluster-command-dir /usr/../DIR',
  'secondary gv0 h::sv0 --secondary-gluster-log-file DIR/escaped',
  'secondary gv0 h::sv0 --secondary-gluster-params volfile=DIR/evil.vol',
  'secondary gv0 h::sv0 --secondary-log-file DIR/escaped',
  'secondary gv0 h::sv0 --gluster-logdir DIR',
  'secondary gv0 h::sv0 --primary-dist-count x',
  'secondary gv0 h::sv0 --debug=1',
  'secondary gv0 h::sv0 --',
  'secondary -- gv0 h::sv0',
  `secondary ${'x'.repeat(300)} h::sv0`,
  'delete gv0 h::sv0',
  'monitor gv0 h::sv0',
  'install --uninstall',
  '--delete --path-list= gv0 h::sv0',
];
const ID = '5eb7c2a4-1f0d-4d2b-9a53-0e5a7c1d9b42';
/** Command lines of GlusterFS's primaries with the old and the new option names, and of this project. */
const SESSIONS = [
  `secondary gv0 root@10.0.0.1::sv0 --primary-node p1.example --primary-node-id ${ID} --primary-brick /bricks/b-1 --local-node 10.0.0.1 --local-node-id ${ID} --secondary-timeout 120 --secondary-log-level INFO --secondary-gluster-log-level INFO --secondary-gluster-command-dir /usr/sbin --primary-dist-count 1`,
  `slave gv0 h::sv0 --master-node p1 --master-node-id ${ID} --master-brick /b --local-node root@h --local-node-id ${ID} --slave-timeout 120 --slave-log-level DEBUG --slave-gluster-log-level INFO --slave-gluster-command-dir /usr/local/sbin/ --master-dist-count 2 --slave-access-mount --debug`,
  `secondary --use-rsync-xattrs gv0 geo@fe80::1%eth0::sv0 --primary-node=2001:db8::1 --local-node-id unknown --secondary-access-mount --session-owner ${ID}`,
];

const NO_VIEW: ProcessView = {
  self: 1,
  entry: () => undefined,
  childrenOf: () => [],
  commandLine: () => [],
  cwd: () => undefined,
};
/** This process and a gsyncd are children of one sshd. */
const SESSION_VIEW: ProcessView = {
  self: 30,
  entry: (pid) => ({ pid, parent: pid === 10 ? 1 : 10, name: pid === 10 ? 'sshd' : 'node', uid: 0 }),
  childrenOf: () => [30, 31],
  commandLine: (pid) => (pid === 31 ? ['node', '/opt/bin/gsyncd-ts.js', 'secondary', 'gv0', 'h::sv0', ''] : ['sh']),
  cwd: () => '/mnt/x',
};

describe('gsyncd', () => {
  it.each(SESSIONS)('runs %s', (words) => {
    expect(decideForcedCommand(`/nonexistent/gsyncd ${words}`, NO_VIEW)).toEqual({
      run: 'gsyncd',
      args: words.split(' '),
    });
  });
  it.each(ESCAPING_GSYNCD)('refuses %j', (words) => {
    expect(decideForcedCommand(`gsyncd ${words}`, NO_VIEW)).toMatchObject({
      run: 'nothing',
      why: expect.stringMatching(/^disallowed gsyncd invocation: [\x20-\x7e]+$/) as string,
    });
  });
});

describe("rsync's server", () => {
  it.each(ESCAPING_RSYNC)('is refused with %s', (option) => {
    for (const line of [
      `rsync --server ${option} . /proc/31/cwd`,
      `rsync --server -logDtpre.Lsf --super ${option} --stats . /proc/31/cwd`,
    ]) {
      expect(decideForcedCommand(line, SESSION_VIEW)).toMatchObject({
        run: 'nothing',
        why: expect.stringContaining('is not of a geo-replication session') as string,
      });
    }
  });
});

describe('isStillSession()', () => {
  const process = (parent: number, ...commandLine: string[]): ProcessView => ({
    self: 9,
    entry: (pid) =>
      ({
        1: { pid, parent: 0, name: 'sshd', uid: 0 },
        9: { pid, parent: 1, name: 'node', uid: 0 },
        31: { pid, parent, name: 'node', uid: 0 },
      })[pid],
    childrenOf: () => [],
    commandLine: () => commandLine,
    cwd: () => undefined,
  });
  const gsyncd = ['node', '/x/gsyncd-ts.js', 'secondary', 'gv0', 'h::sv0'];

  it("is false when another process has the session's process id", () => {
    const rsync = { run: 'rsync', args: [], session: 31 } as const;
    expect(isStillSession(rsync, process(1, ...gsyncd), {})).toBe(true);
    expect(isStillSession(rsync, process(2, ...gsyncd), {})).toBe(false);
    expect(isStillSession(rsync, process(1, 'sleep', '1'), {})).toBe(false);
    const tar = { ...rsync, run: 'tar' } as const;
    expect(isStillSession(tar, process(2, ...gsyncd), { onlyVolume: 'sv0' })).toBe(true);
    expect(isStillSession(tar, process(2, ...gsyncd), { onlyVolume: 'other' })).toBe(false);
    expect(isStillSession(tar, process(2, 'sleep', '1'), {})).toBe(false);
  });
});

describe('a tar key', () => {
  const view: ProcessView = {
    self: 30,
    entry: (pid) => (pid === 1 ? undefined : { pid, parent: 1, name: 'sh', uid: pid === 32 ? 1000 : 0 }),
    childrenOf: () => [],
    commandLine: (pid) =>
      ({
        31: ['node', '/opt/bin/gsyncd-ts.js', 'secondary', 'gv0', 'root@h::sv0', '--primary-node', 'p'],
        32: ['node', '/opt/bin/gsyncd-ts.js', 'secondary', 'gv0', 'h::sv0'],
        33: ['python3', '/x/gsyncd.py', 'slave', '--master-node', 'a::sv0', 'gv0', 'h::sv1', ''],
      })[pid] ?? ['sleep'],
    cwd: () => '/mnt/x',
  };
  const decide = (line: string, onlyVolume?: string): unknown =>
    decideForcedCommand(line, view, { isTarKey: true, ...(onlyVolume === undefined ? {} : { onlyVolume }) });

  it('runs tar in the mount of a session, with the arguments of stock and of this project', () => {
    expect(decide('tar --overwrite -xf - -C /proc/31/cwd')).toEqual({
      run: 'tar',
      args: ['--overwrite', '-xf', '-'],
      session: 31,
    });
    expect(decide('tar --overwrite --acls --record-size=64K -xf - -C /proc/33/cwd')).toEqual({
      run: 'tar',
      args: ['--overwrite', '--acls', '--record-size=64K', '-xf', '-'],
      session: 33,
    });
    expect(
      decide(
        unpackArgv({ command: '', sshArgv: ['ssh'], acls: true, target: { address: 'h', directory: '/proc/31/cwd' } })
          .slice(2)
          .join(' '),
      ),
    ).toMatchObject({ run: 'tar' });
  });

  it.each([
    'tar --overwrite --checkpoint=1 --checkpoint-action=exec=id -xf - -C /proc/31/cwd',
    'tar --overwrite --to-command=id -xf - -C /proc/31/cwd',
    'tar --overwrite -I id -xf - -C /proc/31/cwd',
    'tar --overwrite --use-compress-program=id -xf - -C /proc/31/cwd',
    'tar --overwrite --rsh-command=id -xf h:x -C /proc/31/cwd',
    'tar --overwrite -P -xf - -C /proc/31/cwd',
    'tar --overwrite --absolute-names -xf - -C /proc/31/cwd',
    'tar --overwrite --transform=s,^,/, -xf - -C /proc/31/cwd',
    'tar --overwrite --xattrs-include=* -xf - -C /proc/31/cwd',
    'tar --overwrite -xPf - -C /proc/31/cwd',
    'tar --overwrite -xf /dev/sda -C /proc/31/cwd',
    'tar --overwrite -cf - -C /proc/31/cwd',
    'tar --overwrite -cf - -C /proc/31/cwd .',
    'tar --overwrite -xf - -C /proc/31/cwd -C /',
    'tar --overwrite -C / -xf - -C /proc/31/cwd',
    'tar --overwrite -xf - -C /proc/31/cwd/..',
    'tar --overwrite -xf - -C /proc/31/root',
    'tar --overwrite -xf - -C /proc/self/cwd',
    'tar --overwrite -xf - -C /',
    'tar --overwrite -xf - -C /proc/1/cwd',
    'tar --overwrite -xf - -C /proc/32/cwd',
    'tar -xf - -C /proc/31/cwd',
    'tar --overwrite -xf - -C /proc/31/cwd;id',
    'tar',
    '',
    'rsync --server . /proc/31/cwd',
    'gsyncd secondary gv0 h::sv0',
    'gluster volume info',
    'sh',
  ])('refuses %s', (line) => {
    expect(decide(line)).toMatchObject({
      run: 'nothing',
      why: expect.stringMatching(/disallowed tar|not allowed/) as string,
    });
  });

  it('is limited to the volume that authorized_keys names', () => {
    expect(decide('tar --overwrite -xf - -C /proc/31/cwd', 'sv0')).toMatchObject({ run: 'tar' });
    expect(decide('tar --overwrite -xf - -C /proc/33/cwd', 'sv0')).toMatchObject({
      run: 'nothing',
      why: expect.stringContaining('volume sv0') as string,
    });
  });

  it('is the only key that runs tar', () => {
    expect(decideForcedCommand('tar --overwrite -xf - -C /proc/31/cwd', view)).toMatchObject({ run: 'nothing' });
  });
});

describe('a key that is bound to a volume', () => {
  it.each([
    ['gsyncd secondary gv0 h::sv0', 'gsyncd'],
    ['gsyncd secondary gv0 root@h::sv0:5eb7c2a4', 'gsyncd'],
    ['gsyncd secondary gv0 h::sv1', 'nothing'],
    ['gsyncd secondary sv0 h::sv1', 'nothing'],
    ['gluster volume info sv0', 'gluster'],
    ['gluster --xml --remote-host=localhost volume info sv0', 'gluster'],
    ['gluster volume info sv1', 'nothing'],
    ['gluster volume info all', 'nothing'],
    ['gluster volume info', 'nothing'],
  ])('%s: %s', (line, run) => {
    expect(decideForcedCommand(line, NO_VIEW, { onlyVolume: 'sv0' }).run).toBe(run);
  });
});

describe.skipIf(lacksProgram('rsync', "what rsync's client asks of its server"))("rsync's client", () => {
  const dir = mkdtempSync(join(tmpdir(), 'rsync-line-'));
  const shell = join(dir, 'shell');
  writeFileSync(shell, '#!/bin/sh\nshift\nprintf %s "$*" >"$(dirname "$0")/line"\n', { mode: 0o755 });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  /** The command line that the installed rsync sends to the secondary. */
  const serverLine = (argv: readonly string[]): string => {
    rmSync(join(dir, 'line'), { force: true });
    const done = spawnSync('rsync', argv, { input: 'x\0', encoding: 'utf8' });
    if (!existsSync(join(dir, 'line'))) throw new Error(done.stderr);
    return readFileSync(join(dir, 'line'), 'utf8');
  };
  const stock = (...more: string[]): string[] => [
    ...[
      '-aR0',
      '--inplace',
      '--files-from=-',
      '--super',
      '--stats',
      '--numeric-ids',
      '--no-implied-dirs',
      '--existing',
      '--xattrs',
      '--acls',
    ],
    ...[...more, '--ignore-missing-args', '.', '-e', shell, 'h:/proc/31/cwd'],
  ];
  const session = {
    command: 'rsync',
    sshArgv: [shell],
    existing: true,
    ignoreMissingArgs: true,
    xattrs: true,
    acls: true,
    target: { address: 'h', directory: '/proc/31/cwd' },
  };

  it.each(
    [
      [],
      ['-z'],
      ['--compress-level=9', '-z'],
      ['--bwlimit=1000'],
      ['--timeout=60'],
      ['--whole-file'],
      ['--sparse'],
      ['-v'],
      ['-vv', '--progress'],
      ['--checksum'],
      ['--ignore-existing'],
      ['--fsync'],
      ['--partial'],
      ['--block-size=4096'],
      ['--modify-window=1'],
      ['--max-size=1G'],
      ['-H'],
      ['--no-D'],
      ['-u'],
      ['--size-only'],
      ['-i'],
      ['--info=progress2'],
    ].map((options) => [options] as const),
  )("is allowed with stock's options and %j", (options) => {
    expect(decideForcedCommand(serverLine(stock(...options)), SESSION_VIEW)).toMatchObject({ run: 'rsync' });
  });

  it.each([
    { compare: 'content', isSparse: true, maxFileBytes: 10 },
    { compare: 'times' },
    { compare: 'content', isBare: true },
  ] as const)("is allowed with the arguments of this project's primary: %j", (run) => {
    const known = parseRsyncVersion(spawnSync('rsync', ['--version'], { encoding: 'utf8' }).stdout)!;
    const choices = isAtLeast(known, 3, 2)
      ? [['--compress-choice=zstd'], ['--compress-choice=lz4'], ['--checksum-choice=xxh3']]
      : [];
    for (const userOptions of [[], ...choices]) {
      const line = serverLine(rsyncArgv({ ...session, userOptions }, known, run).slice(1));
      expect(decideForcedCommand(line, SESSION_VIEW), line).toMatchObject({ run: 'rsync' });
    }
  });

  it.each(['--keep-dirlinks', '--write-devices', '--backup', '--remove-source-files'])(
    'is refused with %s',
    (option) => {
      expect(decideForcedCommand(serverLine(stock(option)), SESSION_VIEW)).toMatchObject({ run: 'nothing' });
    },
  );
});
