// Finds a program before it is started. A failing spawn is not enough: a wrapper (setpriv) in front of the program would
// report the failure in its own words.

import { constants } from 'node:fs';
import { access, stat } from 'node:fs/promises';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { GsyncdError } from '../errors.js';

/** Absolute path of a program. A name without a slash is looked up in PATH.
 *  @throws GsyncdError('preflight') when there is no such program, or this user may not run it */
export async function findProgram(name: string, options: { cwd?: string; path?: string } = {}): Promise<string> {
  const candidates = name.includes('/')
    ? [isAbsolute(name) ? name : resolve(options.cwd ?? '.', name)]
    : (options.path ?? process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin')
        .split(delimiter)
        .map((dir) => join(dir === '' ? '.' : dir, name));
  let state = 'not found';
  for (const candidate of candidates) {
    try {
      if (!(await stat(candidate)).isFile()) continue;
      state = 'not executable';
      await access(candidate, constants.X_OK);
      return candidate;
    } catch {
      continue;
    }
  }
  const base = name.slice(name.lastIndexOf('/') + 1);
  throw new GsyncdError(name.includes('/') ? `run ${base}: ${name}: ${state}` : `run ${base}: ${state} in PATH`, {
    code: 'preflight',
  });
}

let setpriv: Promise<string | null> | undefined;

/** Arguments to put before a command so that the kernel kills it when this process dies, even by SIGKILL. Empty where
 *  util-linux's setpriv is missing. */
export async function deathSignalPrefix(): Promise<string[]> {
  setpriv ??= findProgram('setpriv').catch(() => null);
  const found = await setpriv;
  return found === null ? [] : [found, '--pdeathsig', 'KILL', '--'];
}
