// Other files that the secondary holds under the primary's names before the first sync are replaced, as on a volume.

import { spawnSync } from 'node:child_process';
import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { canBeUser, isRoot, USER } from '../ordinary-user.js';
import { lacks, lacksRoot } from '../skip.js';
import { Pair } from './pair.js';

/** Files by path; null for a directory. */
type Content = Readonly<Record<string, string | null>>;

const OURS: Content = {
  'd/same': 'same',
  'd/new': 'new',
  'd/sub/deep/er': 'deeper',
  file: 'the primary has this',
  'dir-there/in': 'in',
  'file-there': 'plain',
  target: 'plain',
  symlink: 'plain',
  empty: null,
  one: '1',
  two: '2',
};
const THEIRS: Content = {
  'd/same': 'same',
  'd/sub/deep/er': 'theirs',
  'd/sub/old/x': 'old',
  file: 'theirs',
  'dir-there': 'theirs',
  'file-there/x/y': 'theirs',
  target: 'theirs',
  empty: 'theirs',
  one: 'theirs',
};

function fill(root: string, content: Content): void {
  for (const [path, text] of Object.entries(content)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    if (text === null) mkdirSync(join(root, path));
    else writeFileSync(join(root, path), text);
  }
}

function giveToUser({ dir }: Pair): void {
  expect(spawnSync('chown', ['-hR', `${USER}:${USER}`, dir]).status).toBe(0);
}

function occupied(): Pair {
  const pair = new Pair();
  fill(pair.a, OURS);
  fill(pair.b, THEIRS);
  symlinkSync('file', join(pair.b, 'symlink'));
  // One inode where the primary has two.
  linkSync(join(pair.b, 'one'), join(pair.b, 'two'));
  return pair;
}

const users = [{ who: 'root', uid: 0, isSkipped: lacksRoot("what is in the way on root's secondary") }];
users.push({
  who: 'an ordinary user',
  uid: USER,
  isSkipped: lacks(
    !isRoot || canBeUser(),
    'no other user can run the program',
    "what is in the way on an ordinary user's secondary",
  ),
});

for (const { who, uid, isSkipped } of users) {
  test.skipIf(isSkipped)(
    `the first sync of ${who} replaces other content under the same names`,
    async () => {
      const pair = occupied();
      const start = (): void => pair.start(undefined, isRoot ? uid : undefined);
      try {
        if (isRoot && uid === USER) giveToUser(pair);
        start();
        expect((await pair.converged(20_000)).differences, pair.stderr + pair.log.slice(-3000)).toEqual([]);
        await expect.poll(() => pair.failures, { timeout: 10_000 }).toEqual([]);
        // Conflicts in directories that the worker already knows.
        await pair.end('SIGTERM');
        fill(pair.a, { 'later/file': 'ours', 'later-dir/x': 'ours' });
        fill(pair.b, { 'later/file': 'theirs', 'later-dir': 'theirs' });
        if (isRoot && uid === USER) giveToUser(pair);
        start();
        expect((await pair.converged(20_000)).differences, pair.stderr + pair.log.slice(-3000)).toEqual([]);
        await expect.poll(() => pair.failures, { timeout: 10_000 }).toEqual([]);
      } finally {
        await pair.remove();
      }
    },
    90_000,
  );
}

test('with gfid-conflict-resolution off, other content stays and goes to the failure list', async () => {
  const pair = occupied();
  try {
    pair.configure({ 'gfid-conflict-resolution': 'false' });
    pair.start();
    const listed = (): string => pair.failures.join('\n');
    for (const name of ['d', 'file', 'dir-there', 'file-there', 'target', 'symlink', 'empty', 'one', 'two']) {
      await expect
        .poll(listed, { timeout: 20_000 })
        .toMatch(new RegExp(`/${name}\\t.*gfid-conflict-resolution is off`));
    }
    for (const [path, text] of Object.entries(THEIRS))
      if (text !== null) expect(readFileSync(join(pair.b, path), 'utf8')).toBe(text);
  } finally {
    await pair.remove();
  }
}, 60_000);

test('a directory made on the secondary in place of a replicated one follows later changes of the primary', async () => {
  const pair = new Pair();
  try {
    fill(pair.a, { 'd/file': 'ours' });
    pair.start();
    expect((await pair.converged(10_000)).differences).toEqual([]);
    // Both exist at once, so their inode numbers differ.
    mkdirSync(join(pair.b, 'other'));
    rmSync(join(pair.b, 'd'), { recursive: true });
    renameSync(join(pair.b, 'other'), join(pair.b, 'd'));
    fill(pair.a, { 'd/new': 'new' });
    await expect.poll(() => existsSync(join(pair.b, 'd/new')), { timeout: 10_000 }).toBe(true);
    renameSync(join(pair.a, 'd'), join(pair.a, 'moved'));
    await expect.poll(() => readdirSync(pair.b), { timeout: 10_000 }).toEqual(['.glusterfs', 'moved']);
    expect(readFileSync(join(pair.b, 'moved/new'), 'utf8')).toBe('new');
    await expect.poll(() => pair.failures, { timeout: 10_000 }).toEqual([]);
  } finally {
    await pair.remove();
  }
}, 60_000);
