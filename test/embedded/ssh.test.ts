// A directory replicated to a directory over ssh: a real sshd on a loopback address, with its own keys, run by the user who
// runs the test.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { llistxattr, lsetxattr } from '../../src/native/libc.js';
import { Workload } from '../gluster/lab/workload.js';
import { USER } from '../ordinary-user.js';
import { lacks, lacksRoot } from '../skip.js';
import { applyOperation } from './apply.js';
import { AttackedTree } from './attacks.js';
import { Pair } from './pair.js';
import { takesXattrs } from './takes-xattrs.js';

const SSHD = '/usr/sbin/sshd';
const PRIVSEP = '/run/sshd';
const PROGRAM = join(import.meta.dirname, '../../bin/gsyncd-ts.js');
const isRoot = process.geteuid?.() === 0;
/** sshd refuses users with such a login shell. */
const hasNoLogin = /\/(nologin|false)$/.test(userInfo().shell ?? '');

const TESTS = 'a plain directory behind ssh';
const isSkipped =
  lacks(existsSync(SSHD), `${SSHD} is not installed`, TESTS) || lacks(!hasNoLogin, 'this user may not log in', TESTS);

describe.skipIf(isSkipped)('a worker with a secondary behind ssh', () => {
  let dir: string;
  let port: number;
  let sshd: ChildProcess;
  let madePrivsep = false;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'gsyncd-ssh-'));
    port = await freePort();
    for (const name of ['host', 'user']) run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', '', '-f', join(dir, name)]);
    writeFileSync(join(dir, 'keys'), readFileSync(join(dir, 'user.pub')), { mode: 0o600 });
    writeFileSync(
      join(dir, 'gsyncd-ts'),
      `#!/bin/sh\nXDG_STATE_HOME='${dir}/state' exec '${process.execPath}' '${PROGRAM}' "$@"\n`,
    );
    chmodSync(join(dir, 'gsyncd-ts'), 0o755);
    if (isRoot && !existsSync(PRIVSEP)) {
      mkdirSync(PRIVSEP);
      madePrivsep = true;
    }
    const options = [
      `AuthorizedKeysFile=${dir}/keys`,
      'StrictModes=no',
      `UsePAM=${isRoot ? 'yes' : 'no'}`,
      'PermitRootLogin=yes',
      'ListenAddress=127.0.0.1',
      'MaxStartups=100',
      'PidFile=none',
    ];
    sshd = spawn(
      SSHD,
      [
        '-D',
        '-f',
        '/dev/null',
        '-h',
        join(dir, 'host'),
        '-p',
        String(port),
        '-E',
        join(dir, 'sshd.log'),
        ...options.flatMap((option) => ['-o', option]),
      ],
      { stdio: 'ignore' },
    );
  });

  afterAll(async () => {
    const gone = new Promise((resolve) => sshd.once('exit', resolve));
    if (sshd.kill()) await gone;
    rmSync(dir, { recursive: true });
    if (madePrivsep) rmdirSync(PRIVSEP);
  });

  function config(method: 'rsync' | 'tarssh'): string[] {
    const file = join(dir, `${method}.conf`);
    const ssh = `-oBatchMode=yes -oStrictHostKeyChecking=no -oUserKnownHostsFile=/dev/null -oLogLevel=ERROR -i ${join(dir, 'user')}`;
    writeFileSync(
      file,
      `[vars]\nssh-options = ${ssh}\nssh-options-tar = ${ssh}\nremote-gsyncd = ${join(dir, 'gsyncd-ts')}\nsync-method = ${method}\n`,
    );
    return ['--config-file', file];
  }

  test.each(['rsync', 'tarssh'] as const)(
    'replicates everything with %s, also after it was killed',
    async (method) => {
      const pair = new Pair(config(method), (path) => `ssh://127.0.0.1:${port}${path}`);
      try {
        const workload = new Workload({ seed: 5, names: 'bytes', attributes: 'all', top: 'top' });
        const apply = (count: number): void =>
          workload.next(count).forEach((operation) => applyOperation(pair.a, operation));
        apply(150);
        writeFileSync(join(pair.a, 'read-only'), 'once', { mode: 0o400 });
        pair.start();
        expect((await pair.converged(40_000)).differences, pair.stderr + pair.log.slice(-3000)).toEqual([]);
        apply(100);
        await delay(500);
        await pair.end('SIGKILL');
        apply(50);
        pair.start();
        chmodSync(join(pair.a, 'read-only'), 0o600);
        writeFileSync(join(pair.a, 'read-only'), 'twice');
        chmodSync(join(pair.a, 'read-only'), 0o400);
        expect((await pair.converged(40_000)).differences, pair.stderr + pair.log.slice(-3000)).toEqual([]);
        expect(lstatSync(join(pair.b, 'read-only')).mode & 0o777).toBe(0o400);
        await pair.end('SIGTERM');
      } finally {
        await pair.remove();
      }
    },
    120_000,
  );

  test.skipIf(
    lacksRoot('attacks on a secondary behind ssh') ||
      lacks(takesXattrs(), `${tmpdir()} takes no xattrs`, 'attacks on a secondary behind ssh'),
  )(
    'does not set attributes through a symlink in place of a directory',
    async () => {
      const pair = new Pair(config('rsync'), (path) => `ssh://127.0.0.1:${port}${path}`);
      const attacked = new AttackedTree({ root: pair.b });
      try {
        chmodSync(pair.dir, 0o755);
        for (const dir of ['user', 'user/dir', 'user/dir/inner', 'other']) {
          mkdirSync(join(pair.a, dir));
          chownSync(join(pair.a, dir), USER, USER);
        }
        pair.start();
        expect((await pair.converged(40_000)).differences, pair.stderr).toEqual([]);
        attacked.asUser(`mv dir aside; ln -s ${attacked.victim} dir`);
        const before = attacked.victimState;
        for (const dir of ['user/dir/inner', 'other']) lsetxattr(join(pair.a, dir), 'user.test', Buffer.from('x'));
        await expect.poll(() => llistxattr(join(pair.b, 'other')), { timeout: 30_000 }).toContain('user.test');
        await pair.end('SIGTERM');
        expect(attacked.victimState).toEqual(before);
      } finally {
        attacked.remove();
        await pair.remove();
      }
    },
    120_000,
  );

  test('names a secondary directory that does not exist', async () => {
    const pair = new Pair(config('rsync'), (path) => `ssh://127.0.0.1:${port}${path}/nowhere`);
    try {
      pair.start();
      await pair.exited;
      await delay(100);
      expect(pair.stderr).toContain('nowhere: does not exist');
    } finally {
      await pair.remove();
    }
  }, 60_000);
});

function run([file = '', ...args]: readonly string[]): void {
  const { status, stderr } = spawnSync(file, args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file}: exit code ${status}: ${stderr}`);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
