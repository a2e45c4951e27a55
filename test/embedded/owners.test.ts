// An ordinary user replicates files of other owners: the copies belong to that user, and the worker warns once. This is no
// failure. Only root can create such files.

import { chmodSync, chownSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { canBeUser, USER } from '../ordinary-user.js';
import { lacks, lacksRoot } from '../skip.js';
import { Pair } from './pair.js';

const TESTS = "copies of others' files";
const isSkipped = lacksRoot(TESTS) || lacks(canBeUser(), 'no other user can run the program', TESTS);
const PROTECTED = '/proc/sys/fs/protected_hardlinks';
const isProtected = existsSync(PROTECTED) && readFileSync(PROTECTED, 'utf8').trim() === '1';

test.skipIf(isSkipped)(
  "an ordinary user's copies of other users' files belong to that user, and the worker warns once",
  async () => {
    const pair = new Pair();
    try {
      for (const dir of [pair.dir, pair.a, pair.b]) chownSync(dir, USER, USER);
      for (const name of ['one', 'two', 'three']) {
        writeFileSync(join(pair.a, name), name);
        // fs.protected_hardlinks lets a user link files that he can write.
        chmodSync(join(pair.a, name), 0o666);
        chownSync(join(pair.a, name), 4321, 4321);
      }
      pair.start(undefined, USER);
      const { differences } = await pair.converged(8_000);
      expect(differences.map((line) => line.replace(/^"\/\w+": /, ''))).toEqual(
        Array.from({ length: 3 }, () => `owner: 4321:4321 here, ${USER}:${USER} there`),
      );
      expect(readFileSync(join(pair.b, 'three'), 'utf8')).toBe('three');
      chmodSync(join(pair.a, 'one'), 0o606);
      writeFileSync(join(pair.a, 'two'), 'twice');
      // Longer than a keepalive's interval.
      await pair.converged(6_000);
      expect(readFileSync(join(pair.b, 'two'), 'utf8')).toBe('twice');
      expect(pair.log.split('cannot set the owner of files').length - 1).toBe(1);
      expect(pair.log).not.toMatch(/ E \[/);
    } finally {
      await pair.remove();
    }
  },
  60_000,
);

test.skipIf(isSkipped || lacks(isProtected, 'fs.protected_hardlinks is off', 'files that cannot be linked'))(
  "another user's file that cannot be hard-linked goes to the failure list, and arrives once it can be linked",
  async () => {
    const pair = new Pair();
    try {
      for (const dir of [pair.dir, pair.a, pair.b]) chownSync(dir, USER, USER);
      const file = join(pair.a, 'theirs');
      writeFileSync(file, 'theirs');
      chownSync(file, 4321, 4321);
      pair.configure({ 'max-rsync-retries': '1' });
      pair.start(undefined, USER);
      const listed = (): string => pair.failures.join('\n');
      await expect.poll(listed, { timeout: 10_000 }).toContain('cannot be linked: EPERM');
      // The next worker still knows the reason.
      await pair.end('SIGTERM');
      pair.start(undefined, USER);
      writeFileSync(file, 'more of theirs');
      await expect.poll(() => pair.log.split('files_left').length, { timeout: 10_000 }).toBeGreaterThan(2);
      expect(listed()).not.toContain('missing on primary');
      chownSync(file, USER, USER);
      writeFileSync(file, 'ours');
      await expect.poll(() => readFileSync(join(pair.b, 'theirs'), 'utf8'), { timeout: 30_000 }).toBe('ours');
      await expect.poll(listed, { timeout: 10_000 }).toBe('');
    } finally {
      await pair.remove();
    }
  },
  90_000,
);
