// The syntax of gsyncd.conf: exactly what Python's RawConfigParser reads with its default settings. So a file means
// the same to this daemon and to the stock one. The npm packages for INI files fail here: they coerce, unquote or
// treat `#` inside values as comments.
//
// An edit rewrites only the lines of its entry; everything else keeps its bytes, comments included. If an edit would
// not read back as requested, or would change another entry, it throws and leaves the file as it was.

import { GsyncdError } from '../errors.js';
import { leadingSpace, stripSpace, stripSpaceEnd } from './words.js';

/** Every other section inherits those entries of this section that it does not have. */
const DEFAULT_SECTION = 'DEFAULT';

export interface IniEntry {
  /** In lower case, as RawConfigParser folds it. */
  readonly key: string;
  /** Without surrounding white space; the lines of a continued value are joined by `\n`. */
  readonly value: string;
  /** Line where the entry begins, counted from 1. */
  readonly line: number;
}

class StoredEntry implements IniEntry {
  readonly key: string;
  readonly parts: string[];
  /** Index of the first line and of the last line that belongs to the value. */
  readonly first: number;
  last: number;

  constructor(key: string, firstPart: string, index: number) {
    this.key = key;
    this.parts = [firstPart];
    this.first = this.last = index;
  }

  get line(): number {
    return this.first + 1;
  }

  get value(): string {
    return stripSpaceEnd(this.parts.length === 1 ? (this.parts[0] ?? '') : this.parts.join('\n'));
  }
}

interface Section {
  readonly header: number;
  readonly entries: Map<string, StoredEntry>;
}

const SECTION = /^\[([^]+)\]/;
const ENTRY = /^([^]*?)[=:]([^]*)$/;

/** One parsed file. Keys are looked up case-insensitively, sections exactly. */
export class IniFile {
  readonly file: string;
  #text: string;
  #sections: Map<string, Section>;

  private constructor(text: string, file: string) {
    this.file = file;
    this.#text = text;
    this.#sections = parse(text, file);
  }

  /**
   * Reads `text`; `file` only names it in messages.
   * @throws GsyncdError `config`, with file and line, for anything that makes RawConfigParser raise.
   */
  static parse(text: string, file: string): IniFile {
    return new IniFile(text, file);
  }

