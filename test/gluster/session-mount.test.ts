// Attacks by a holder of a session's key, with a real sshd and a real volume. Transfers go into the session's mount and are
// refused while there is none, and files that the session creates in the volume give no way out of it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseMounts } from '../../src/native/mountinfo.js';
import { rsyncArgv } from '../../src/primary/transfer/rsync-argv.js';
import { RepceClient } from '../../src/rpc/client.js';
import type { PyValue } from '../../src/rpc/pickle-values.js';
import { HOST } from './lab/lab.js';
import { REPO } from './lab/machine.js';
import { DISKS, OUTSIDE } from './lab/own-secondary.js';
import { useLab } from './lab/use-lab.js';
import { until } from './lab/wait.js';

const lab = useLab({ session: 'none' });
/** One connection for all, as a primary's worker has it: the forced commands are siblings. */
const SSH = ['ssh', '-o', 'IdentitiesOnly=yes', '-i', '/root/.ssh/session', '-o', 'ControlPath=/tmp/session-mux'];
const ROOT = '.gfid/00000000-0000-0000-0000-000000000001';
const GFID = '5eb7c2a4-1f0d-4d2b-9a53-0e5a7c1d9b4';
const CANARY = `${OUTSIDE}/canary`;
/** The tree that the client sends: the path of the canary from the machine's root, and a file of the volume. */
const SOURCE = '/tmp/source';

interface Session {
  readonly child: ChildProcess;
  /** The secondary's process id in the machine. */
  readonly pid: number;
  readonly client: RepceClient;
}

beforeAll(async () => {
  await lab().sh(
    `ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/session </dev/null
    printf 'command="%s %s/bin/gsyncd-ts.js" %s\n' ${process.execPath} ${REPO} "$(cat /root/.ssh/session.pub)" >>/root/.ssh/authorized_keys
    mkdir -p ${OUTSIDE} ${SOURCE}${OUTSIDE}; printf 'as it was' >${CANARY}; printf stolen >${SOURCE}${CANARY}; printf new >${SOURCE}/file`,
    '/',
  );
  await lab().sh(
    "printf old >file; printf '#!/bin/sh\\nid\\n' >program; chmod 755 program; mkdir dir; printf text >dir/text",
    lab().secondary,
  );
  await lab().exec([...SSH, '-M', '-N', '-f', `root@${HOST}`]);
}, 60_000);

afterAll(async () => {
  await lab().exec([...SSH, '-O', 'exit', `root@${HOST}`], { onFailure: 'return' });
});

/** Starts a session's secondary and returns before it has mounted anything. The client has sent nothing yet. */
async function startSession(): Promise<Session> {
  const known = new Set((await lab().box.processes()).keys());
  const argv = [
    'gsyncd',
    'secondary',
    'px',
    `root@${HOST}::sv0`,
    '--secondary-timeout',
    '120',
    '--secondary-gluster-command-dir',
    '/usr/sbin',
  ];
  const [file, args] = lab().box.command([...SSH, `root@${HOST}`, ...argv]);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  for (;;) {
    const found = [...(await lab().box.processes())].find(
      ([pid, line]) => !known.has(pid) && /node \S*gsyncd-ts\.js secondary /.test(line),
    );
    if (found !== undefined)
      return { child, pid: found[0], client: new RepceClient({ input: child.stdout, output: child.stdin }) };
  }
}

async function endSession({ child }: Session): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.stdin?.end();
  await ended;
}

/** Runs a primary's rsync over the connection. @returns its exit code and output */
async function rsync(
  target: string,
  file: string,
): Promise<{ readonly code: number | undefined; readonly said: string }> {
  const sshArgv = SSH;
  const options = {
    command: 'rsync',
    userOptions: [],
    sshArgv,
    existing: true,
    ignoreMissingArgs: true,
    xattrs: false,
    acls: false,
  };
  const argv = rsyncArgv(
    { ...options, target: { address: `root@${HOST}`, directory: target } },
    { major: 3, minor: 2 },
    { compare: 'content', isBare: true },
  );
  const { code, stdout, stderr } = await lab().exec(
    ['bash', '-c', 'cd "$0" && printf "%s" "$1" | "${@:2}"', SOURCE, file, ...argv],
    { onFailure: 'return', timeoutMs: 20_000 },
  );
  return { code, said: stdout + stderr };
}

const cwdOf = (pid: number): Promise<string> => readlink(lab().box.outside(`/proc/${pid}/cwd`));
const signal = (name: string, ...pids: number[]): Promise<unknown> =>
  lab().exec(['kill', `-${name}`, ...pids.map(String)]);
const mountOf = async (pid: number) =>
  parseMounts(await readFile(lab().box.outside(`/proc/${pid}/mountinfo`))).filter(({ mountPoint }) =>
    mountPoint.includes('/gsyncd-aux-mount-'),
  );

