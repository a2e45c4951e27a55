// Where a plain directory keeps gfids, xtimes and stimes: root uses trusted.* xattrs, as a real brick does. An ordinary
// user cannot set these, and uses links and a file. Only root can list trusted.* xattrs, so the tests need root.

import { lchownSync, lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { gfidFromBytes, ROOT_GFID } from '../../src/protocol/gfid.js';
import { unpackXtime } from '../../src/gluster/xtime.js';
import { lgetxattr, llistxattr } from '../../src/native/libc.js';
import { canBeUser, USER } from '../ordinary-user.js';
import { lacks, lacksRoot } from '../skip.js';
import { Pair } from './pair.js';
import { takesXattrs } from './takes-xattrs.js';

const PLACES = ['.', 'dir', 'dir/file', 'link'];
const GFID = 'trusted.gfid';

function make(pair: Pair, uid: number): void {
  mkdirSync(join(pair.a, 'dir'));
  writeFileSync(join(pair.a, 'dir/file'), 'content');
  symlinkSync('nowhere', join(pair.a, 'link'));
  for (const path of [pair.dir, pair.b, ...PLACES.map((place) => join(pair.a, place))]) lchownSync(path, uid, uid);
}

const trusted = (path: string): string[] => llistxattr(path).filter((name) => name.startsWith('trusted.'));
const gfidOf = (path: string): string => gfidFromBytes(lgetxattr(path, GFID));

interface Identity {
  readonly volumeId: string;
}
const identity = (root: string): Identity =>
  JSON.parse(readFileSync(join(root, '.glusterfs/embedded/brick.json'), 'utf8')) as Identity;

const TESTS = 'xattrs of embedded bricks';
const isSkipped =
  lacksRoot(TESTS) || lacks(takesXattrs('trusted.test'), `${tmpdir()} takes no trusted.* xattrs`, TESTS);

test.skipIf(isSkipped)(
  'root keeps gfids, xtimes and stimes in trusted.* xattrs',
  async () => {
    const pair = new Pair();
    try {
      make(pair, 0);
      pair.start();
      expect((await pair.converged(10_000)).differences).toEqual([]);
      const [here, there] = [identity(pair.a).volumeId, identity(pair.b).volumeId];
      const xtimeName = `trusted.glusterfs.${here}.xtime`;
      const marksName = `trusted.glusterfs.${here}.${there}`;
      for (const place of PLACES) {
        expect(gfidOf(join(pair.b, place)), place).toBe(gfidOf(join(pair.a, place)));
        expect(trusted(join(pair.a, place)), place).toContain(xtimeName);
      }
      expect(new Set(PLACES.map((place) => gfidOf(join(pair.a, place)))).size).toBe(PLACES.length);
      expect(gfidOf(pair.a)).toBe(ROOT_GFID);
      expect(lgetxattr(pair.a, 'trusted.glusterfs.volume-id').toString('hex')).toBe(here.replaceAll('-', ''));
      // The file's gfid handle is a hard link to it.
      expect(lstatSync(join(pair.a, '.glusterfs/.gfid', gfidOf(join(pair.a, 'dir/file')))).ino).toBe(
        lstatSync(join(pair.a, 'dir/file')).ino,
      );

      const mark = (path: string, name: string): number => unpackXtime(lgetxattr(path, name))[0];
      const changeS = Math.floor(Date.now() / 1000);
      writeFileSync(join(pair.a, 'dir/file'), 'changed');
      // A change updates the xtimes of all directories above it. Once it is synced, the stimes of the root follow.
      for (const place of ['dir/file', 'dir', '.'])
        await expect
          .poll(() => mark(join(pair.a, place), xtimeName), { timeout: 10_000 })
          .toBeGreaterThanOrEqual(changeS);
      for (const name of ['stime', 'entry_stime'])
        await expect.poll(() => trusted(pair.a), { timeout: 10_000 }).toContain(`${marksName}.${name}`);
      await expect
        .poll(() => mark(pair.a, `${marksName}.stime`), { timeout: 20_000 })
        .toBeGreaterThanOrEqual(changeS - 1);
      expect(pair.log).not.toMatch(/ E \[/);
    } finally {
      await pair.remove();
    }
  },
  60_000,
);

test.skipIf(isSkipped || lacks(canBeUser(), 'no other user can run the program', TESTS))(
  'an ordinary user sets no trusted.* xattr: links hold the gfids, and a file holds the stimes',
  async () => {
    const pair = new Pair();
    try {
      make(pair, USER);
      pair.start(undefined, USER);
      await expect.poll(() => readdirSync(pair.b), { timeout: 10_000 }).toContain('dir');
      await expect
        .poll(() => readFileSync(join(pair.a, '.glusterfs/embedded/marks'), 'utf8'), { timeout: 10_000 })
        .toContain(`.${identity(pair.b).volumeId}.stime`);
      await expect.poll(() => readFileSync(join(pair.b, 'dir/file'), 'utf8'), { timeout: 10_000 }).toBe('content');
      for (const root of [pair.a, pair.b]) {
        for (const path of [
          root,
          ...readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name)),
        ])
          expect(trusted(path), path).toEqual([]);
      }
      const handles = (root: string): string[] => readdirSync(join(root, '.glusterfs/.gfid'));
      const handleOf = (root: string, place: string): string | undefined =>
        handles(root).find(
          (gfid) => lstatSync(join(root, '.glusterfs/.gfid', gfid)).ino === lstatSync(join(root, place)).ino,
        );
      for (const place of ['dir/file', 'link']) {
        const gfid = handleOf(pair.a, place);
        expect(gfid, place).toBeDefined();
        expect(handleOf(pair.b, place), place).toBe(gfid);
      }
    } finally {
      await pair.remove();
    }
  },
  60_000,
);
