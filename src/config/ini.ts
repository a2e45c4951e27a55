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
  readonly valueLines: string[];
  /** Index of the first line and of the last line that belongs to the value. */
  readonly first: number;
  last: number;

  constructor(key: string, firstValueLine: string, index: number) {
    this.key = key;
    this.valueLines = [firstValueLine];
    this.first = this.last = index;
  }

  get line(): number {
    return this.first + 1;
  }

  get value(): string {
    return stripSpaceEnd(this.valueLines.length === 1 ? (this.valueLines[0] ?? '') : this.valueLines.join('\n'));
  }
}

interface Section {
  readonly headerIndex: number;
  readonly entries: Map<string, StoredEntry>;
}

const SECTION_LINE = /^\[([^]+)\]/;
const ENTRY_LINE = /^([^]*?)[=:]([^]*)$/;

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
    const ownSection = this.#sections.get(section);
    if (ownSection === undefined) return [];
    const merged = new Map<string, IniEntry>(this.#sections.get(DEFAULT_SECTION)?.entries);
    for (const [key, entry] of ownSection.entries) merged.set(key, entry);
    return [...merged.values()].map(({ key, value, line }) => ({ key, value, line }));
  }

  /** The value, undefined when the section or the key does not exist. */
  get(section: string, key: string): string | undefined {
    const ownSection = this.#sections.get(section);
    if (ownSection === undefined) return undefined;
    const name = key.toLowerCase();
    return (ownSection.entries.get(name) ?? this.#sections.get(DEFAULT_SECTION)?.entries.get(name))?.value;
  }

  /**
   * Sets one entry, in its place when it exists, else at the end of its section, which is added when missing.
   * @throws GsyncdError `config` when this syntax cannot express the name or the value (a value with white space
   * around it, or with a line that begins with `#`).
   */
  set(section: string, key: string, value: string): void {
    const lines = splitLines(this.#text);
    const newline = /\r\n|\r|\n/.exec(this.#text)?.[0] ?? '\n';
    const ownSection = this.#sections.get(section);
    const entry = ownSection?.entries.get(key.toLowerCase());
    const neighbour = entry ?? [...(ownSection?.entries.values() ?? [])].at(-1);
    const indent = ownSection === undefined ? '' : entryIndent(lines, ownSection, neighbour);
    const written = value.split('\n').map((part, i) => (i === 0 ? `${indent}${key} = ${part}` : `${indent}\t${part}`));
    // Like stock, an empty value keeps the space after its delimiter, and a new section ends with an empty line.
    const block = written.map((line, i) => (i === 0 && value === '' ? line : stripSpaceEnd(line)) + newline);
    const last = lines.at(-1);
    if (last !== undefined && !/[\r\n]$/.test(last)) lines[lines.length - 1] = last + newline;
    if (entry !== undefined)
      lines.splice(entry.first, entry.last - entry.first + 1, ...block, ...commentLines(lines, entry));
    else if (ownSection !== undefined) lines.splice((neighbour?.last ?? ownSection.headerIndex) + 1, 0, ...block);
    else lines.push(...(lines.length > 0 ? [newline] : []), `[${section}]${newline}`, ...block, newline);
    this.#commit(lines.join(''), section, key, value);
  }

  /** Removes one entry.
   *  @returns whether the entry was there */
  remove(section: string, key: string): boolean {
    const entry = this.#sections.get(section)?.entries.get(key.toLowerCase());
    if (entry === undefined) return false;
    const lines = splitLines(this.#text);
    lines.splice(entry.first, entry.last - entry.first + 1, ...commentLines(lines, entry));
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
    const writeError = (cause?: unknown): GsyncdError =>
      new GsyncdError(`config: ${this.file}: [${section}] ${key} cannot be written as ${JSON.stringify(value ?? '')}`, {
        code: 'config',
        cause,
      });
    let sections: Map<string, Section>;
    try {
      sections = parse(text, this.file);
    } catch (error) {
      throw writeError(error);
    }
    const found = flatten(sections);
    if (found.size !== expected.size || [...expected].some(([at, wanted]) => found.get(at) !== wanted))
      throw writeError();
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
  const isContent = (line: string): boolean => stripSpace(line) !== '' && !isComment(stripSpace(line));
  const model = neighbour === undefined ? lines.slice(section.headerIndex + 1).find(isContent) : lines[neighbour.first];
  return leadingSpace(model ?? '');
}

function isComment(stripped: string): boolean {
  return stripped.startsWith('#') || stripped.startsWith(';');
}

/** Comment lines between the lines of a value. They stay when the value goes. */
function commentLines(lines: readonly string[], entry: StoredEntry): string[] {
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
      entry?.valueLines.push('');
      continue;
    }
    if (isComment(stripped)) continue;
    const lineIndent = leadingSpace(line).length;
    if (entry !== undefined && lineIndent > indent) {
      entry.valueLines.push(stripped);
      entry.last = index;
      continue;
    }
    indent = lineIndent;
    const header = SECTION_LINE.exec(stripped)?.[1];
    if (header !== undefined) {
      const earlier = sections.get(header);
      if (earlier !== undefined && header !== DEFAULT_SECTION) fail(index, `section [${header}] appears twice`);
      section = earlier ?? { headerIndex: index, entries: new Map() };
      sections.set(header, section);
      entry = undefined;
      continue;
    }
    if (section === undefined) return fail(index, `${JSON.stringify(stripped)} stands before the first [section]`);
    const [, name = '', value = ''] = ENTRY_LINE.exec(stripped) ?? [];
    const key = stripSpaceEnd(name).toLowerCase();
    if (key === '') return fail(index, `${JSON.stringify(stripped)} is not "name = value"`);
    if (section.entries.has(key)) fail(index, `option ${key} appears twice`);
    entry = new StoredEntry(key, stripSpace(value), index);
    section.entries.set(key, entry);
  }
  return sections;
}
