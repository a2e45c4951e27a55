import { describe, expect, it } from 'vitest';
import { isGsyncdError } from '../../src/errors.js';
import { IniFile } from '../../src/config/ini.js';
import type { PythonIni } from './python.js';
import { lacksPython } from '../skip.js';
import { pythonIni } from './python.js';
import { fc } from '../seeds.js';

const ODD_FILES = [
  '',
  '# only a comment\n; and another\n',
  '[vars]\n',
  '[vars]\na = 1\nb: 2\nc=3\nd:4\n',
  '[vars]\nurl = ssh://root@host::vol\nboth: a=b\nand = a:b\n',
  '[vars]\nKEY = Value\nMiXeD-Case_key = X\n',
  '[vars]\nempty =\nempty2:\nnext = 1\n',
  '[vars]\nlong = one\n two\n\tthree\nnext = 1\n',
  '[vars]\nlong =\n  first\n  second\n',
  '[vars]\nlong = one\n\n two\n\nnext = 1\n\n',
  '[vars]\nlong = one\n# comment within\n two\n',
  '[vars]\nlong = one\n   # indented comment\n two\n  [not a section]\n key = no key\n',
  '[vars]\n  indented = 1\n  also = 2\nouter = 3\n inner of outer\n',
  '[vars]\nvalue = a # no comment\nother = b ; no comment\n',
  '[vars]\r\ncrlf = 1\r\n more\r\nb = 2\r\n',
  '[vars]\rold mac = 1\rb = 2',
  '[vars]\nno newline at the end = yes',
  '[vars] ignored rest\na = 1\n',
  '[a]b]\nx = 1\n',
  '[ spaced name ]\nx = 1\n',
  '[vars]\na b c = words in the key\n',
  '[vars]\n\u00a0nbsp\u00a0=\u3000wide\u2003\n',
  '[vars]\na = x\u001c\u001d\nb = \u0085y\n',
  '[vars]\nform = a\u000cb\u000bc\n',
  '[vars]\nbom = \ufeffkept\ufeff\n',
  '[DEFAULT]\nshared = 1\nown = default\n[vars]\nown = mine\n[other]\n',
  '[DEFAULT]\na = 1\n[DEFAULT]\nb = 2\n[vars]\n',
  '[vars]\n__proto__ = 1\nconstructor = 2\n',
  '[__proto__]\na = 1\n',
  // Python refuses the following files.
  'a = 1\n[vars]\n',
  ' a = 1\n',
  '\ufeff[vars]\na = 1\n',
  '[vars]\nno delimiter\n',
  '[vars]\n= no key\n',
  '[vars]\n: no key\n',
  '[vars]\na = 1\na = 2\n',
  '[vars]\na = 1\nA : 2\n',
  '[vars]\na = 1\n[vars]\nb = 2\n',
  '[vars]\n[]\n',
  '[vars\na = 1\n',
  '[DEFAULT]\na = 1\n[x]\n[DEFAULT]\na = 2\n',
];

function read(text: string): PythonIni {
  try {
    const ini = IniFile.parse(text, 'f');
    const pairs = (section: string): [string, string][] => ini.entries(section).map(({ key, value }) => [key, value]);
    return { sections: ini.sections().map((name) => [name, pairs(name).sort(byCodePoint)]) };
  } catch (error) {
    if (isGsyncdError(error, 'config')) return { error: error.message };
    throw error;
  }
}

function byCodePoint([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}

function expectSameAsPython(texts: readonly string[]): void {
  for (const [i, wanted] of pythonIni(texts).entries()) {
    const text = texts[i] ?? '';
    const found = read(text);
    if ('error' in wanted) expect(found, JSON.stringify(text)).toHaveProperty('error');
    else expect(found, JSON.stringify(text)).toEqual(wanted);
  }
}

const piece = fc.constantFrom(
  '[vars]',
  '[other]',
  '[a]b]',
  'a',
  'b',
  'C',
  'key',
  '-x',
  '=',
  ':',
  ' = ',
  ': ',
  ' ',
  '  ',
  '\t',
  '#',
  ';',
  '\n',
  '\n',
  '\n',
  '\n ',
  '\n  ',
  '\n\t',
  '\r\n',
  '\r',
  '\u0085',
  '\u001c',
  '\ufeff',
  'é',
  '%',
  '$',
  '${x}',
  '"',
  "'",
  '\\',
);
const anyFile = fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join(''));
const sectionFile = anyFile.map((text) => `[s]\n${text}`);

