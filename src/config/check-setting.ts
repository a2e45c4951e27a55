// Checks whether an option may be set to a value: by GlusterFS's rules in the installed gsyncd.conf, then by the
// option table's. So a session's file never gets a value with which its worker would not start.

import { OPTION_NAMES, optionSpec } from './options.js';
import type { Settings } from './settings.js';
import { isExecutable, parseValue, parsePythonInt } from './values.js';
import { stripSpace } from './words.js';

/** `unknown` also means an option without metadata. Stock lets every option with metadata be set. */
export type SettingVerdict = 'good' | 'unknown' | 'invalid';

export function checkSetting(settings: Settings, name: string, value: string | undefined): SettingVerdict {
  const metadata = settings.metadata(name);
  if (metadata === undefined) return 'unknown';
  if (value === undefined) return 'good';
  return passesMetadata(metadata, value) && passesOptionTable(name, value) ? 'good' : 'invalid';
}

function passesMetadata(metadata: ReadonlyMap<string, string>, value: string): boolean {
  switch (metadata.get('validation')) {
    case undefined:
      return true;
    case 'minmax':
      return inRange(
        parsePythonInt(value),
        parsePythonInt(metadata.get('min') ?? ''),
        parsePythonInt(metadata.get('max') ?? ''),
      );
    case 'choice':
      return (metadata.get('allowed_values') ?? '').split(',').some((allowed) => stripSpace(allowed) === value);
    case 'bool':
      return value === 'true' || value === 'false';
    case 'execpath':
      return isExecutable(value);
    case 'unixtime':
      return isLaterThan1970(parsePythonInt(value));
    case 'int':
      return !Number.isNaN(parsePythonInt(value));
    default:
      return false;
  }
}

function inRange(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}

/** Stock checks the year in local time. */
function isLaterThan1970(seconds: number): boolean {
  const year = new Date(seconds * 1000).getFullYear();
  return year !== 1970 && year >= 1 && year <= 9999;
}

function passesOptionTable(name: string, value: string): boolean {
  const option = OPTION_NAMES.find((option) => option === name);
  return option === undefined || 'value' in parseValue(optionSpec(option), stripSpace(value));
}
