// Changes a session's gsyncd.conf: one writer of this project at a time, the file replaced whole, every byte that is
// not of the entry in question kept. Also turns the `[peers …]` form of releases before 4.0 into `[vars]`, with the
// old file kept beside it. Used by the config commands and the monitor.

import { copyFile, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lock } from 'proper-lockfile';
import { errnoCode, errorLine } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { replaceFile } from '../native/durable-file.js';
import { IniFile } from './ini.js';
import { configError } from './layers.js';

const LOCK = { stale: 10_000, retries: { retries: 50, minTimeout: 20, maxTimeout: 200 }, realpath: false };
const BACKUP_NAME = 'gsyncd.conf.bkp';

/**
 * Lets `change` edit the file as it is now, and puts the outcome in its place when it differs.
 * @throws GsyncdError `config`: the file cannot be read, parsed, locked or written, or `change` threw
 */
export async function editSessionFile(file: string, change: (ini: IniFile) => void): Promise<void> {
  await withLock(file, async () => {
    const ini = IniFile.parse(await read(file), file);
    const before = ini.toString();
    change(ini);
    if (ini.toString() !== before) await write(file, ini.toString());
  });
}

/** The session's options in the old form; undefined when the file has none. */
export function oldFormEntries(ini: IniFile, primary: string, secondaryVolume: string): [string, string][] | undefined {
  const section = `peers ${primary} ${secondaryVolume}`;
  if (!ini.sections().includes(section)) return undefined;
  return ini.entries(section).map(({ key, value }) => [key, value]);
}

/** The text of the file that takes the old form's place: options under their present names. */
export function upgradedText(entries: readonly (readonly [string, string])[]): string {
  const vars = new Map<string, string>();
  for (const [key, value] of entries) {
    if (key === 'use_tarssh') vars.set('sync-method', value === 'true' ? 'tarssh' : 'rsync');
    else vars.set(key === 'timeout' ? 'secondary-timeout' : key.replaceAll('_', '-'), value);
  }
  const lines = [...vars].map(([key, value]) => `${key} = ${value.replaceAll('\n', '\n\t')}\n`);
  return `[vars]\n${lines.join('')}\n`;
}

/** Upgrades the file when it holds this session's options in the old form. */
export async function upgradeSessionFile(file: string, primary: string, secondaryVolume: string): Promise<void> {
  const isOld = async (): Promise<[string, string][] | undefined> => oldFormEntries(IniFile.parse(await read(file), file), primary, secondaryVolume);
  if ((await isOld()) === undefined) return;
  await withLock(file, async () => {
    const entries = await isOld();
    if (entries === undefined) return;
    await copyFile(fsEncode(file), fsEncode(join(dirname(file), BACKUP_NAME)));
    await write(file, upgradedText(entries));
  });
}

async function withLock(file: string, fn: () => Promise<void>): Promise<void> {
  let release: () => Promise<void>;
  let lost: Error | undefined;
  try {
    release = await lock(file, { ...LOCK, onCompromised: (error) => void (lost = error) });
  } catch (error) {
    throw configError(`${file}: cannot be locked: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
  try {
    await fn();
  } finally {
    if (lost === undefined) await release();
  }
}

async function read(file: string): Promise<string> {
  try {
    return fsDecode(await readFile(fsEncode(file)));
  } catch (error) {
    throw configError(`${file}: cannot be read: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
}

async function write(file: string, text: string): Promise<void> {
  try {
    await replaceFile(file, fsEncode(text), (await stat(fsEncode(file))).mode & 0o777);
  } catch (error) {
    throw configError(`${file}: cannot be written: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
}
