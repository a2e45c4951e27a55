// Copies xattrs between two directories. Another inode may have taken a directory's path.

import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { LocalAttributes, type LocalPaths } from '../../src/embedded/local-engines.js';
import { readUserXattrs } from '../../src/embedded/user-xattrs.js';
import type { Gfid } from '../../src/protocol/gfid.js';
import { lsetxattr } from '../../src/native/libc.js';
import { lacks } from '../skip.js';
import { takesXattrs } from './takes-xattrs.js';

const GFID = '00000005-0000-4000-8000-000000000005' as Gfid;

describe.skipIf(lacks(takesXattrs(), `${tmpdir()} takes no xattrs`, 'xattrs of directories that moved'))(
  'LocalAttributes',
  () => {
    let top: string;
    let attributes: LocalAttributes;
    const at = (name: string): string => join(top, name);

    beforeEach(() => {
      top = mkdtempSync(join(tmpdir(), 'gsyncd-attributes-'));
      for (const name of ['one', 'two', 'there']) mkdirSync(at(name));
      lsetxattr(at('one'), 'user.of', Buffer.from('one'));
      const { ino } = statSync(at('one'), { bigint: true });
      const paths: LocalPaths = {
        primary: (_, use) => use(at('one')),
        primaryIno: () => ino,
        secondary: (_, use) => use(at('there')),
      };
      attributes = new LocalAttributes(paths, { xattrs: true, acls: true });
    });
    afterEach(() => rmSync(top, { recursive: true, force: true }));

    test('copy() copies the xattrs of a directory', () => {
      expect(attributes.copy(GFID)).toBeNull();
      expect(readUserXattrs(at('there'))).toEqual(new Map([['user.of', Buffer.from('one')]]));
    });

    test('sync() fails an item whose path another inode has taken, and copies nothing', async () => {
      expect(attributes.copy(GFID)).toBeNull();
      renameSync(at('one'), at('elsewhere'));
      renameSync(at('two'), at('one'));
      expect(await attributes.sync([GFID])).toEqual(
        new Map([[GFID, { status: 'failed', reason: `${at('one')}: another inode is there now`, scope: 'item' }]]),
      );
      expect(readUserXattrs(at('there'))).toEqual(new Map([['user.of', Buffer.from('one')]]));
    });
  },
);
