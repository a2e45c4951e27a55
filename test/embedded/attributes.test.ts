// sync-xattrs and sync-acls between two directories of one machine.

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { readUserXattrs } from '../../src/embedded/user-xattrs.js';
import { lsetxattr } from '../../src/native/libc.js';
import { lacks } from '../skip.js';
import { applyOperation } from './apply.js';
import { Pair } from './pair.js';
import { takesXattrs } from './takes-xattrs.js';

const XATTR = 'user.comment';
const ACL = 'system.posix_acl_access';
const TESTS = 'sync-xattrs and sync-acls of plain directories';

function mark(root: string, name: string, value: string, perm: number): void {
  lsetxattr(join(root, name), XATTR, Buffer.from(value));
  const entries = [
    ['user_obj', 7, -1],
    ['user', perm, 1001],
    ['group_obj', 5, -1],
    ['mask', 7, -1],
    ['other', 5, -1],
  ] as const;
  expect(applyOperation(root, { op: 'acl', path: name, entries })).toBe(true);
}

const cases: { settings: Record<string, string>; copied: string[] }[] = [
  { settings: { 'sync-xattrs': 'false' }, copied: [ACL] },
  { settings: { 'sync-acls': 'false' }, copied: [XATTR] },
  { settings: { 'sync-xattrs': 'false', 'sync-acls': 'false' }, copied: [] },
  { settings: { 'sync-method': 'tarssh', 'sync-acls': 'false' }, copied: [XATTR] },
];

test.skipIf(lacks(takesXattrs(), `${tmpdir()} takes no xattrs`, TESTS)).each(cases)(
  'with $settings, of xattrs and ACLs only $copied are replicated',
  async ({ settings, copied }) => {
    const pair = new Pair();
    try {
      mkdirSync(join(pair.a, 'dir'));
      writeFileSync(join(pair.a, 'file'), 'one');
      for (const [value, perm] of [
        ['one', 7],
        ['two', 6],
      ] as const) {
        for (const name of ['dir', 'file']) mark(pair.a, name, value, perm);
        writeFileSync(join(pair.a, value), value);
        if (!pair.isRunning) {
          pair.configure(settings);
          pair.start();
        }
        await expect
          .poll(() => existsSync(join(pair.b, value)) && readFileSync(join(pair.b, value), 'utf8'), { timeout: 10_000 })
          .toBe(value);
        for (const name of ['dir', 'file']) {
          const wanted = new Map([...readUserXattrs(join(pair.a, name))].filter(([xattr]) => copied.includes(xattr)));
          await expect.poll(() => readUserXattrs(join(pair.b, name)), { timeout: 10_000 }).toEqual(wanted);
        }
      }
      // Time for xattrs that might still arrive against the configuration.
      await delay(500);
      for (const name of ['dir', 'file']) expect([...readUserXattrs(join(pair.b, name)).keys()]).toEqual(copied);
      expect(pair.failures).toEqual([]);
    } finally {
      await pair.remove();
    }
  },
  60_000,
);
