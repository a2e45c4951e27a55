// Edits a session's gsyncd.conf. One writer of this project at a time replaces the whole file; every byte outside the
// edited entry stays. If a writer was killed, its lock lasts until it is stale. If a writer was stopped for so long
// that another one took its lock, it starts over. This module also converts the `[peers …]` form of releases before
// 4.0 to `[vars]`, and keeps the old file beside it.

import { copyFile, readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { lock } from 'proper-lockfile';
import { errnoCode, errorLine, isGsyncdError } from '../errors.js';
import { fsDecode, fsEncode } from '../names.js';
import { replaceFile } from '../native/durable-file.js';
import { IniFile } from './ini.js';
import { configError } from './layers.js';

/** Retries last about 20 s. That is longer than a lock takes to become stale, even if it was touched just before. */
const LOCK = { stale: 10_000, retries: { retries: 100, minTimeout: 20, maxTimeout: 200 }, realpath: false };
const MAX_TRIES = 10;
const BACKUP_NAME = 'gsyncd.conf.bkp';

/**
 * Applies `change` to the present content of the file, and replaces the file if the text differs.
 * @throws GsyncdError `config`: the file cannot be read, parsed, locked or written, or `change` threw
 */
export async function editSessionFile(file: string, change: (ini: IniFile) => void): Promise<void> {
  await withLock(file, async (write) => {
    const text = await readText(file);
    const ini = IniFile.parse(text, file);
    change(ini);
    if (ini.toString() !== text) await write(ini.toString(), text);
  });
}

/** The session's options in the old form; undefined when the file has none. */
function oldFormEntries(ini: IniFile, primary: string, secondaryVolume: string): [string, string][] | undefined {
  const section = `peers ${primary} ${secondaryVolume}`;
  if (!ini.sections().includes(section)) return undefined;
  return ini.entries(section).map(({ key, value }) => [key, value]);
}

/** The text that replaces the old form, with the options' present names. */
function upgradedText(entries: readonly (readonly [string, string])[]): string {
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
  if (oldFormEntries(IniFile.parse(await readText(file), file), primary, secondaryVolume) === undefined) return;
  await withLock(file, async (write) => {
    const text = await readText(file);
    const entries = oldFormEntries(IniFile.parse(text, file), primary, secondaryVolume);
    if (entries === undefined) return;
    await copyFile(fsEncode(file), fsEncode(join(dirname(file), BACKUP_NAME)));
    await write(upgradedText(entries), text);
  });
}

/** Replaces the file's `former` text by `text`. */
type ReplaceText = (text: string, expected: string) => Promise<void>;

/** A Write found another text than the former one. */
class ConcurrentChange extends Error {}

/** Two writers can believe that they hold the lock: one was stopped until its lock was stale, or both found the same
 *  stale lock. So a Write never overwrites a text that has changed; `fn` runs again on the new one. */
async function withLock(file: string, fn: (write: ReplaceText) => Promise<void>): Promise<void> {
  for (let tries = MAX_TRIES; ; tries--) {
    try {
      return await tryWithLock(file, fn);
    } catch (error) {
      if (!(error instanceof ConcurrentChange)) throw error;
      if (tries === 1) throw configError(`${file}: changed by other processes on every attempt`);
    }
  }
}

async function tryWithLock(file: string, fn: (write: ReplaceText) => Promise<void>): Promise<void> {
  let release: () => Promise<void>;
  let isLockLost = false;
  try {
    release = await lock(file, { ...LOCK, onCompromised: () => void (isLockLost = true) });
  } catch (error) {
    throw configError(`${file}: cannot be locked: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
  try {
    await fn(async (text, expected) => {
      if (isLockLost || (await readText(file)) !== expected) throw new ConcurrentChange();
      await replaceText(file, text);
    });
  } finally {
    // This fails if the lock was lost unnoticed. There is nothing to release then.
    if (!isLockLost) await release().catch(() => undefined);
  }
}

async function readText(file: string): Promise<string> {
  try {
    return fsDecode(await readFile(fsEncode(file)));
  } catch (error) {
    throw configError(`${file}: cannot be read: ${errnoCode(error) ?? errorLine(error)}`, error);
  }
}

async function replaceText(file: string, text: string): Promise<void> {
  try {
    await replaceFile(file, fsEncode(text), (await stat(fsEncode(file))).mode & 0o777);
  } catch (error) {
    throw configError(
      `${file}: cannot be written: ${isGsyncdError(error) ? errorLine(error) : (errnoCode(error) ?? errorLine(error))}`,
      error,
    );
  }
}