/** Expects that a transfer fails for every name of the secondary's directory and leaves the machine's files unchanged. */
async function expectNoTransfer(pid: number): Promise<void> {
  for (const target of [`/proc/${pid}/cwd`, await cwdOf(pid), '/', `/proc/${pid}/cwd/`, `/proc/${pid}/root`]) {
    const { code, said } = await rsync(target, CANARY);
    expect(await lab().read(CANARY), target).toBe('as it was');
    expect(code, target).not.toBe(0);
    expect(said, target).toMatch(/gsyncd-ts: disallowed|\(unexpected|deleted/);
  }
}

test('no transfer starts before the volume is mounted or after it is unmounted', async () => {
  const session = await startSession();
  await signal('STOP', session.pid);
  expect(await mountOf(session.pid)).toEqual([]);
  await expectNoTransfer(session.pid);
  await signal('CONT', session.pid);
  expect(await session.client.call('pid', [])).toBe(session.pid);
  const glusterfs = [...(await lab().box.processes())].find(([, line]) =>
    /glusterfs .*gsyncd-aux-mount-/.test(line),
  )![0];
  // At its end the secondary unmounts and waits for this process.
  await signal('STOP', glusterfs);
  const ended = endSession(session);
  await until('the secondary has no mount', async () => (await mountOf(session.pid)).length === 0);
  await expectNoTransfer(session.pid);
  // The secondary may have killed it by now.
  await signal('KILL', glusterfs).catch(() => undefined);
  await ended;
});

test('a transfer goes into the mount by either of its names, and into no other directory', async () => {
  const session = await startSession();
  await session.client.call('pid', []);
  const [mount] = await mountOf(session.pid);
  for (const [i, target] of [`/proc/${session.pid}/cwd`, mount!.mountPoint].entries()) {
    await lab().sh(`printf new${i} >file`, SOURCE);
    const { code, said } = await rsync(target, 'file');
    expect(code, said).toBe(0);
    expect(await lab().read(`${DISKS}/sv0_1/file`)).toBe(`new${i}`);
  }
  for (const target of ['/', '/proc/1/cwd', `${mount!.mountPoint}/dir`, OUTSIDE])
    expect((await rsync(target, CANARY)).said, target).toMatch(/disallowed|does not match/);
  expect(await lab().read(CANARY)).toBe('as it was');
  // After a lazy unmount it is still the secondary's working directory.
  await lab().exec(['umount', '-l', mount!.mountPoint]);
  expect((await rsync(`/proc/${session.pid}/cwd`, 'file')).said).toContain(
    "disallowed transfer: the session's mount: not mounted",
  );
  await endSession(session);
});

test('device nodes, setuid programs and symlinks that the session creates give no access to the machine', async () => {
  const session = await startSession();
  const make = { skip_entry: false, uid: 0, gid: 0 };
  const ops: PyValue = [
    {
      ...make,
      op: 'MKNOD',
      gfid: `${GFID}1`,
      entry: `${ROOT}/device`,
      mode: 0o020666,
      rdev: 0x105,
      stat: { uid: 0, gid: 0, mode: 0o020666, atime: 1, mtime: 1 },
      link: null,
    },
    {
      ...make,
      op: 'SYMLINK',
      gfid: `${GFID}2`,
      entry: `${ROOT}/link`,
      stat: { uid: 0, gid: 0, mode: 0o120777, atime: 1, mtime: 1 },
      link: DISKS,
    },
  ];
  expect(await session.client.call('entry_ops', [ops])).toEqual([]);
  await session.client.call('setattr', ['program', { mode: 0o104755 }]);
  const [mount] = await mountOf(session.pid);
  expect(mount!.options).toEqual(expect.arrayContaining(['nosuid', 'nodev', 'noexec', 'nosymfollow']));
  const attempt = async (script: string): Promise<string> =>
    (await lab().exec(['bash', '-c', `cd ${mount!.mountPoint}; ${script}`], { onFailure: 'return' })).stderr;
  expect(await attempt('exec head -c1 device >/dev/null')).toContain('Permission denied');
  expect(await attempt('exec ./program')).toContain('Permission denied');
  expect(await attempt('exec cat link/outside/canary')).toContain('Too many levels of symbolic links');
  // The volume stores them unchanged.
  expect(
    (await lab().sh("stat -c '%n %F %a %t:%T' device program; readlink link", lab().secondary)).split('\n'),
  ).toEqual([
    expect.stringMatching(/^device character special file 666 /) as string,
    expect.stringMatching(/^program regular file 4755 /) as string,
    DISKS,
    '',
  ]);
  const logs = lab().box.outside('/var/log/glusterfs/geo-replication-secondaries');
  const names = (await readdir(logs, { recursive: true })).filter((name) => name.endsWith('gsyncd.log'));
  const text = (await Promise.all(names.map((name) => readFile(`${logs}/${name}`, 'utf8')))).join('');
  expect(text).toContain('{flags=nosuid,nodev,noexec,nosymfollow}');
  await endSession(session);
  await lab().assertNoMountsLeft(20_000);
});
