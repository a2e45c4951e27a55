// Does what an old-style command line asks for in addition to its command: creates files that glusterd expects, and
// prints one-line answers.

import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { GLUSTERD_WORKDIR } from '../../config/places.js';
import { errnoCode, errorLine, GsyncdError } from '../../errors.js';
import { fsEncode } from '../../names.js';
import { CommandExit } from '../exit.js';
import { templateFile, translateLegacyArgs, type RemoteVolume, type TouchFile } from './legacy-argv.js';
import { printLines } from '../print.js';

/** @returns the arguments of the command to run; undefined when everything has been done
 *  @throws CommandExit, GsyncdError `preflight` for a host without an address */
export async function runLegacy(args: readonly string[]): Promise<readonly string[] | undefined> {
  touch(templateFile(GLUSTERD_WORKDIR));
  const outcome = translateLegacyArgs(args, GLUSTERD_WORKDIR);
  switch (outcome.kind) {
    case 'refused':
      throw new CommandExit(outcome.exitCode, `gsyncd-ts: ${outcome.line}`);
    case 'print':
      printLines([outcome.line]);
      return undefined;
    case 'canonicalize':
      // One after the other, so that the output before a host without an address equals stock's.
      for (const url of outcome.urls) printLines([await makeCanonicalUrl(url, outcome.resolve)]);
      if (outcome.refused !== undefined) throw new CommandExit(1, `gsyncd-ts: ${outcome.refused}`);
      return undefined;
    case 'done':
      outcome.touch.forEach(touch);
      return undefined;
    case 'run':
      outcome.touch.forEach(touch);
      return [...outcome.argv, ...outcome.own];
  }
}

async function makeCanonicalUrl({ user, host, volume }: RemoteVolume, resolve: boolean): Promise<string> {
  return `ssh://${user}@${resolve ? await resolveAddress(host) : host}:gluster://127.0.0.1:${volume}`;
}

async function resolveAddress(host: string): Promise<string> {
  if (/^\d+\.\d+\.\d+\.\d+$/.test(host)) return host;
  const { lookup } = await import('node:dns/promises');
  try {
    return (await lookup(host, { family: 4 })).address;
  } catch (error) {
    throw new GsyncdError(`${host}: cannot be resolved: ${errnoCode(error) ?? errorLine(error)}`, {
      code: 'preflight',
      cause: error,
    });
  }
}

/** Ignores failures: the code that needs the file reports them with a better message. */
function touch({ path, directory }: TouchFile): void {
  // Names of sessions become parts of paths; none may lead elsewhere.
  if (path.split('/').includes('..')) return;
  const file = fsEncode(path);
  if (existsSync(file)) return;
  const parent = fsEncode(dirname(path));
  try {
    if (directory === 'create' && !existsSync(parent)) mkdirSync(parent);
    if (existsSync(parent)) closeSync(openSync(file, 'a'));
  } catch {
    // See above.
  }
}
