// The secondary as a process of its own: what is no request ends it at once and does nothing, a primary that falls
// silent is not waited for, and what a killed one left goes with the next start.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { encodePickle } from '../../src/rpc/pickle-encode.js';
import { pyTuple } from '../../src/rpc/pickle-values.js';
import { HOST } from './lab/lab.js';
import { childrenOf, REPO } from './lab/machine.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab({ session: 'none' });

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

function start(timeoutS = 120): { child: ChildProcess; ended: Promise<Ended> } {
  const argv = [process.execPath, `${REPO}/bin/gsyncd-ts.js`, 'secondary', 'px', `root@${HOST}::sv0`, '--secondary-timeout', String(timeoutS)];
  const [file, args] = lab().box.command([...argv, '--secondary-gluster-command-dir', '/usr/sbin']);
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  child.stdout?.resume();
  child.stdin?.on('error', () => undefined);
  return { child, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, stderr }))) };
}

const request = encodePickle(pyTuple([pyTuple([1, 2, 3.5]), 'purge', '.', ['canary']]));
const HOSTILE: Readonly<Record<string, Buffer>> = {
  'random bytes': Buffer.concat([Buffer.of(0xff), randomBytes(5000)]),
  'a pickle cut short': request.subarray(0, -4),
  'a pickle that calls os.system': Buffer.from("cos\nsystem\n(S'touch /srv/canary'\ntR.", 'latin1'),
  'a pickle that is no request': encodePickle(['purge', '.']),
  'a pickle without end': Buffer.from(']'.repeat(200_000), 'latin1'),
};

test('what is no request ends it with one line, and nothing is done', async () => {
  await lab().exec(['rm', '-f', '/srv/canary']);
  const ends = Object.entries(HOSTILE).map(async ([name, bytes]) => {
    const { child, ended } = start();
    child.stdin?.end(bytes);
    const { code, stderr } = await ended;
    expect(code, name).toBeGreaterThan(0);
    expect(stderr, name).toMatch(/^gsyncd-ts: .*\n$/);
  });
  await Promise.all(ends);
  expect((await lab().exec(['ls', '/srv'])).stdout).not.toContain('canary');
  await lab().assertNoMountsLeft(20_000);
});

test('it ends by itself when the primary is silent for the time it was told', async () => {
  const { ended } = start(2);
  expect(await ended).toEqual({ code: 0, stderr: '' });
  await lab().assertNoMountsLeft(20_000);
});

test('what one that was killed left is gone after the next', async () => {
  const { child, ended } = start();
  await new Promise((resolve) => {
    child.stdout?.once('data', resolve);
    child.stdin?.write(encodePickle(pyTuple([pyTuple([1, 2, 3.5]), 'pid'])));
  });
  const [pid] = await childrenOf(child.pid!);
  process.kill(pid!, 'SIGKILL');
  await ended;
  expect((await lab().exec(['ls', '/tmp'], { onFailure: 'return' })).stdout).toContain('aux-mount');
  const next = start();
  next.child.stdin?.end();
  expect((await next.ended).code).toBe(0);
  await lab().assertNoMountsLeft(20_000);
});
