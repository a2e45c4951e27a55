// `gsyncd-ts delete`: removes what a session left on this node, and with --reset-sync-time the marks on its bricks, so
// that a session that is created anew syncs everything again.

import { readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import { errnoCode, errorLine, GsyncdError } from '../../errors.js';
import { fsDecode, fsEncode } from '../../names.js';
import { openSession, type CommonFlags } from '../open-session.js';

interface DeleteFlags extends CommonFlags {
  readonly path?: readonly string[];
  readonly resetSyncTime?: true;
}

export function addDeleteCommand(program: Command): void {
  program
    .command('delete')
    .description("remove a session's files from this node")
    .argument('<primary>', 'name of the primary volume')
    .argument('<secondary>', 'the secondary volume: [USER@]HOST::VOLUME')
    .option('--path <brick>', "a brick's path; may be repeated", (brick: string, before: readonly string[] = []) => [...before, brick])
    .option('--reset-sync-time', 'forget on these bricks how far they were synced')
    .option('-c, --config-file <path>', "the session's gsyncd.conf (default: glusterd's)")
    .option('--debug', 'log to the terminal')
    .addHelpText('after', '\nExample:\n  gsyncd-ts delete gv0 backup.example::sv0 --path=/bricks/b1 --reset-sync-time')
    .action(runDelete);
}

async function runDelete(primary: string, secondary: string, flags: DeleteFlags): Promise<void> {
  const { settings, log } = await openSession({ command: 'delete', primary, secondary, flags });
  log.info('geo-replication delete');
  const prefix = settings.get('stime-xattr-prefix') ?? '';
  for (const name of ['georep-session-working-dir', 'working-dir']) await removeTree(settings.text(name));
  await removeWithSiblings(settings.text('pid-file'));
  if (flags.resetSyncTime === true && prefix !== '') {
    for (const brick of (flags.path ?? []).filter((path) => path !== '')) await resetMarks(brick, String(prefix));
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
