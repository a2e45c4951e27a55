import { describe, expect, test } from 'vitest';
import { guardPath, parseEntry, parseInode } from '../../src/secondary/path-guard.js';

const G = 'aaaaaaaa-0000-4000-8000-000000000001';

describe('path guard', () => {
  test.each(['.', 'a/b', `.gfid/${G}`, `.gfid/${G}/name`, 'a..b', '...', '.gfid/x\uDCFF'])(
    'guardPath() accepts %j',
    (path) => {
      expect(guardPath(path)).toBe(path);
    },
  );

  test.each([
    ['./', '.'],
    ['./.', '.'],
    ['a/', 'a'],
    ['a/.', 'a'],
    ['./a//b/./', 'a/b'],
    [`./.gfid/${G}/`, `.gfid/${G}`],
  ])('guardPath() turns %j into %j', (path, plain) => {
    expect(guardPath(path)).toBe(plain);
  });

  test.each([
    '',
    '/',
    '/etc/passwd',
    '..',
    '../x',
    'a/..',
    'a/../b',
    `.gfid/${G}/..`,
    `.gfid/${G}/../../x`,
    'a\0b',
    null,
    5,
    ['a'],
  ])('guardPath() refuses %j', (path) => {
    expect(() => guardPath(path)).toThrow(/ValueError|TypeError/);
  });

  test.each([
    `.gfid/${G}`,
    `.gfid/${G}/`,
    `.gfid/${G}/.`,
    `.gfid/${G}/..`,
    `.gfid/${G}/a/b`,
    `.gfid/../x`,
    `.gfid/${G.toUpperCase()}/a`,
    `/.gfid/${G}/a`,
    `./.gfid/${G}/a`,
    `.gfid/${G}/a\0b`,
    `.gfid/${G}/${'n'.repeat(256)}`,
    'a',
    null,
  ])('parseEntry() returns null for %j', (path) => {
    expect(parseEntry(path)).toBeNull();
  });

  test('parseEntry() and parseInode() parse .gfid paths', () => {
    expect(parseEntry(`.gfid/${G}/na me`)).toEqual({ parent: G, name: 'na me' });
    expect(parseEntry(`.gfid/${G}/${'\uDCFF'.repeat(255)}`)).not.toBeNull();
    expect(parseInode(`.gfid/${G}`)).toBe(G);
    expect(parseInode(`.gfid/${G}/x`)).toBeNull();
  });
});
