// Writes what a daemon found out into its session's gsyncd.conf, where glusterd's delete and the workers look for it.
// Used by the monitor. A file that says it already is left alone, so that nobody who watches it is woken.

import { readFile } from 'node:fs/promises';
import { errnoCode, errorLine } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { replaceFile } from '../native/durable-file.js';
import { IniFile } from './ini.js';
import { configError } from './layers.js';
import type { OptionName } from './options.js';

/**
 * Sets options in `[vars]` of `file`. @returns whether the file had to be changed; false when there is no such file
 * @throws GsyncdError `config` when it cannot be read, parsed or written
 */
export async function setSessionVars(file: string, values: Partial<Readonly<Record<OptionName, string>>>): Promise<boolean> {
  let text: string;
  try {
    text = fsDecode(await readFile(fsEncode(file)));
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return false;
    throw configError(`${file}: cannot be read: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
  const ini = IniFile.parse(text, file);
  for (const [name, value] of Object.entries(values)) {
    if (ini.get('vars', name) !== value) ini.set('vars', name, value);
  }
  if (ini.toString() === text) return false;
  try {
    await replaceFile(file, fsEncode(ini.toString()));
  } catch (error) {
    throw configError(`${file}: cannot be written: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
  return true;
}