  /** Names in order of appearance, without `DEFAULT`. */
  sections(): string[] {
    return [...this.#sections.keys()].filter((name) => name !== DEFAULT_SECTION);
  }

  /** The entries of a section, those of `DEFAULT` first; none when there is no such section. */
  entries(section: string): IniEntry[] {
    const own = this.#sections.get(section);
    if (own === undefined) return [];
    const merged = new Map<string, IniEntry>(this.#sections.get(DEFAULT_SECTION)?.entries);
    for (const [key, entry] of own.entries) merged.set(key, entry);
    return [...merged.values()].map(({ key, value, line }) => ({ key, value, line }));
  }

  /** The value, undefined when the section or the key does not exist. */
  get(section: string, key: string): string | undefined {
    const own = this.#sections.get(section);
    if (own === undefined) return undefined;
    const name = key.toLowerCase();
    return (own.entries.get(name) ?? this.#sections.get(DEFAULT_SECTION)?.entries.get(name))?.value;
  }

  /**
   * Sets one entry, in its place when it exists, else at the end of its section, which is added when missing.
   * @throws GsyncdError `config` when this syntax cannot express the name or the value (a value with white space
   * around it, or with a line that begins with `#`).
   */
  set(section: string, key: string, value: string): void {
    const lines = splitLines(this.#text);
    const newline = /\r\n|\r|\n/.exec(this.#text)?.[0] ?? '\n';
    const own = this.#sections.get(section);
    const entry = own?.entries.get(key.toLowerCase());
    const neighbour = entry ?? [...(own?.entries.values() ?? [])].at(-1);
    const indent = own === undefined ? '' : entryIndent(lines, own, neighbour);
    const written = value.split('\n').map((part, i) => (i === 0 ? `${indent}${key} = ${part}` : `${indent}\t${part}`));
    // Like stock, an empty value keeps the space after its delimiter, and a new section ends with an empty line.
    const block = written.map((line, i) => (i === 0 && value === '' ? line : stripSpaceEnd(line)) + newline);
    const last = lines.at(-1);
    if (last !== undefined && !/[\r\n]$/.test(last)) lines[lines.length - 1] = last + newline;
    if (entry !== undefined) lines.splice(entry.first, entry.last - entry.first + 1, ...block, ...comments(lines, entry));
    else if (own !== undefined) lines.splice((neighbour?.last ?? own.header) + 1, 0, ...block);
    else lines.push(...(lines.length > 0 ? [newline] : []), `[${section}]${newline}`, ...block, newline);
    this.#commit(lines.join(''), section, key, value);
  }

  /** Removes one entry.
   *  @returns whether the entry was there */
  remove(section: string, key: string): boolean {
    const entry = this.#sections.get(section)?.entries.get(key.toLowerCase());
    if (entry === undefined) return false;
    const lines = splitLines(this.#text);
    lines.splice(entry.first, entry.last - entry.first + 1, ...comments(lines, entry));
    this.#commit(lines.join(''), section, key, undefined);
    return true;
  }

  /** The file's text: what was parsed, with the edits since. */
  toString(): string {
    return this.#text;
  }

  #commit(text: string, section: string, key: string, value: string | undefined): void {
    const expected = flatten(this.#sections);
    const id = JSON.stringify([section, key.toLowerCase()]);
    if (value === undefined) expected.delete(id);
    else expected.set(id, value);
    const refused = (cause?: unknown): GsyncdError =>
      new GsyncdError(`config: ${this.file}: [${section}] ${key} cannot be written as ${JSON.stringify(value ?? '')}`, {
        code: 'config',
        cause,
      });
    let sections: Map<string, Section>;
    try {
      sections = parse(text, this.file);
    } catch (error) {
      throw refused(error);
    }
    const found = flatten(sections);
    if (found.size !== expected.size || [...expected].some(([at, wanted]) => found.get(at) !== wanted)) throw refused();
    this.#text = text;
    this.#sections = sections;
  }
}

/** Lines with their terminators, split as Python's text mode does. */
function splitLines(text: string): string[] {
  return text.match(/[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g) ?? [];
}

/** An indent that keeps the meaning of the following lines: no line may be indented deeper than the entry before it. */
function entryIndent(lines: readonly string[], section: Section, neighbour: StoredEntry | undefined): string {
  const follows = (line: string): boolean => stripSpace(line) !== '' && !isComment(stripSpace(line));
  const like = neighbour === undefined ? lines.slice(section.header + 1).find(follows) : lines[neighbour.first];
  return leadingSpace(like ?? '');
}

function isComment(stripped: string): boolean {
  return stripped.startsWith('#') || stripped.startsWith(';');
}

/** Comment lines between the lines of a value. They stay when the value goes. */
function comments(lines: readonly string[], entry: StoredEntry): string[] {
  return lines.slice(entry.first + 1, entry.last + 1).filter((line) => isComment(stripSpace(line)));
}

function flatten(sections: ReadonlyMap<string, Section>): Map<string, string> {
  const flat = new Map<string, string>();
  for (const [name, section] of sections) {
    for (const entry of section.entries.values()) flat.set(JSON.stringify([name, entry.key]), entry.value);
  }
  return flat;
}

function parse(text: string, file: string): Map<string, Section> {
  const sections = new Map<string, Section>();
  let section: Section | undefined;
  let entry: StoredEntry | undefined;
  let indent = 0;
  const fail = (index: number, state: string): never => {
    throw new GsyncdError(`config: ${file}:${index + 1}: ${state}`, { code: 'config' });
  };
  for (const [index, line] of splitLines(text).entries()) {
    const stripped = stripSpace(line);
    if (stripped === '') {
      entry?.parts.push('');
      continue;
    }
    if (isComment(stripped)) continue;
    const lineIndent = leadingSpace(line).length;
    if (entry !== undefined && lineIndent > indent) {
      entry.parts.push(stripped);
      entry.last = index;
      continue;
    }
    indent = lineIndent;
    const header = SECTION.exec(stripped)?.[1];
    if (header !== undefined) {
      const known = sections.get(header);
      if (known !== undefined && header !== DEFAULT_SECTION) fail(index, `section [${header}] appears twice`);
      section = known ?? { header: index, entries: new Map() };
      sections.set(header, section);
      entry = undefined;
      continue;
    }
    if (section === undefined) return fail(index, `${JSON.stringify(stripped)} stands before the first [section]`);
    const [, name = '', value = ''] = ENTRY.exec(stripped) ?? [];
    const key = stripSpaceEnd(name).toLowerCase();
    if (key === '') return fail(index, `${JSON.stringify(stripped)} is not "name = value"`);
    if (section.entries.has(key)) fail(index, `option ${key} appears twice`);
    entry = new StoredEntry(key, stripSpace(value), index);
    section.entries.set(key, entry);
  }
  return sections;
}
