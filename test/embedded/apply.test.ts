// The property test relies on this: the random workload really performs its operations on a directory.

import { lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { fsEncode } from '../../src/names.js';
import { Workload, type Operation } from '../gluster/lab/workload.js';
import { applyOperation } from './apply.js';
import { randomSequence } from './sequence.js';

test('a workload with all moves exchanges, swaps, replaces and inverts directories, and moves them back', () => {
  const root = mkdtempSync(join(tmpdir(), 'gsyncd-apply-'));
  try {
    const operations = new Workload({
      seed: 3,
      names: 'bytes',
      attributes: 'plain',
      devices: 'all',
      moves: 'all',
      top: 'top',
    }).next(1_500);
    const inode = (path: string) => lstatSync(fsEncode(join(root, path)), { bigint: true, throwIfNoEntry: false });
    const seen = { exchanged: 0, swapped: 0, over: 0, inverted: 0, back: 0, devices: 0, passed: 0 };
    let last: Extract<Operation, { to: string }> | undefined;
    for (const op of operations) {
      if (!('to' in op)) {
        const isDone = applyOperation(root, op);
        if (op.op === 'mknod' && isDone) seen.devices += Number(inode(op.path)?.isFile() === false);
        if (!isDone) seen.passed += 1;
        last = undefined;
        continue;
      }
      const [from, to] = [inode(op.path), inode(op.to)];
      const isDone = applyOperation(root, op);
      if (!isDone) seen.passed += 1;
      else if (from?.isDirectory() === true) {
        expect(inode(op.to)?.ino).toBe(from.ino);
        if (op.op === 'exchange' || op.op === 'swap') {
          expect(inode(op.path)?.ino).toBe(to?.ino);
          if (to?.isDirectory() === true) seen[op.op === 'exchange' ? 'exchanged' : 'swapped'] += 1;
        } else {
          seen.over += Number(to?.isDirectory() === true);
          seen.back += Number(last?.to === op.path && last.path === op.to);
          seen.inverted += Number(last?.path.startsWith(`${op.path}/`) === true && op.to.startsWith(`${last.to}/`));
        }
      }
      last = isDone ? op : undefined;
    }
    for (const kind of ['exchanged', 'swapped', 'over', 'inverted', 'back'] as const)
      expect(seen[kind], kind).toBeGreaterThan(3);
    if (process.geteuid?.() === 0) expect(seen.devices).toBeGreaterThan(3);
    // Only root can change owners. Other operations are skipped rarely and by chance.
    expect(seen.passed).toBeLessThan(process.geteuid?.() === 0 ? 60 : 200);
  } finally {
    rmSync(root, { recursive: true });
  }
}, 60_000);

test('randomSequence() repeats for the same seed and varies the rollover time', () => {
  const rollovers = (seed: number) => randomSequence(seed, 7, 'frozen').map(({ rolloverS }) => rolloverS);
  expect(randomSequence(5, 3, 'frozen')).toEqual(randomSequence(5, 3, 'frozen'));
  expect(new Set([1, 2, 3].flatMap(rollovers)).size).toBeGreaterThan(3);
});
