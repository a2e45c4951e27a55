// Finds the `gluster` program that a forced command may run. The stock wrapper has its path compiled in. This program
// stands in the wrapper's place, and GlusterFS's programs are below the same prefix. PATH, the rest of the environment
// and the client's line are ignored: the client controls them.

import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { findPlaces } from '../install/places.js';
import { isChangeable, ROOT_ONLY } from '../native/changeable.js';

const USUAL_DIRECTORIES = ['/usr/sbin', '/usr/local/sbin'];
const EXECUTABLE = 0o111;

/** The first `gluster` that only root can change; if there is none, the path where it should be. */
export async function findGluster(root = '/'): Promise<string> {
  for (const dir of await listProgramDirectories(root))
    if (await isRootControlled(join(dir, 'gluster'))) return join(dir, 'gluster');
  return join(root, USUAL_DIRECTORIES[0] ?? '', 'gluster');
}

/** The directory of this node's Gluster programs that a peer means by `dir`. Symlinks are resolved, since the peer may
 *  change `dir` later. Root's ownership of a directory proves nothing: root also owns what the peer has put into a
 *  brick or a mount of the volume.
 *  @returns undefined when `dir` is no such directory */
export async function resolveProgramDirectory(dir: string, root = '/'): Promise<string | undefined> {
  const realPath = async (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);
  const requestedDir = await realPath(dir);
  const knownDir = (await Promise.all((await listProgramDirectories(root)).map(realPath))).find(
    (each) => each !== undefined && each === requestedDir,
  );
  if (knownDir === undefined) return undefined;
  return (await isRootControlled(join(knownDir, 'gluster'))) && (await isRootControlled(join(knownDir, 'glusterfs')))
    ? knownDir
    : undefined;
}

async function listProgramDirectories(root: string): Promise<string[]> {
  const prefixes = (await findPlaces(root)).flatMap((place) => /^(.*?)\/lib(?:exec|64)?\//.exec(place)?.[1] ?? []);
  return [...prefixes.map((prefix) => `${prefix}/sbin`), ...USUAL_DIRECTORIES.map((dir) => join(root, dir))];
}

async function isRootControlled(program: string): Promise<boolean> {
  try {
    const [file, dir] = await Promise.all([stat(program), stat(dirname(program))]);
    const isProgram = file.isFile() && (file.mode & EXECUTABLE) !== 0;
    // On Debian a group may write in /usr/local, and it is equivalent to root there.
    return isProgram && !isChangeable(file, ROOT_ONLY) && !isChangeable(dir, { ...ROOT_ONLY, gids: [dir.gid] });
  } catch {
    return false;
  }
}
