import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { fileUrlPath } from '../../src/worker/directory/file-url.js';

const root = realpathSync(mkdtempSync(join(tmpdir(), 'file-url-')));
afterAll(() => rmSync(root, { recursive: true }));

test('fileUrlPath() returns one path for all spellings of a directory, so that it has one session', () => {
  mkdirSync(join(root, 'real/a b'), { recursive: true });
  symlinkSync('real', join(root, 'other'));
  for (const spelled of ['real/a b', 'real/a b/', 'other/a b', 'real/../other//a b'])
    expect(fileUrlPath(`file://${root}/${spelled}`)).toBe(join(root, 'real/a b'));
});

test('fileUrlPath() accepts missing directories, refuses relative paths, and returns null for a volume name', () => {
  expect(fileUrlPath(`file://${root}/none/`)).toBe(join(root, 'none'));
  expect(fileUrlPath('gv0')).toBeNull();
  expect(() => fileUrlPath('file://a/b')).toThrow(/must be file:\/\/\/ABSOLUTE\/PATH/);
});
