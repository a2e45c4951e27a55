// Reads gsyncd.conf in both of its forms and produces the text of every option. It finds options under all their
// spellings, merges the layers and replaces variables, but does not check values. Each text keeps the file and line it
// came from.

import { readFileSync } from 'node:fs';
import { GsyncdError, errnoCode, errorLine } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { IniFile } from './ini.js';
import type { IniEntry } from './ini.js';
import type { OptionName } from './options.js';
import { OPTION_NAMES, findOption, optionSpec } from './options.js';
import type { TemplateArgs } from './template.js';
import { substitute, templateVariables } from './template.js';
import { stripSpace } from './words.js';

export interface OptionOrigin {
  /** The text of the value, with variables replaced. */
  readonly text: string;
  /** `file:line`, `command line` or `default`. */
  readonly where: string;
}

export interface ParsedFile {
  readonly file: string;
  /** `[option]` sections, which hold the options' defaults. */
  readonly sections: readonly (readonly [OptionName, readonly IniEntry[]])[];
  /** Options that the session sets. */
  readonly vars: readonly (readonly [OptionName, OptionOrigin])[];
  readonly warnings: readonly string[];
}

/** A configuration error: one line, and a retry does not help. */
export function configError(message: string, cause?: unknown): GsyncdError {
  return new GsyncdError(`config: ${message}`, { code: 'config', cause });
}

/** The parsed file, undefined when there is none.
 *  @throws GsyncdError `config` */
export function readIni(file: string): IniFile | undefined {
  let bytes: Buffer;
  try {
    bytes = readFileSync(fsEncode(file));
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw configError(`${file}: cannot be read: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
  return IniFile.parse(fsDecode(bytes), file);
}

/**
 * Reads one file, in either form; undefined when there is no such file. `oldSection` is the section in which releases
 * before 4.0 kept a session's options.
 */
export function readConfigFile(file: string, oldSection: string | undefined): ParsedFile | undefined {
  const ini = readIni(file);
  if (ini === undefined) return undefined;
  const warnings: string[] = [];
  const sections: [OptionName, readonly IniEntry[]][] = [];
  const oldFormVars: (readonly [OptionName, OptionOrigin])[] = [];
  for (const section of ini.sections()) {
    const name = findOption(section);
    if (section === '__meta__' || section === 'vars') continue;
    if (section === oldSection) oldFormVars.push(...readVars(file, ini.entries(section), warnings));
    else if (name === undefined) warnings.push(`config: ${file}: unknown section [${section}]`);
    else sections.push([name, ini.entries(section)]);
  }
  return { file, sections, vars: [...oldFormVars, ...readVars(file, ini.entries('vars'), warnings)], warnings };
}

function readVars(file: string, entries: readonly IniEntry[], warnings: string[]): [OptionName, OptionOrigin][] {
  const found = new Map<OptionName, IniEntry>();
  for (const entry of entries) {
    const name = entry.key === 'use_tarssh' ? 'sync-method' : findOption(entry.key);
    const earlier = name && found.get(name);
    if (name === undefined) warnings.push(`config: ${file}:${entry.line}: unknown option ${entry.key}`);
    else if (earlier === undefined) found.set(name, entry);
    else {
      const winner = earlier.key === name ? earlier : entry;
      found.set(name, winner);
      warnings.push(
        `config: ${file}:${entry.line}: ${entry.key} and ${earlier.key} are the same option, ${winner.key} counts`,
      );
    }
  }
  return [...found].map(([name, { key, value, line }]) => {
    const text = key === 'use_tarssh' ? (value === 'true' ? 'tarssh' : 'rsync') : value;
    return [name, { text: stripSpace(text), where: `${file}:${line}` }];
  });
}

/**
 * The text of every option. The order of precedence is: `overrides`, the vars of all files, the sections of all files,
 * the table. A later file overrides an earlier one.
 */
export function mergeLayers(
  files: readonly ParsedFile[],
  overrides: Partial<Readonly<Record<OptionName, string>>>,
  args: TemplateArgs,
): Map<OptionName, OptionOrigin> {
  const texts = new Map<OptionName, OptionOrigin>();
  const templates = new Set<OptionName>();
  for (const name of OPTION_NAMES) {
    const spec = optionSpec(name);
    texts.set(name, { text: spec.value, where: 'default' });
    if (spec.template === true) templates.add(name);
  }
  for (const { file, sections } of files) {
    for (const [name, entries] of sections) {
      for (const { key, value, line } of entries) {
        if (key === 'value') texts.set(name, { text: stripSpace(value), where: `${file}:${line}` });
        else if (key === 'template' && value.toLowerCase() === 'true') templates.add(name);
      }
    }
  }
  for (const { vars } of files) for (const [name, origin] of vars) texts.set(name, origin);
  for (const name of OPTION_NAMES) {
    const text = overrides[name];
    if (text !== undefined) texts.set(name, { text, where: 'command line' });
  }
  const variables = templateVariables(
    [...texts].map(([name, { text }]) => [name, text] as const),
    args,
  );
  for (const name of templates) {
    const origin = texts.get(name);
    if (origin !== undefined) texts.set(name, { ...origin, text: substitute(origin.text, variables) });
  }
  return texts;
}
