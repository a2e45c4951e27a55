// `gsyncd-ts delete`: removes a session's files from this node. With --reset-sync-time it also resets the stimes of
// the session's bricks, so that a session that is created again syncs everything again.

import { lstat, readdir, realpath, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { errnoCode, errorLine, GsyncdError } from '../../errors.js';
import { fsDecode, fsEncode } from '../../names.js';
import { DEFAULTS_FILE } from '../../config/places.js';
import { Settings } from '../../config/settings.js';
import { openSession } from '../open-session.js';
import { CONFIG_FILE, DEBUG, SESSION_POSITIONALS, type Flags, type FastCommand } from '../fast-command.js';

export const deleteCommand: FastCommand = {
  name: 'delete',
  description: "remove a session's files from this node",
  positionals: SESSION_POSITIONALS,
  options: [
    { name: 'path', value: 'brick', isRepeatable: true, help: "a brick's path; may be repeated" },
    { name: 'reset-sync-time', help: 'forget on these bricks how far they were synced' },
    CONFIG_FILE,
    DEBUG,
  ],
  example: 'gv0 backup.example::sv0 --path=/bricks/b1 --reset-sync-time',
  run: runDelete,
};

/** Parent of the working directories of releases before GlusterFS 4. */
const OLD_MISC_DIR = '/var/lib/misc/glusterfsd';
const MARK_PREFIX = /^trusted\.glusterfs\.[\w.-]+$/;

async function runDelete([primary = '', secondary = '']: readonly string[], flags: Flags): Promise<void> {
  const { settings, log } = await openSession({ command: 'delete', primary, secondary, flags });
  log.info('geo-replication delete');
  // A session file that the caller names does not decide where sessions are. Only glusterd's own file may move the
  // working directory.
  const installed = new Settings(DEFAULTS_FILE, undefined, {});
  const georepDir = join(installed.text('glusterd-workdir'), 'geo-replication');
  const isGlusterds = resolve(settings.sessionFile ?? '/').startsWith(`${georepDir}/`);
  const allowedDirs = [
    georepDir,
    installed.text('gsyncd-miscdir'),
    OLD_MISC_DIR,
    ...(isGlusterds ? [settings.text('gsyncd-miscdir')] : []),
  ];
  const trees = ['georep-session-working-dir', 'working-dir'].map((name) => resolve(settings.text(name)));
  const pidFile = resolve(settings.text('pid-file'));
  const prefix = String(settings.get('stime-xattr-prefix') ?? '');
  for (const tree of trees) await requireWithin(tree, allowedDirs);
  if (basename(pidFile).startsWith('gsyncd-'))
    await requireWithin(pidFile, [installed.text('gluster-rundir'), ...allowedDirs]);
  else await requireWithin(pidFile, allowedDirs);
  if (prefix !== '' && !MARK_PREFIX.test(prefix)) throw refusalError(`stime-xattr-prefix ${prefix}`);
  for (const tree of trees) await removeTree(tree);
  await removeWithSiblings(pidFile);
  if (flags.has('reset-sync-time') && prefix !== '') {
    for (const brick of flags.all('path').filter((path) => path !== '')) await resetMarks(brick, prefix);
  }
}

/** @throws GsyncdError when `path` is not below one of `homes`, is a symbolic link, or has a link above it that leads
 *  out of them */
async function requireWithin(path: string, allowedDirs: readonly string[]): Promise<void> {
  const parent = await realPathIfThere(dirname(path));
  if (parent === undefined) return;
  const realDirs = (await Promise.all(allowedDirs.map(realPathIfThere))).filter((dir) => dir !== undefined);
  if (!realDirs.some((dir) => parent === dir || parent.startsWith(`${dir}/`))) throw refusalError(path);
  const stats = await lstat(fsEncode(path)).catch(() => undefined);
  if (stats?.isSymbolicLink() === true) throw refusalError(path);
}

async function realPathIfThere(path: string): Promise<string | undefined> {
  try {
    return fsDecode(await realpath(fsEncode(path), { encoding: 'buffer' }));
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return undefined;
    throw systemError(path, error);
  }
}

function refusalError(what: string): GsyncdError {
  return new GsyncdError(`delete: ${what}: not one of geo-replication's own: nothing was removed`, { code: 'fault' });
}

async function removeTree(dir: string): Promise<void> {
  try {
    await rm(fsEncode(dir), { recursive: true, force: true });
  } catch (error) {
    throw systemError(dir, error);
  }
}

/** Removes the file and the files beside it whose names begin with its name. */
async function removeWithSiblings(file: string): Promise<void> {
  const dir = dirname(file);
  const prefix = fsEncode(basename(file));
  let names: Buffer[];
  try {
    names = await readdir(fsEncode(dir), { encoding: 'buffer' });
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return;
    throw systemError(dir, error);
  }
  for (const name of names) {
    if (name.subarray(0, prefix.length).equals(prefix)) await rm(fsEncode(join(dir, fsDecode(name))), { force: true });
  }
}

/** Sets the stime to zero and removes the entry_stime, so that the next session begins with a hybrid crawl. */
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
      if (state !== 'ENOENT' && state !== 'ENODATA') throw systemError(`${brick}: ${prefix}.${name}`, error);
    }
  }
}

function systemError(what: string, error: unknown): GsyncdError {
  return new GsyncdError(`delete: ${what}: ${errnoCode(error) ?? errorLine(error)}`, { code: 'fault', cause: error });
}
