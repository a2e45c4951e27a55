// A worker that cannot start prints one line on stderr that names the cause, exits (with 2 where a restart is useless) and
// leaves nothing mounted.
import { expect, test } from 'vitest';
import { HOST } from './lab/lab.js';
import type { WorkerOptions } from './lab/lab.js';
import { useLab } from './lab/use-lab.js';

const lab = useLab();
const pair = (primary: string, secondary: string): WorkerOptions => ({ pair: [primary, secondary] });

/** Options of a worker whose session has the configuration `line` only. */
async function configured(line: string): Promise<WorkerOptions> {
  const file = '/srv/broken.conf';
  await lab().sh(`printf '[vars]\\n%s\\n' "${line}" >${file}`, '/');
  return { args: ['-c', file] };
}

const cases: readonly [string, () => WorkerOptions | Promise<WorkerOptions>, RegExp, number?][] = [
  ['a primary volume that does not exist', () => pair('nosuchvol', `root@${HOST}::sv0`), /nosuchvol/],
  ['a secondary volume that does not exist', () => pair('gv0', `root@${HOST}::nosuchvol`), /nosuchvol/],
  ['a secondary that is not spelled HOST::VOLUME', () => pair('gv0', 'sv0'), /sv0/, 2],
  ['a host that cannot be reached', () => pair('gv0', 'root@10.77.0.99::sv0'), /10\.77\.0\.99/],
  ['a path that is no brick', () => ({ localPath: '/srv' }), /\/srv\b/],
  ['a path that does not exist', () => ({ localPath: '/srv/nowhere' }), /\/srv\/nowhere/],
  ['a numeric option that is not a number', () => configured('sync-jobs = many'), /sync-jobs/, 2],
  ['an unknown sync method', () => configured('sync-method = scp'), /sync-method/, 2],
  [
    'an rsync program that does not exist',
    () => configured('rsync-command = /nonexistent/rsync'),
    /\/nonexistent\/rsync/,
    2,
  ],
  [
    'a key that the secondary refuses',
    async () => {
      await lab().sh('rm -f otherkey; ssh-keygen -q -t ed25519 -N "" -f otherkey </dev/null', '/srv');
      return configured(
        'ssh-options = -oPasswordAuthentication=no -oIdentitiesOnly=yes -oStrictHostKeyChecking=no -i /srv/otherkey',
      );
    },
    /Permission denied/,
  ],
];

test.each(cases)('%s ends the worker with a one-line error', async (_, prepare, named, code = 1) => {
  const worker = lab().startWorker(await prepare());
  const timer = setTimeout(() => void worker.kill(), 60_000);
  const exit = await worker.exited;
  clearTimeout(timer);
  const lines = worker.stderr.trim().split('\n');
  expect(exit.signal).toBeNull();
  expect(exit.code).toBe(code);
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatch(named);
  await lab().assertNoMountsLeft();
});
