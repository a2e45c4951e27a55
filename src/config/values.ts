// From the text of an option to its value, and the rules that a value must keep. Used by config.ts; a rule that
// is broken is an answer here, not an exception, since the caller knows where the text came from.
//
// Stricter than the stock daemon, which checks values only when its own command sets them: there a bool that is
// spelled `yes` silently means false, and a number out of range fails in the middle of a crawl.

import { accessSync, constants, statSync } from 'node:fs';
import { fsEncode } from '../names.js';
import type { OptionSpec } from './options.js';
import { stripSpace } from './words.js';

export type ParsedValue = { readonly value: string | number | boolean } | { readonly problem: string };

/** Checkpoints are dates: from 1971, so that a small number by mistake is noticed, to the year 9999. */
const MIN_UNIX_TIME = 31_536_000;
const MAX_UNIX_TIME = 253_402_300_799;

/** The value that `text` stands for, or what is allowed instead, as the end of a sentence that begins "must be". */
export function parseValue(spec: OptionSpec, text: string): ParsedValue {
  switch (spec.type) {
    case 'bool':
      return parseBool(text);
    case 'int':
      return 'validation' in spec ? parseUnixTime(text) : parseInteger(text, spec.min, spec.max);
    case 'choice':
      return parseChoice(text, spec.allowed);
    case 'string':
      return parseString(text, spec.validation);
  }
}

function parseBool(text: string): ParsedValue {
  const folded = text.toLowerCase();
  if (folded === 'true') return { value: true };
  return folded === 'false' ? { value: false } : { problem: 'true or false' };
}

/** As Python's int(): a sign and single underscores between digits may be there. NaN for anything else. */
export function wholeNumber(text: string): number {
  const trimmed = stripSpace(text);
  return /^[+-]?\d+(?:_\d+)*$/.test(trimmed) ? Number(trimmed.replaceAll('_', '')) + 0 : NaN;
}

function parseInteger(text: string, min: number, max = Number.MAX_SAFE_INTEGER): ParsedValue {
  const value = wholeNumber(text);
  if (value >= min && value <= max) return { value };
  return { problem: max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}` };
}

function parseUnixTime(text: string): ParsedValue {
  const value = wholeNumber(text);
  if (value === 0 || (value >= MIN_UNIX_TIME && value <= MAX_UNIX_TIME)) return { value };
  return { problem: '0 or a time in seconds since 1970, 1971 or later' };
}

/** The spelling of the table, whatever case the file has. */
function parseChoice(text: string, allowed: readonly string[]): ParsedValue {
  const value = allowed.find((word) => word.toLowerCase() === text.toLowerCase());
  if (value !== undefined) return { value };
  const words = allowed.map((word) => (word === '' ? 'empty' : word));
  return { problem: `one of ${words.join(', ')}` };
}

function parseString(text: string, validation: 'path' | 'execpath' | undefined): ParsedValue {
  if (text.includes('\0')) return { problem: 'without NUL characters' };
  switch (validation) {
    case 'path':
      return text.startsWith('/') ? { value: text } : { problem: 'an absolute path' };
    case 'execpath':
      return isProgram(text) ? { value: text } : { problem: 'an executable file, or the name of one without a directory' };
    case undefined:
      return { value: text };
  }
}

/** A bare name is looked up when it is run: which directories count is the spawner's knowledge. */
function isProgram(path: string): boolean {
  return path.includes('/') ? isExecutable(path) : path !== '';
}

/** Whether there is a file that this process may run. */
export function isExecutable(path: string): boolean {
  const encoded = fsEncode(path);
  try {
    accessSync(encoded, constants.X_OK);
    return statSync(encoded).isFile();
  } catch {
    return false;
  }
}
