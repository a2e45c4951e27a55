// `gsyncd-ts install`: puts a launcher of this program in the place where glusterd and the sessions' ssh keys start
// the stock gsyncd. It also installs files for admins (a name in PATH, the manual page, completions), and removes all
// of this again. It prints one line for each action.

import { realpath, readdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { GsyncdError } from '../../errors.js';
import { findChangeableBelow, findChangeableByOthers, findClosedToOthers } from '../../install/access.js';
import { applyCommandName, applyOwnFile, applyToPlaces, type ApplyOptions } from '../../install/apply.js';
import { applyTarKeys } from '../../install/apply-tar-keys.js';
import { exists, readIfThere } from '../../install/files.js';
import { launcherText } from '../../install/launcher.js';
import { COMMAND_NAME_PATH, COMPLETION_PATHS, findPlaces, MAN_PAGE_PATH } from '../../install/places.js';
import { LOGROTATE_PATH, logrotateText, UNIT_PATH, unitText } from '../../install/systemd.js';
import { readProgram } from '../docs/command-tree.js';
import { completionScript, SHELLS } from '../docs/completion-script.js';
import { manPage } from '../docs/man-page.js';
import { VERSION } from '../version.js';

interface InstallFlags {
  readonly dryRun?: true;
  readonly uninstall?: true;
  readonly systemd?: true;
  readonly tarKeys?: true;
  readonly path?: string;
  readonly root: string;
}

export function addInstallCommand(program: Command): void {
  program
    .command('install')
    .description(
      'put this program, its manual page and completions in place, the stock gsyncd aside; or take them away',
    )
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--uninstall', 'put the stock gsyncd back, and remove everything else that was written')
    .option('--systemd', 'write a unit template for workers without glusterd, and a logrotate snippet')
    .option(
      '--tar-keys',
      'make the tar keys of sessions in authorized_keys go through this program, which lets them run nothing else',
    )
    .option('--path <file>', "the stock gsyncd's path (default: every known one that is there)")
    .option('--root <dir>', 'the directory to take for /', '/')
    .addHelpText('after', '\nExample:\n  gsyncd-ts install --dry-run')
    .action((flags: InstallFlags) => runInstall(program, flags));
}

async function runInstall(program: Command, flags: InstallFlags): Promise<void> {
  const root = resolve(flags.root);
  if (process.geteuid?.() !== 0 && root === '/' && flags.dryRun !== true) {
    throw new GsyncdError('install: not root: the directories of GlusterFS are not writable', { code: 'preflight' });
  }
  const node = await realpath(process.execPath);
  const script = await realpath(process.argv[1] ?? '');
  if (flags.uninstall !== true) await refuseChangeable(node, script);
  const options: ApplyOptions = {
    action: flags.uninstall === true ? 'uninstall' : 'install',
    mode: flags.dryRun === true ? 'dry-run' : 'do',
    launcher: launcherText(node, script),
    report: (line) => void process.stdout.write(`${line}\n`),
  };
  const places = flags.path === undefined ? await findPlaces(root) : [resolve(flags.path)];
  if (places.length === 0 && flags.systemd !== true) {
    throw new GsyncdError(
      `${options.action}: no gsyncd below ${join(root, 'usr')}: GlusterFS with geo-replication is not installed`,
      {
        code: 'preflight',
      },
    );
  }
  await applyToPlaces(places, options);
  await applyAdminFiles(program, root, script, options);
  if (flags.systemd === true || flags.uninstall === true) await applySystemdFiles(root, node, script, options);
  await applyTarKeys(root, { ...options, gsyncd: flags.tarKeys === true ? gsyncdPath(places, root) : undefined });
  if (options.action === 'install') await reportClosedFile(node, script, options);
}

/** The path that GlusterFS writes to authorized_keys. */
function gsyncdPath([place]: readonly string[], root: string): string {
  if (place === undefined)
    throw new GsyncdError('install: --tar-keys: no gsyncd that they could go through', { code: 'preflight' });
  return `/${relative(root, place)}`;
}

/** A program that another user can change would run as root at glusterd's next call.
 *  @throws GsyncdError 'preflight' */
async function refuseChangeable(node: string, script: string): Promise<void> {
  const owners = [0, process.geteuid?.() ?? 0];
  const home = dirname(dirname(script));
  const libraries = dirname(dirname(createRequire(import.meta.url).resolve('commander')));
  let changeable: string | undefined;
  for (const path of [node, script, libraries]) changeable ??= await findChangeableByOthers(path, owners);
  const below = new Set([
    ...['bin', 'dist', 'package.json', 'node_modules'].map((name) => join(home, name)),
    libraries,
  ]);
  for (const path of below) changeable ??= findChangeableBelow(path, owners);
  if (changeable === undefined) return;
  throw new GsyncdError(
    `install: ${changeable}: other users can change it: give it to root, and take write permission from group and others`,
    { code: 'preflight' },
  );
}

async function applyAdminFiles(program: Command, root: string, script: string, options: ApplyOptions): Promise<void> {
  const info = readProgram(program);
  await applyCommandName(join(root, COMMAND_NAME_PATH), script, options);
  await applyOwnFile(join(root, MAN_PAGE_PATH), manPage(info, VERSION), options);
  for (const shell of SHELLS)
    await applyOwnFile(join(root, COMPLETION_PATHS[shell]), completionScript(info, shell), options);
}

async function applySystemdFiles(root: string, node: string, script: string, options: ApplyOptions): Promise<void> {
  await applyOwnFile(join(root, UNIT_PATH), unitText(node, script), options);
  const snippet = join(root, LOGROTATE_PATH);
  const otherSnippet = options.action === 'install' ? await findOtherSnippet(dirname(snippet), snippet) : undefined;
  // logrotate refuses to run when two snippets name the same log.
  if (otherSnippet !== undefined)
    options.report(`${snippet}: nothing to do: ${otherSnippet} rotates these logs already`);
  else await applyOwnFile(snippet, logrotateText(), options);
}

async function findOtherSnippet(dir: string, ownSnippet: string): Promise<string | undefined> {
  if (!(await exists(dir))) return undefined;
  for (const name of await readdir(dir)) {
    const path = join(dir, name);
    if (path === ownSnippet) continue;
    const text = (await readIfThere(path))?.toString() ?? '';
    if (text.includes('/glusterfs/geo-replication')) return path;
  }
  return undefined;
}

async function reportClosedFile(node: string, script: string, { report }: ApplyOptions): Promise<void> {
  const closed = await findClosedToOthers([
    node,
    script,
    fileURLToPath(import.meta.url),
    createRequire(import.meta.url).resolve('commander'),
  ]);
  if (closed === undefined) return;
  report(
    `${closed}: note: other users may not read it: sessions with a user other than root (mountbroker) need it readable`,
  );
}
