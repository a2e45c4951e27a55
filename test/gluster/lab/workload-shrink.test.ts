// The parts of the harness that need no volume: workloads repeat by their seed, and shrinking finds the failing operations.
import { expect, test } from 'vitest';
import { shrink } from './shrink.js';
import { Workload } from './workload.js';

const options = { seed: 42, names: 'bytes', attributes: 'all', devices: 'all', top: 't' } as const;

test('Workload gives the same operations for the same seed, and others for another seed', () => {
  const ops = new Workload(options).next(500);
  expect(new Workload(options).next(500)).toEqual(ops);
  expect(new Workload({ ...options, seed: 43 }).next(500)).not.toEqual(ops);
});

test('Workload contains every kind of operation', () => {
  const kinds = new Set(new Workload(options).next(3000).map((op) => op.op));
  expect([...kinds].sort()).toEqual(
    [
      'acl',
      'append',
      'chmod',
      'chown',
      'create',
      'link',
      'mkdir',
      'mkfifo',
      'mknod',
      'recreate',
      'removexattr',
      'rename',
      'rmdir',
      'setxattr',
      'sparse',
      'swap',
      'symlink',
      'truncate',
      'unlink',
      'utimes',
      'write',
    ].sort(),
  );
});

test("Workload with names 'utf8' gives only paths that are valid UTF-8", () => {
  const ops = new Workload({ ...options, names: 'utf8' }).next(2000);
  expect(JSON.stringify(ops)).not.toMatch(/\\ud[c-f]/);
});

test('shrink() keeps only the operations that fail together, in their phases', async () => {
  const workload = new Workload(options);
  const phases = { first: workload.next(60), stopped: workload.next(60), live: workload.next(20), killed: [] };
  const failedItems = [phases.first[7]!, phases.stopped[31]!];
  const found = await shrink(
    phases,
    (tried) => {
      const all = new Set([...tried.first, ...tried.stopped, ...tried.live]);
      return Promise.resolve(failedItems.every((op) => all.has(op)));
    },
    500,
  );
  expect(found).toEqual({ first: [failedItems[0]], stopped: [failedItems[1]], live: [], killed: [] });
});
