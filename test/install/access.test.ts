// install refuses a program that other users can change.

import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  lchownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { findChangeableBelow, findChangeableByOthers } from '../../src/install/access.js';
import { lacksRoot } from '../skip.js';
import { DEBIAN, put, REPO, root, STOCK } from './root.js';

describe('install, with files that others can change', () => {
  it('refuses a world-writable copy of the program in one line, and changes nothing', () => {
    const copy = join(root, 'copy');
    for (const name of ['bin', 'dist', 'package.json']) cpSync(join(REPO, name), join(copy, name), { recursive: true });
    symlinkSync(join(REPO, 'node_modules'), join(copy, 'node_modules'));
    chmodSync(join(copy, 'dist/cli/main.cjs'), 0o666);
    put(DEBIAN, STOCK);
    for (const mode of [[], ['--dry-run']]) {
      const done = spawnSync(process.execPath, [join(copy, 'bin/gsyncd-ts.js'), 'install', '--root', root, ...mode], {
        encoding: 'utf8',
      });
      expect(done).toMatchObject({
        status: 1,
        stdout: '',
        stderr: expect.stringMatching(/^gsyncd-ts: install: \/[^\n]*: other users can change it[^\n]*\n$/) as string,
      });
    }
    expect(readdirSync(dirname(join(root, DEBIAN)))).toEqual(['gsyncd']);
  });

  it.skipIf(lacksRoot('who can change a file'))(
    'changeableByOthers() checks owner, group, mode and symlinks of a file and its parent directories',
    async () => {
      const home = mkdtempSync(join(homedir(), '.changeable-'));
      try {
        const file = join(home, 'a/b/file');
        mkdirSync(dirname(file), { recursive: true });
        writeFileSync(file, '');
        symlinkSync('b/file', join(home, 'a/link'));
        const found = async (path = file): Promise<string | undefined> =>
          (await findChangeableByOthers(path, [0]))?.slice(home.length);
        expect(await found()).toBeUndefined();
        expect(await found(join(home, 'a/link'))).toBeUndefined();
        expect(findChangeableBelow(home, [0])).toBeUndefined();
        for (const [path, change, back] of [
          ['/a/b/file', () => chmodSync(file, 0o666), () => chmodSync(file, 0o644)],
          ['/a/b', () => chmodSync(dirname(file), 0o777), () => chmodSync(dirname(file), 0o755)],
          ['/a', () => chownSync(join(home, 'a'), 4321, 0), () => chownSync(join(home, 'a'), 0, 0)],
          [
            '/a/b',
            () => (chownSync(dirname(file), 0, 4321), chmodSync(dirname(file), 0o775)),
            () => chmodSync(dirname(file), 0o755),
          ],
        ] as const) {
          change();
          expect(await found()).toBe(path);
          expect(await found(join(home, 'a/link'))).toBe(path);
          expect(findChangeableBelow(home, [0])?.slice(home.length)).toBe(path);
          back();
        }
        chmodSync(dirname(file), 0o1777);
        expect(await found()).toBeUndefined();
        expect(findChangeableBelow(home, [0])).toBe(dirname(file));
        chownSync(file, 4321, 0);
        expect(await found()).toBe('/a/b/file');
        lchownSync(join(home, 'a/link'), 4321, 0);
        expect(await found(join(home, 'a/link'))).toBe('/a/link');
        symlinkSync('loop', join(home, 'loop'));
        await expect(findChangeableByOthers(join(home, 'loop'), [0])).rejects.toMatchObject({ code: 'ELOOP' });
      } finally {
        rmSync(home, { recursive: true });
      }
    },
  );
});
