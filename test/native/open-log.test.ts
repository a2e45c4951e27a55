// Logs in directories that other users can write: openLog() must not follow their symlinks and links. Runs as root.

import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createLogger } from '../../src/log.js';
import { openLog } from '../../src/native/open-log.js';
import { lacks } from '../skip.js';

const USER = 65_534;
let dir: string;
beforeEach(() => {
  dir = mkdtempSync('/root/gsyncd-open-log-');
  writeFileSync(join(dir, 'victim'), 'as it was');
  mkdirSync(join(dir, 'outside'));
  mkdirSync(join(dir, 'logs'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function append(path: string): void {
  const fd = openLog(path, 0o644);
  writeSync(fd, 'line\n');
  closeSync(fd);
}

describe.skipIf(lacks(process.geteuid?.() === 0, 'not root', 'logs where others can write'))('openLog()', () => {
  it('creates a missing file, and appends', () => {
    const log = join(dir, 'logs', 'own.log');
    append(log);
    append(log);
    expect(readFileSync(log, 'utf8')).toBe('line\nline\n');
  });

  it("follows root's symlinks in directories that only root can write", () => {
    symlinkSync(join(dir, 'outside'), join(dir, 'moved'));
    symlinkSync(join(dir, 'outside', 'b.log'), join(dir, 'logs', 'a.log'));
    append(join(dir, 'moved', 'x.log'));
    append(join(dir, 'logs', 'a.log'));
    expect(existsSync(join(dir, 'outside', 'x.log')) && existsSync(join(dir, 'outside', 'b.log'))).toBe(true);
  });

  describe.each([
    [
      'writable by a group',
      () => {
        chownSync(join(dir, 'logs'), 0, USER);
        chmodSync(join(dir, 'logs'), 0o775);
      },
    ],
    ['owned by a user', () => chownSync(join(dir, 'logs'), USER, USER)],
    ['world-writable', () => chmodSync(join(dir, 'logs'), 0o1777)],
  ])('in a directory that is %s', (_whose, give) => {
    it('appends to a regular file, and refuses symlinks, hard links and FIFOs of other users', () => {
      give();
      const at = (name: string): string => join(dir, 'logs', name);
      append(at('plain.log'));
      expect(readFileSync(at('plain.log'), 'utf8')).toBe('line\n');
      symlinkSync(join(dir, 'victim'), at('link.log'));
      symlinkSync(join(dir, 'absent'), at('dangling.log'));
      linkSync(join(dir, 'victim'), at('second.log'));
      symlinkSync(join(dir, 'outside'), at('session'));
      for (const name of ['link.log', 'dangling.log', 'session']) lchownSync(at(name), USER, USER);
      execFileSync('mkfifo', [at('pipe.log')]);
      for (const name of ['link.log', 'dangling.log', 'second.log', 'session/gsyncd.log', 'pipe.log'])
        expect(() => append(at(name)), name).toThrow();
      expect(() => createLogger({ destination: at('session/gsyncd.log'), level: 'INFO', label: '' })).toThrow(
        /^log: .*session\/gsyncd\.log: cannot be opened: ENOTDIR$/,
      );
      expect(readFileSync(join(dir, 'victim'), 'utf8')).toBe('as it was');
      expect([existsSync(join(dir, 'absent')), existsSync(join(dir, 'outside', 'gsyncd.log'))]).toEqual([false, false]);
    });
  });
});
