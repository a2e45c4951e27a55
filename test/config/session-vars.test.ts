import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { setSessionVars } from '../../src/config/session-vars.js';

const dir = mkdtempSync(join(tmpdir(), 'session-vars-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

it('writes what is new and keeps what an admin has written', async () => {
  const file = join(dir, 'gsyncd.conf');
  writeFileSync(file, '# mine\n[vars]\nsync-jobs = 5\n');
  expect(await setSessionVars(file, { 'stime-xattr-prefix': 'trusted.glusterfs.a.b' })).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe('# mine\n[vars]\nsync-jobs = 5\nstime-xattr-prefix = trusted.glusterfs.a.b\n');
});

it('does not touch a file that says it already', async () => {
  const file = join(dir, 'same.conf');
  writeFileSync(file, '[vars]\nprimary-distribution-count = 2\n');
  const { ino } = statSync(file);
  expect(await setSessionVars(file, { 'primary-distribution-count': '2' })).toBe(false);
  expect(statSync(file).ino).toBe(ino);
});

it('makes the section in the empty file that glusterd creates, and no file where there is none', async () => {
  const file = join(dir, 'empty.conf');
  writeFileSync(file, '');
  expect(await setSessionVars(file, { 'primary-distribution-count': '2' })).toBe(true);
  expect(readFileSync(file, 'utf8')).toBe('[vars]\nprimary-distribution-count = 2\n');
  expect(await setSessionVars(join(dir, 'none.conf'), { 'primary-distribution-count': '2' })).toBe(false);
});

it('names the file that it cannot understand, and leaves it', async () => {
  const file = join(dir, 'broken.conf');
  writeFileSync(file, 'nonsense\n');
  await expect(setSessionVars(file, { 'primary-distribution-count': '2' })).rejects.toThrow(`config: ${file}:1: `);
  expect(readFileSync(file, 'utf8')).toBe('nonsense\n');
});