const noPython = lacksPython("configuration files beside Python's");

describe('IniFile.parse()', () => {
  it.skipIf(noPython)('reads odd files as RawConfigParser does', () => {
    expectSameAsPython(ODD_FILES);
  });

  it.skipIf(noPython)('reads random files as RawConfigParser does', () => {
    const texts = fc.sample(fc.oneof(anyFile, sectionFile, sectionFile), 4000);
    const accepted = texts.filter((text) => !('error' in read(text)));
    expect(accepted.length).toBeGreaterThan(100);
    expectSameAsPython(texts);
  });

  it.each([
    ['a = 1', 'config: f:1: "a = 1" stands before the first [section]'],
    ['[s]\n\nnonsense', 'config: f:3: "nonsense" is not "name = value"'],
    ['[s]\n= 1', 'config: f:2: "= 1" is not "name = value"'],
    ['[s]\na = 1\nA = 2', 'config: f:3: option a appears twice'],
    ['[s]\na = 1\n[s]', 'config: f:3: section [s] appears twice'],
  ])('names file and line in the error for %j', (text, message) => {
    expect(() => IniFile.parse(text, 'f')).toThrow(message);
  });
});

describe('IniFile.set() and remove()', () => {
  it('keep comments, order and spelling of all other lines', () => {
    const ini = IniFile.parse('# head\n[vars]\nA: 1\n# about b\nb = two\n  lines\nc=3 # here\n\n[other]\nx=y', 'f');
    ini.set('vars', 'b', 'new');
    ini.set('vars', 'd', '4');
    ini.set('fresh', 'k', 'v');
    expect(ini.remove('vars', 'a')).toBe(true);
    expect(ini.remove('vars', 'nothing')).toBe(false);
    expect(ini.toString()).toBe(
      '# head\n[vars]\n# about b\nb = new\nc=3 # here\nd = 4\n\n[other]\nx=y\n\n[fresh]\nk = v\n\n',
    );
  });

  it('keep a comment inside a replaced value', () => {
    const ini = IniFile.parse('[vars]\na = 1\n# why\n 2\nb = 3\n', 'f');
    ini.set('vars', 'a', 'x\ny');
    expect(ini.toString()).toBe('[vars]\na = x\n\ty\n# why\nb = 3\n');
  });

  it.each([
    ['vars', 'k', ' padded '],
    ['vars', 'k', 'line\n# not a comment'],
    ['vars', 'k', 'carriage\rreturn'],
    ['vars', 'k=', 'v'],
    ['vars', '#k', 'v'],
    ['vars', '[k]', 'v'],
    ['new\nline', 'k', 'v'],
  ])('refuse values that would not be read back unchanged: [%s] %j = %j', (section, key, value) => {
    const ini = IniFile.parse('[vars]\na = 1\n', 'f');
    expect(() => ini.set(section, key, value)).toThrow('cannot be written');
    expect(ini.toString()).toBe('[vars]\na = 1\n');
    expect(ini.get('vars', 'a')).toBe('1');
  });

  it.skipIf(noPython)('write values that IniFile and Python read back unchanged, in any file', () => {
    const edited: string[] = [];
    const word = fc.stringMatching(/^[a-z][a-z0-9 _-]{0,8}[a-z]$/);
    const value = fc.array(
      fc.stringMatching(/^[a-z0-9:=[\]%$ ]*$/).map((line) => line.trim()),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(sectionFile, fc.constantFrom('s', 'vars', 'new'), word, value, (text, section, key, lines) => {
        fc.pre(!('error' in read(text)));
        const ini = IniFile.parse(text, 'f');
        const wanted = lines.join('\n').trimEnd();
        ini.set(section, key, wanted);
        expect(IniFile.parse(ini.toString(), 'f').get(section, key)).toBe(wanted);
        edited.push(ini.toString());
        const untouched = ini.toString();
        ini.set(section, `${key}x`, 'v');
        expect(ini.remove(section, `${key}x`)).toBe(true);
        expect(ini.toString()).toBe(untouched);
      }),
      { numRuns: 400 },
    );
    expectSameAsPython(edited);
  });
});
