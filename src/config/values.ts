// Converts the text of an option to its value and checks the value's rules. A broken rule is a return value, not an
// exception, since the caller knows the source of the text.
//
// Stricter than the stock daemon, which checks values only when its own command sets them. In the stock daemon a bool
// that is spelled `yes` silently means false, and a number out of range fails in the middle of a crawl.

import { accessSync, constants, statSync } from 'node:fs';
import { fsEncode } from '../names.js';
import type { OptionSpec } from './options.js';
import { stripSpace } from './words.js';

export type ParsedValue = { readonly value: string | number | boolean } | { readonly problem: string };

/** Checkpoints are dates from 1971, so that a small number given by mistake is detected, to the year 9999. */
const MIN_UNIX_TIME = 31_536_000;
const MAX_UNIX_TIME = 253_402_300_799;

/** The value of `text`, or the allowed values, as the end of a sentence that begins "must be". */
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

/** Like Python's int(): allows a sign and single underscores between digits. NaN for anything else. */
export function parsePythonInt(text: string): number {
  const trimmed = stripSpace(text);
  return /^[+-]?\d+(?:_\d+)*$/.test(trimmed) ? Number(trimmed.replaceAll('_', '')) + 0 : NaN;
}

function parseInteger(text: string, min: number, max = Number.MAX_SAFE_INTEGER): ParsedValue {
  const value = parsePythonInt(text);
  if (value >= min && value <= max) return { value };
  return {
    problem: max === Number.MAX_SAFE_INTEGER ? `a whole number from ${min}` : `a whole number from ${min} to ${max}`,
  };
}

function parseUnixTime(text: string): ParsedValue {
  const value = parsePythonInt(text);
  if (value === 0 || (value >= MIN_UNIX_TIME && value <= MAX_UNIX_TIME)) return { value };
  return { problem: '0 or a time in seconds since 1970, 1971 or later' };
}

/** Matches in any case and returns the table's spelling. */
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
      return isProgramName(text)
        ? { value: text }
        : { problem: 'an executable file, or the name of one without a directory' };
    case undefined:
      return { value: text };
  }
}

/** A bare name is not checked here. The spawner, which knows the directories, looks it up when it runs the program. */
function isProgramName(path: string): boolean {
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
