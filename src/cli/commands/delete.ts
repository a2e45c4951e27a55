// `gsyncd-ts delete`: removes what a session left on this node, and with --reset-sync-time the marks on its bricks, so
// that a session that is created anew syncs everything again.

import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { errnoCode, errorLine, GsyncdError } from '../../errors.js';
import { fsDecode, fsEncode } from '../../names.js';
import { openSession } from '../open-session.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type ShortCommand } from '../short-command.js';

export const deleteCommand: ShortCommand = {
  name: 'delete',
  description: "remove a session's files from this node",
  positionals: SESSION_POSITIONALS,
  options: [
    { name: 'path', value: 'brick', repeats: true, help: "a brick's path; may be repeated" },
    { name: 'reset-sync-time', help: 'forget on these bricks how far they were synced' },
    CONFIG_FILE,
    DEBUG,
  ],
  example: 'gv0 backup.example::sv0 --path=/bricks/b1 --reset-sync-time',
  run: runDelete,
};

async function runDelete([primary = '', secondary = '']: readonly string[], flags: Flags): Promise<void> {
  const { settings, log } = await openSession({ command: 'delete', primary, secondary, flags });
  log.info('geo-replication delete');
  const prefix = settings.get('stime-xattr-prefix') ?? '';
  for (const name of ['georep-session-working-dir', 'working-dir']) await removeTree(settings.text(name));
  await removeWithSiblings(settings.text('pid-file'));
  if (flags.has('reset-sync-time') && prefix !== '') {
    for (const brick of flags.all('path').filter((path) => path !== '')) await resetMarks(brick, String(prefix));
  }
}

async function removeTree(dir: string): Promise<void> {
  try {
    await rm(fsEncode(dir), { recursive: true, force: true });
  } catch (error) {
    throw failed(dir, error);
  }
}

/** The file and what was written beside it under a longer name. */
async function removeWithSiblings(file: string): Promise<void> {
  const dir = dirname(file);
  const prefix = fsEncode(basename(file));
  let names: Buffer[];
  try {
    names = await readdir(fsEncode(dir), { encoding: 'buffer' });
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw failed(dir, error);
  }
  for (const name of names) {
    if (name.subarray(0, prefix.length).equals(prefix)) await rm(fsEncode(join(dir, fsDecode(name))), { force: true });
  }
}

/** A mark of zero and none for entries: the next session begins with a walk. */
async function resetMarks(brick: string, prefix: string): Promise<void> {
  const { lsetxattr, lremovexattr } = await import('../../native/libc.js');
  for (const [name, change] of [
    ['stime', () => lsetxattr(fsEncode(brick), `${prefix}.stime`, Buffer.alloc(8))],
    ['entry_stime', () => lremovexattr(fsEncode(brick), `${prefix}.entry_stime`)],
  ] as const) {
    try {
      change();
    } catch (error) {
      const state = errnoCode(error);
      if (state !== 'ENOENT' && state !== 'ENODATA') throw failed(`${brick}: ${prefix}.${name}`, error);
    }
  }
}

function failed(what: string, error: unknown): GsyncdError {
  return new GsyncdError(`delete: ${what}: ${errnoCode(error) ?? errorLine(error)}`, { code: 'fault', cause: error });
}
