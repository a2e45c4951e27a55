// Paths of GlusterFS's gsyncd: below /usr/lib/<architecture> on Debian and its derivatives, below /usr/libexec
// upstream and on Red Hat. glusterd and the forced commands of sessions name the path that the package was built with.

import { readdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoCode } from '../errors.js';
import { exists } from './files.js';

const FIXED_DIRECTORIES = [
  '/usr/libexec/glusterfs',
  '/usr/local/libexec/glusterfs',
  '/usr/lib/glusterfs',
  '/usr/lib64/glusterfs',
];
const LIBRARY_DIRECTORY = '/usr/lib';

export const ASIDE_NAME = 'gsyncd.stock';

/** Paths that an admin's shell and man search. Every build of zsh searches the directory for zsh. */
export const COMMAND_NAME_PATH = '/usr/local/bin/gsyncd-ts';
export const MAN_PAGE_PATH = '/usr/share/man/man8/gsyncd-ts.8';
export const COMPLETION_PATHS = {
  bash: '/usr/share/bash-completion/completions/gsyncd-ts',
  zsh: '/usr/local/share/zsh/site-functions/_gsyncd-ts',
} as const;

/** The places below `root` that hold a gsyncd, or one that was set aside. A place with two names is listed once. */
export async function findPlaces(root: string): Promise<string[]> {
  const architectures = await readdir(join(root, LIBRARY_DIRECTORY)).catch((error: unknown) => {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  });
  const triplets = architectures
    .filter((name) => /^[\w]+-linux-\w+$/.test(name))
    .map((name) => join(LIBRARY_DIRECTORY, name, 'glusterfs'));
  const found = new Map<string, string>();
  for (const dir of [...triplets, ...FIXED_DIRECTORIES].map((name) => join(root, name))) {
    if ((await exists(join(dir, 'gsyncd'))) || (await exists(join(dir, ASIDE_NAME)))) {
      const realDir = await realpath(dir);
      if (!found.has(realDir)) found.set(realDir, join(dir, 'gsyncd'));
    }
  }
  return [...found.values()];
}
