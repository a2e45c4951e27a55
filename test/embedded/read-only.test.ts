// An ordinary user replicates read-only files: the kernel lets their owner set user xattrs only on files that he may write.

import { chmodSync, chownSync, lstatSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { lremovexattr, lsetxattr } from '../../src/native/libc.js';
import { lacks } from '../skip.js';
import { applyOperation } from './apply.js';
import { canBeUser, isRoot, USER } from '../ordinary-user.js';
import { Pair } from './pair.js';
import { takesXattrs } from './takes-xattrs.js';

const TESTS = "users' xattrs of what is read-only";
const NAME = 'user.comment';
const READ_ONLY = { file: 0o400, acl: 0o474, dir: 0o555 };
const OWNER_WRITE = 0o200;

/** Sets or removes the xattr of a read-only file. */
function mark(path: string, value: string | null): void {
  const mode = lstatSync(path).mode & 0o7777;
  chmodSync(path, mode | OWNER_WRITE);
  if (value === null) lremovexattr(path, NAME);
  else lsetxattr(path, NAME, Buffer.from(value));
  chmodSync(path, mode);
}

const isSkipped =
  lacks(takesXattrs(), `${tmpdir()} takes none`, TESTS) ||
  lacks(!isRoot || canBeUser(), 'no other user can run the program', TESTS);

test.skipIf(isSkipped)(
  `${TESTS} are replicated by an ordinary user, and the copies stay read-only`,
  async () => {
    const pair = new Pair();
    const paths = Object.keys(READ_ONLY).map((name) => join(pair.a, name));
    const start = (): void => pair.start(undefined, isRoot ? USER : undefined);
    try {
      for (const [name, mode] of Object.entries(READ_ONLY)) {
        const path = join(pair.a, name);
        if (name === 'dir') mkdirSync(path);
        else writeFileSync(path, name);
        if (name === 'acl')
          expect(
            applyOperation(pair.a, {
              op: 'acl',
              path: name,
              entries: [
                ['user_obj', 4, -1],
                ['user', 7, 1001],
                ['group_obj', 4, -1],
                ['mask', 7, -1],
                ['other', 4, -1],
              ],
            }),
          ).toBe(true);
        else chmodSync(path, mode);
        // listxattr lists this one after the ACL.
        mark(path, 'one');
        utimesSync(path, 1.5e9, 1.5e9);
      }
      if (isRoot) for (const path of [pair.dir, pair.a, pair.b, ...paths]) chownSync(path, USER, USER);
      start();
      expect((await pair.converged(8_000)).differences).toEqual([]);
      for (const [name, mode] of Object.entries(READ_ONLY))
        expect(lstatSync(join(pair.b, name)).mode & 0o7777, name).toBe(mode);
      for (const value of ['two', null, 'three']) {
        for (const path of paths) mark(path, value);
        expect((await pair.converged(8_000)).differences).toEqual([]);
      }
      expect(pair.log).not.toMatch(/ [WE] \[/);
      // As after a kill between the xattr and the mode.
      await pair.end('SIGKILL');
      for (const path of paths) mark(path, 'four');
      for (const [name, mode] of Object.entries(READ_ONLY)) {
        mark(join(pair.b, name), 'four');
        chmodSync(join(pair.b, name), mode | OWNER_WRITE);
      }
      start();
      expect((await pair.converged(8_000)).differences).toEqual([]);
    } finally {
      await pair.remove();
    }
  },
  90_000,
);
