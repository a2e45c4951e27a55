// A machine without rsync: only tar sends data.

import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { Workload } from '../gluster/lab/workload.js';
import { lacksProgram } from '../skip.js';
import { applyOperation } from './apply.js';
import { Pair } from './pair.js';

test.skipIf(lacksProgram('tar', 'a plain directory without rsync'))(
  'without rsync in PATH, tarssh replicates a first sync, live changes and changes after a kill',
  async () => {
    const pair = new Pair();
    try {
      pair.path = join(pair.dir, 'bin');
      mkdirSync(pair.path);
      symlinkSync(execFileSync('sh', ['-c', 'command -v tar'], { encoding: 'utf8' }).trim(), join(pair.path, 'tar'));
      const workload = new Workload({ seed: 11, names: 'bytes', attributes: 'all', top: 'top' });
      const apply = (count: number): void =>
        workload.next(count).forEach((operation) => applyOperation(pair.a, operation));
      const isEqual = async (): Promise<void> =>
        expect((await pair.converged(20_000)).differences, pair.stderr + pair.log.slice(-3000)).toEqual([]);
      apply(200);
      writeFileSync(join(pair.a, 'holes'), 'begin');
      truncateSync(join(pair.a, 'holes'), 1 << 20);
      pair.start();
      await isEqual();
      expect(pair.stderr).toContain('by tarssh');
      apply(100);
      await isEqual();
      await pair.end('SIGKILL');
      apply(50);
      writeFileSync(join(pair.a, 'holes'), 'end');
      pair.start();
      await isEqual();
      await expect.poll(() => Object.keys(pair.progress?.transfers ?? {}), { timeout: 5_000 }).toEqual(['tarssh']);
      expect(pair.failures).toEqual([]);
      expect(existsSync(join(pair.path, 'rsync'))).toBe(false);
    } finally {
      await pair.remove();
    }
  },
  90_000,
);
